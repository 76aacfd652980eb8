"""The board's serial port as a pty behind a symlink, which outlives every reset.

mpremote opens LINK like any serial port. A symlink, because mpremote reads /dev/pts/N itself
without a timeout. The other side stays open here, so that closing LINK is not the end of it.
"""

import os
import pty
import select
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice.errors import SluiceError


class Terminal:
    """The pty. `fd` is the board's end."""

    def __init__(self, link: Path):
        self.link = link
        self.fd, self._other = pty.openpty()
        self._name = os.ttyname(self._other)
        tty.setraw(self._other)
        os.set_blocking(self.fd, False)
        try:
            if link.is_symlink():
                link.unlink()  # left by an earlier run
            link.symlink_to(self._name)
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

    def read(self, wait_s: float = 0) -> bytes:
        """What was typed; what is typed first within `wait_s` if there is nothing."""
        try:
            if wait_s:
                select.select([self.fd], [], [], wait_s)
            return os.read(self.fd, 4096)
        except OSError:  # nothing there, or nobody: see `watched`
            return b""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """For as long, `in_use` tells whether another has the port open."""
        os.close(self._other)
        try:
            yield
        finally:
            self._other = os.open(self._name, os.O_RDWR | os.O_NOCTTY)

    @property
    def in_use(self) -> bool:
        """Whether another has the port open; only while it is watched."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return not any(event & select.POLLHUP for _, event in poll.poll(0))

    def close(self) -> None:
        """Remove the link."""
        if self.link.is_symlink():
            self.link.unlink()
        os.close(self.fd)
        os.close(self._other)
