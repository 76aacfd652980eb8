"""Files like those that MicroPython's build calls firmware.bin."""

from sluice import boards as folders
from sluice.flash.boards import Kind
from sluice.image import partitions

APP = 0x10000  # offset in flash of the first slot


def merged(
    kind: Kind,
    table: partitions.Table | None = None,
    chip: int | None = None,
    app: bytes = bytes(4096),
) -> bytes:
    """A boot loader's header, the table at 0x8000 of flash, an app in the first slot.

    It begins at the board's offset, and has 0xFF between its parts.
    """
    csv = folders.folder(kind.name) / "partitions.csv"
    packed = partitions.pack(table or partitions.read_csv(csv))
    number = kind.chip if chip is None else chip
    head = bytes([0xE9, 3, 2, 0x20]) + bytes(8) + number.to_bytes(2, "little") + bytes(64)
    head = head.ljust(partitions.TABLE - kind.offset, b"\xff")
    return (head + packed).ljust(APP - kind.offset, b"\xff") + app
