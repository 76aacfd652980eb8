"""After the restart: the board's log, until its agent waits for jobs."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator

import serial

from sluice.board_port import BoardPort, connect
from sluice.errors import SluiceError

HEALTHY = re.compile(r"^I \d+ agent idle\b")
HOPELESS = re.compile(r"^E \d+ main cannot start: (.+)")
LOUD_ENOUGH = "ID"  # log levels that tell of it
TAIL = 12  # lines
_LINE_MAX = 400  # characters of one that are kept
_AGAIN_S = 0.2  # a port that is gone while its chip restarts


def wait_for_agent(board: BoardPort, deadline_s: float, hear: Callable[[str], None]) -> None:
    """After a reset, until the agent says that it waits for jobs; `hear` gets each line.

    raises  SluiceError: it cannot start, or the deadline passed
    """
    spoke = False
    for line in _lines(board, time.monotonic() + deadline_s):
        spoke = True
        hear(line)
        if HEALTHY.match(line):
            return
        hopeless = HOPELESS.match(line)
        if hopeless:
            raise SluiceError(f"the agent cannot start: {hopeless[1]}")
    if spoke:
        raise SluiceError(
            f"the agent was not ready within {deadline_s:g} s; its last lines tell why"
        )
    raise SluiceError(f"{board.name} is silent: the board sent nothing for {deadline_s:g} s")


def _lines(board: BoardPort, limit: float) -> Iterator[str]:
    """What the board says until then. A port that comes and goes, as one does that is part of the
    chip, is opened again; one that stays is kept, as opening it would lose what was said."""
    with contextlib.suppress(serial.SerialException, OSError):
        yield from _split(board.serial, limit)
    board.close()
    while time.monotonic() < limit:
        try:
            transport = connect(board.name)
        except SluiceError:
            if time.monotonic() + _AGAIN_S >= limit:
                raise
            time.sleep(_AGAIN_S)
            continue
        with contextlib.closing(transport), contextlib.suppress(serial.SerialException, OSError):
            yield from _split(transport.serial, limit)


def _split(source: serial.SerialBase, limit: float) -> Iterator[str]:
    """Whole lines, without what cannot be printed."""
    source.timeout, partial = 0.1, b""
    while time.monotonic() < limit:
        raw = source.read(source.in_waiting or 1)
        *whole, partial = (partial + raw).split(b"\n")
        partial = partial[-_LINE_MAX:]
        for line in whole:
            text = line.decode(errors="replace").strip()
            yield "".join(char for char in text if char.isprintable())[:_LINE_MAX]
