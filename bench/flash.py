"""Erases and programs of one update, counted by the simulated flash.

    .venv/bin/python -m bench.flash

From the deployment to SUCCEEDED, with everything: image, journal, boot loader, file system. An
erase is of one sector of 4,096 bytes, a program of at most one sector.
"""

import sys

from bench import session, tables
from bench.command import guarded
from host_tools.device.norflash import SECTOR
from host_tools.device.partitions import Partition
from host_tools.device.supervisor import Board
from host_tools.errors import SluiceError

BLOCKS = (256, 4_096, 98_304)
SIZE = 1_468_006  # bytes, 1.4 MiB: 359 sectors


def wear(board: Board, partition: Partition) -> list[int]:
    """Erases of each sector of a partition since the chip was made."""
    start = partition.offset
    return [board.meter.erases(at) for at in range(start, start + partition.size, SECTOR)]


def row(cloud: session.Session, block: int) -> list[object]:
    """One line of the table: an update with blocks of that size."""
    with cloud.board(block, heap="1M") as board:
        board.wait_for("agent idle", session.READY_S)
        watched = [board.table.labelled(name) for name in ("ota_1", "otadata", "vfs")]
        before = [wear(board, partition) for partition in watched]
        operations = board.operations
        update = cloud.update(board, SIZE)
        if not update.succeeded:
            raise SluiceError(f"blocks of {block}: {update.reason}")
        operations = board.operations - operations
        after = [wear(board, partition) for partition in watched]
    grown = [
        [now - then for now, then in zip(*pair, strict=True)]
        for pair in zip(after, before, strict=True)
    ]
    erases = [sum(sectors) for sectors in grown]
    return [f"{block:,}", *erases, max(grown[2]), operations - sum(erases)]


def main() -> int:
    """Print the table."""
    with session.opened() as cloud:
        rows = [row(cloud, block) for block in BLOCKS]
    heads = ["block, bytes", "erases: slot", "otadata", "files", "most-worn sector", "programs"]
    tables.show(
        "Flash, per update of 1.4 MiB",
        heads,
        rows,
        "Files: the journal's two, on LittleFS; its most-worn sector was erased so many times.",
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
