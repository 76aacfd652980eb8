"""Files like those that MicroPython's build calls firmware.bin."""

from sluice.flash.boards import Kind
from sluice.image import merged as made
from sluice.image import partitions

APP = 0x10000  # offset in flash of the first slot


def merged(
    kind: Kind,
    table: partitions.Table | None = None,
    chip: int | None = None,
    app: bytes = bytes(4096),
) -> bytes:
    """Such a file for a board, with another table, or for another chip."""
    return made.merged(kind.name, app, table, chip)
