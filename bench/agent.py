"""The whole agent over mutual TLS: instructions a byte, and every stretch of its first life.

A simulated board whose MicroPython runs under callgrind takes an image from the local cloud: TLS,
MQTT, jobs, the download, flash and LittleFS, the digest, the signature. What is counted is the
life from power-on to the reset, the model's own modules included. A long image less a short one
gives instructions a byte. The heap has 112 KiB, in two areas, with the code in it or in flash.

Every turn of asyncio's loop is counted apart. By the times in the board's log a stretch is put
down to the state that it lies in, or to the two that it leads from and to. Callgrind makes the
board some fifty times slower, so turns that end by the clock end early; bench/blocking.py has
those of a clock that stands still.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import callgrind, heap, session
from bench.numbers import Effort, Number, Table
from sluice.device.supervisor import Board
from sluice.errors import SluiceError

BLOCK = 4_096
SIZES = {Effort.USUAL: (196_608, 458_752), Effort.LONG: (196_608, 1_245_184)}  # bytes
END = re.compile(r"I (\d+) agent ([A-Z]+) [a-z]", re.MULTILINE)
LINKED = ("CONNECTING", "IDLE", "ACCEPTING", "DOWNLOADING", "VERIFYING", "ACTIVATING", "RESETTING")
TICK_S = 0.004  # by which the time of a file may be early


class Counted(Board):
    """A board whose first life runs under callgrind."""

    folder: Path

    def _command(self, cause: int) -> list[str]:
        command = super()._command(cause)
        if self.lives:
            return command
        self.lives.append(cause)
        out = f"--callgrind-out-file={self.folder / 'life'}"
        tool = ["valgrind", "--quiet", "--tool=callgrind", "--dump-before=poll", out]
        micropython = callgrind.for_valgrind("i386", self.folder)
        return [*tool, *map(str, micropython), *command[1:]]

    def listen(self, folder: Path) -> None:
        """Before it is switched on: where counts go."""
        self.folder = folder
        self.lives: list[int] = []


def life(size: int, frozen: bool) -> tuple[int, dict[str, int]]:
    """Instructions of a first life, and the longest stretch by states."""
    with session.opened() as cloud, tempfile.TemporaryDirectory() as scratch:
        board = cloud.board(BLOCK, kind=Counted, frozen=frozen)
        board.listen(Path(scratch))
        with board:
            update = cloud.update(board, size)
            if not update.succeeded:
                raise SluiceError(f"the board under callgrind: {update.reason}")
        turns = sorted(turn(file) for file in Path(scratch).glob("life*"))
    return sum(count for _, count in turns), by_state(turns, "\n".join(board.lines))


def by_state(turns: list[tuple[float, int]], log: str) -> dict[str, int]:
    """{state, or two of them: its longest stretch}, in the order of the log."""
    since = time.time() - time.monotonic()  # the board's clock is the host's, since it started
    first = log.split("reset: ")[0]
    ends = [(since + int(ms) / 1000, state) for ms, state in END.findall(first)]
    longest: dict[str, int] = {}
    before = ""
    for when, count in turns:
        state = next((name for end, name in ends if when + TICK_S < end), LINKED[-1])
        name = state if state == before else f"{before} to {state}"
        if before in LINKED and state in LINKED:
            longest[name] = max(longest.get(name, 0), count)
        before = state
    return longest


def turn(file: Path) -> tuple[float, int]:
    """(when it ended, instructions) of one dump of callgrind's."""
    counts = re.findall(r"^(?:summary|totals): (\d+)$", file.read_text(), re.MULTILINE)
    return file.stat().st_mtime, int(counts[0]) if counts else 0


def measure(effort: Effort) -> Iterator[Number]:
    """A short life and a long one, with the code in either place."""
    if not callgrind.available():
        yield Number("agent", "first life", "instructions", None, "", True, callgrind.MISSING)
        return
    short, long = SIZES[max(effort, Effort.USUAL)]
    for frozen, place in heap.PLACES.items():
        low, longest = life(short, frozen)
        high, _ = life(long, frozen)
        each = round((high - low) / (long - short))
        row = f"a byte, JSON {BLOCK:,}"
        yield Number("agent", row, place, each, "instructions/byte", False)
        row = "all else of the life"
        yield Number("agent", row, place, low - each * short, "instructions", False)
        for state, count in longest.items():
            row = f"longest stretch, {state}"
            yield Number("agent", row, place, count, "instructions", False)


TABLE = Table(
    "agent",
    "The whole agent over TLS, first life of an update",
    "what",
    "Instructions, in a heap of 112 KiB in two areas. Collecting, TLS, flash, the digest, and\n"
    "what the model of the board costs are counted. A stretch in which a state begins loads its\n"
    "code. CONNECTING to IDLE keeps the configuration that linked. ACTIVATING to RESETTING has\n"
    "the boot loader take the image.",
    measure,
)
