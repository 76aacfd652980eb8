"""What differs from one family of chips to the other, in the model of a board.

native    module of the device that is the chip's own, and knows where the file system lies
read_csv  partitions.csv → Table
table     (offset, bytes) of the table in flash
place     puts an image into a slot that is erased
image     the Image in a slot; SluiceError says why it would not boot
choose    the boot loader
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sluice.device import bootloader, secboot
from sluice.device.bootloader import Report, Start
from sluice.device.norflash import NORFlash
from sluice.image import Image, partitions, wmtable
from sluice.image.partitions import Partition, Table


@dataclass(frozen=True)
class Family:
    """See above."""

    native: str
    read_csv: Callable[[Path], Table]
    table: Callable[[Table], tuple[int, bytes]]
    place: Callable[[NORFlash, Partition, bytes], None]
    image: Callable[[NORFlash, Partition, str], Image]
    choose: Callable[[NORFlash, Table, str, Report], Start]


ESP32 = Family(
    "esp32",
    partitions.read_csv,
    lambda table: (partitions.TABLE, partitions.pack(table)),
    lambda flash, row, image: flash.program(row.offset, image),
    bootloader.slot_image,
    bootloader.choose,
)
W800 = Family(
    "w800",
    wmtable.read_csv,
    lambda table: (wmtable.TABLE, wmtable.pack(table)),
    secboot.place,
    secboot.slot_image,
    secboot.choose,
)


def of(chip: str) -> Family:
    """The family of a chip, by the name that `sluice image make --chip` gives it."""
    return W800 if chip == "w800" else ESP32
