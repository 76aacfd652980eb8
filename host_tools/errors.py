"""The one error type of the host side, and the word that a user may have meant."""

from collections.abc import Iterable


class SluiceError(Exception):
    """Something the user can act on. The command prints it as one line on stderr and exits 1."""


def meant(word: object, known: Iterable[object]) -> str:
    """The likely word, as the end of a complaint."""
    from difflib import get_close_matches

    close = get_close_matches(str(word), list(map(str, known)), 1)
    return f": did you mean {close[0]}?" if close else ""
