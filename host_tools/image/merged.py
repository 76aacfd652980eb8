"""Makes a file like the one that MicroPython's builds call firmware.bin: for a simulated board.

It holds what esptool writes in one go: a boot loader's header, the partition table at 0x8000 of
flash, and an app in the first slot. It begins at the offset that board.json has, and 0xFF fills
the rest. There is no boot loader in it: on a chip nothing would start.
"""

import struct

from sluice import boards
from sluice.errors import SluiceError
from sluice.image import partitions
from sluice.image.appimage import MAGIC
from sluice.image.build import CHIPS

_FLASH = bytes([2, 0x20])  # DIO, 4 MiB at 40 MHz
_HEAD = 80  # bytes of the boot loader that are there


def merged(
    board: str,
    app: bytes,
    table: partitions.Table | None = None,
    chip: int | None = None,
) -> bytes:
    """The file for a board that runs `app`.

    table, chip   in place of the board's own
    raises        SluiceError: no such board, or not one that esptool writes; no room for `app`
    """
    facts = boards.facts(board)
    offset = facts.get("deploy_options", {}).get("flash_offset")
    if offset is None:
        raise SluiceError(f"{board} is not one that esptool writes: its board.json has no offset")
    begin = int(str(offset), 0)
    rows = table or partitions.read_csv(boards.folder(board) / "partitions.csv")
    number = CHIPS[facts["mcu"]].id if chip is None else chip
    head = bytes([MAGIC, 3]) + _FLASH + bytes(8) + struct.pack("<H", number)
    front = head.ljust(_HEAD, b"\0").ljust(partitions.TABLE - begin, b"\xff")
    return (front + partitions.pack(rows)).ljust(_first(rows).offset - begin, b"\xff") + app


def _first(table: partitions.Table) -> partitions.Partition:
    """Where the app goes: what boots on a new board, or else the usual place."""
    if table.slots or table.factory:
        return table.first
    return partitions.Partition("app", partitions.APP, 0, 0x10000, 0)
