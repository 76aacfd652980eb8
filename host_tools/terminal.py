"""What a person at a terminal gets: whole words, nothing that a terminal would act on, and lines
of their own. A program that reads the same lines gets them unbroken.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO

from sluice.help_text import wrapped

if TYPE_CHECKING:
    from rich.console import Console

USUAL = 80  # columns of a terminal that does not tell


def plain(told: str) -> str:
    """A text without what a terminal would act on: a board or a job may tell anything."""
    return "".join(sign if sign.isprintable() else "?" for sign in told)


def console(markup: bool = False, **more: Any) -> "Console":
    """One of rich, which shows texts as they are: `:ab:` in an address is no emoji.

    markup  words in brackets are styles; others are escaped by who prints them
    more    what rich's Console takes
    """
    from rich.console import Console

    return Console(markup=markup, emoji=False, highlight=False, **more)


def columns(stream: TextIO | None) -> int:
    """The width of the terminal that a stream goes to; 0 where it goes elsewhere."""
    if stream is None or not stream.isatty():
        return 0
    return os.get_terminal_size(stream.fileno()).columns or USUAL


def fitted(text: str, stream: TextIO | None, indent: int = 0) -> str:
    """One line: broken at its blanks as a terminal's width wants it, unchanged elsewhere.

    indent  columns before the lines that follow the first one, before which the caller puts some
    """
    width = columns(stream)
    if len(text) + indent <= width or not width:
        return text
    return wrapped(text, max(width - indent, 1)).replace("\n", "\n" + " " * indent)


def remark(text: str) -> None:
    """Say one line on stderr."""
    print(fitted(text, sys.stderr), file=sys.stderr, flush=True)


def new_line() -> None:
    """Leave the line in which a terminal shows `^C`."""
    for stream in (sys.stderr, sys.stdout):
        if stream is not None and stream.isatty():
            os.write(stream.fileno(), b"\n")  # a handler may not use the stream's own buffer
            return


def _interrupt(number: int, frame: FrameType | None) -> None:
    new_line()
    raise KeyboardInterrupt


def on_end(act: Callable[[], object]) -> None:
    """Have SIGTERM and SIGINT do that, in place of what they did."""

    def end(number: int, _: object) -> None:
        if number == signal.SIGINT:
            new_line()
        act()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)


def interrupts() -> AbstractContextManager[None]:
    """Meanwhile, Ctrl-C begins a new line before KeyboardInterrupt is raised."""
    return _interrupts_by(_interrupt, signal.default_int_handler)


def drawing() -> AbstractContextManager[None]:
    """Meanwhile, Ctrl-C begins no new line, because rich must draw in the same place."""
    return _interrupts_by(signal.default_int_handler, _interrupt)


@contextmanager
def _interrupts_by(handler: Callable[..., Any], before: Callable[..., Any]) -> Iterator[None]:
    """Meanwhile, that handler in the place of the other one; nothing is done where a third is."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not before:
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
