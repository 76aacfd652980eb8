"""Erases and programs of one update, counted by the simulated flash, and writes of the journal.

From the deployment to SUCCEEDED, with everything: image, journal, boot loader, file system. An
erase is of one sector of 4,096 bytes, a program of at most one sector. The journal is two files,
written in turn, and its records are numbered.
"""

import re
from collections.abc import Iterator

from bench import session
from bench.numbers import Effort, Number, Table
from sluice.device.norflash import SECTOR
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.image.partitions import Partition

BLOCKS = (256, 4_096, 98_304)
SIZE = 1_468_006  # bytes, 1.4 MiB: 359 sectors
SECTORS = -(-SIZE // SECTOR)
AGAIN = "4,096, there already"


def wear(board: Board, partition: Partition) -> list[int]:
    """Erases of each sector of a partition since the chip was made."""
    start = partition.offset
    return [board.meter.erases(at) for at in range(start, start + partition.size, SECTOR)]


def update(cloud: session.Session, block: int, there: bool) -> dict[str, int]:
    """What an update with blocks of that size costs; `there`: the slot holds the image already."""
    board = cloud.board(block, heap="1M")
    if there:
        board.make()
        board.put_image("ota_1", cloud.image(SIZE).read_bytes())
    with board:
        board.wait_for("agent idle", session.READY_S)
        watched = [board.table.labelled(name) for name in ("ota_1", "otadata", "vfs")]
        before = [wear(board, partition) for partition in watched]
        operations = board.operations
        done = cloud.update(board, SIZE)
        if not done.succeeded:
            raise SluiceError(f"blocks of {block}: {done.reason}")
        operations = board.operations - operations
        after = [wear(board, partition) for partition in watched]
    grown = [
        [now - then for now, then in zip(*pair, strict=True)]
        for pair in zip(after, before, strict=True)
    ]
    cells = b"".join(board.read_file(f"/journal.{cell}") for cell in (0, 1))
    slot, otadata, files = (sum(sectors) for sectors in grown)
    return {
        "erases, slot": slot,
        "otadata": otadata,
        "files": files,
        "most-worn sector of files": max(grown[2]),
        "records of the journal": max(map(int, re.findall(rb'"seq": (\d+)', cells))),
        "programs": operations - slot - otadata - files,
    }


def measure(effort: Effort) -> Iterator[Number]:
    """Each size of a block."""
    cases = [(f"{block:,}", block, False) for block in BLOCKS] + [(AGAIN, 4_096, True)]
    with session.opened() as cloud:
        for name, block, there in cases:
            for column, count in update(cloud, block, there).items():
                yield Number("flash", name, column, count, "")


TABLE = Table(
    "flash",
    f"Flash, per update of {SECTORS} sectors, 1.4 MiB",
    "block, bytes",
    "From the deployment to SUCCEEDED. Files are the journal's two, and what else an update\n"
    "writes into LittleFS.",
    measure,
)
