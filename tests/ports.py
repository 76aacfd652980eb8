"""Serial ports with no board at them."""

import contextlib
import os
import pty
import threading
import tty
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def dead(link: Path) -> Iterator[int]:
    """A port at `link` that nothing answers at; the file that is its far end."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    link.symlink_to(os.ttyname(theirs))
    try:
        yield ours
    finally:
        os.close(ours)
        os.close(theirs)


@contextlib.contextmanager
def talking(far: int) -> Iterator[None]:
    """The far end says `login: ` again and again."""
    over = threading.Event()

    def talk() -> None:
        while not over.wait(0.02):
            os.write(far, b"login: ")

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
