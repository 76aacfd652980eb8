"""The one error type of the host side."""


class SluiceError(Exception):
    """Something the user can act on. The command prints it as one line on stderr and exits 1."""
