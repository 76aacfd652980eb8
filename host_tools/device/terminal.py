"""The board's serial port as a pty behind a symlink, which outlives every reset.

mpremote opens LINK like any serial port. A symlink, because mpremote reads /dev/pts/N itself
without a timeout. The other side stays open here, so that closing LINK is not the end of it.
"""

import os
import pty
import tty
from pathlib import Path

from host_tools.errors import SluiceError


class Terminal:
    """The pty. `fd` is the board's end."""

    def __init__(self, link: Path):
        self.link = link
        self.fd, self._other = pty.openpty()
        tty.setraw(self._other)
        os.set_blocking(self.fd, False)
        try:
            if link.is_symlink():
                link.unlink()  # left by an earlier run
            link.symlink_to(os.ttyname(self._other))
        except OSError as error:
            self.close()
            raise SluiceError(f"cannot make {link}: {error.strerror}") from error

    def write(self, raw: bytes) -> None:
        """What the board says; dropped when nobody reads and the buffer is full."""
        try:
            while raw:
                raw = raw[os.write(self.fd, raw) :]
        except BlockingIOError:
            pass

    def read(self) -> bytes:
        """What was typed."""
        try:
            return os.read(self.fd, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Remove the link."""
        if self.link.is_symlink():
            self.link.unlink()
        os.close(self.fd)
        os.close(self._other)
