"""The smallest heap in which a whole update completes, and what is free on the way.

    .venv/bin/python -m bench.heap [--blocks 256,4096,16384,98304]

Each try is a new simulated board (i386, all code from .mpy) with `-X heapsize`, a new image of
256 KiB, and everything from the first TLS connection to SUCCEEDED after the trial. A try in which
anything ran out of memory does not count, even where the board would have recovered. The heap is
found to 1,024 bytes. The rows named HTTP are updates by HTTP ranges, the others by a stream. TLS
records lie outside of MicroPython's heap, here as on an ESP32.
"""

import argparse
import sys

from bench import session, tables
from bench.command import guarded

BLOCKS = (256, 4_096, 16_384, 98_304)
SIZE = 262_144  # bytes of the image
LOW, HIGH, STEP = 24, 160, 1  # KiB
GIVEN = 112  # KiB, the heap that boards are promised to do with


def completes(
    cloud: session.Session, block: int | None, heap: int, frozen: bool
) -> session.Update:
    """An update of a new board with a heap of so many KiB; without a block it is by HTTP."""
    with cloud.board(block or 4_096, heap=f"{heap}k", frozen=frozen) as board:
        return cloud.update(board, SIZE, "mqtt" if block else "http")


def least(cloud: session.Session, block: int | None, frozen: bool) -> int | None:
    """KiB of the smallest heap that does; None when the largest does not."""
    low, high = LOW, HIGH
    if not completes(cloud, block, high, frozen).succeeded:
        return None
    while high - low > STEP:
        middle = (low + high) // 2
        if completes(cloud, block, middle, frozen).succeeded:
            high = middle
        else:
            low = middle
    return high


def row(cloud: session.Session, block: int | None, frozen: bool) -> list[object]:
    """One line of the table."""
    update = completes(cloud, block, GIVEN, frozen)
    where = "in flash" if frozen else "in the heap"
    shown = [update.idle_free, update.least_free] if update.succeeded else [None, None]
    what = f"{block:,}" if block else "HTTP"
    return [f"{what}, code {where}", least(cloud, block, frozen), *shown]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", default=",".join(map(str, BLOCKS)), help="bytes, by commas")
    words = parser.parse_args().blocks.split(",")
    blocks: list[int | None] = [*map(int, words), None]
    with session.opened() as cloud:
        rows = [row(cloud, block, frozen) for frozen in (False, True) for block in blocks]
    tables.show(
        "RAM",
        ["block, bytes", "smallest heap, KiB", "free while idle", "least free, downloading"],
        rows,
        f"The last two: bytes, of a heap of {GIVEN} KiB; a dash: no update completed in it.",
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
