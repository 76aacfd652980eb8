"""W800's boot loader in the model: what is copied, when, and what a power cut in it leaves."""

import struct

import pytest

from sluice import boards
from sluice.device import secboot
from sluice.device.bootloader import NoBootableImage
from sluice.device.meter import Meter, PowerCut, raise_power_cut
from sluice.device.norflash import SECTOR, NORFlash, meter_size
from sluice.errors import SluiceError
from sluice.image import make_image, read_image, wmtable
from sluice.image.w800 import HEADER, crc, header

TABLE = wmtable.read_csv(boards.folder("SIM_W800") / "partitions.csv")
SIZE = 30_001  # bytes
OLD = make_image("1.0.0", SIZE, "w800", modules={"main.py": "print('old')\n"})
FRESH = make_image("2.0.0", SIZE, "w800", modules={"main.py": "print('fresh')\n"})


def damaged(image: bytes) -> bytes:
    return image[:500] + bytes([image[500] ^ 1]) + image[501:]


class Chip:
    """A flash in memory with what runs and what is staged."""

    def __init__(self, runs: bytes | None, staged: bytes | None, flag: bytes = b""):
        self.memory = bytearray(b"\xff") * TABLE.flash_size
        counters = memoryview(bytearray(meter_size(TABLE.flash_size)))
        self.meter = Meter(counters)
        self.flash = NORFlash(memoryview(self.memory), counters, raise_power_cut)
        self.lines: list[str] = []
        for row, image in zip(TABLE.slots, (runs, staged), strict=True):
            if image:
                secboot.place(self.flash, row, image)
        staging = TABLE.slots[1]
        at = staging.offset + staging.size - SECTOR
        self.memory[at : at + len(flag)] = flag

    def boot(self) -> str:
        """The version that boots."""
        return secboot.choose(self.flash, TABLE, "w800", self.lines.append).image.version

    @property
    def copied(self) -> int:
        return sum("copying" in line for line in self.lines)


def flagged(image: bytes) -> bytes:
    """What the boot loader notes of a copy."""
    return struct.pack("<I", struct.unpack_from("<I", image, 24)[0])


# fmt: off
ROWS = {  # what runs, what is staged, the flag → what boots, copies
    "nothing_staged_boots_what_is_there":     (OLD, None, b"", "1.0.0", 0),
    "staged_and_new_is_copied":               (OLD, FRESH, b"", "2.0.0", 1),
    "staged_and_copied_before_is_left":       (OLD, FRESH, flagged(FRESH), "1.0.0", 0),
    "staged_and_damaged_is_passed_over":      (OLD, damaged(FRESH), b"", "1.0.0", 0),
    "damaged_slot_is_mended_from_the_staged": (damaged(OLD), FRESH, flagged(FRESH), "2.0.0", 1),
    "empty_slot_is_filled_from_the_staged":   (None, FRESH, b"", "2.0.0", 1),
}
# fmt: on


@pytest.mark.parametrize("name", ROWS)
def test_boot(name: str):
    runs, staged, flag, version, copies = ROWS[name]
    chip = Chip(runs, staged, flag)
    assert (chip.boot(), chip.copied) == (version, copies)
    assert (chip.boot(), chip.copied) == (version, copies)  # and so it stays


@pytest.mark.parametrize("staged", [None, damaged(FRESH)])
def test_boot_without_a_whole_image_does_not(staged):
    with pytest.raises(NoBootableImage):
        Chip(damaged(OLD), staged).boot()


def test_power_cut_at_any_operation_of_the_copy_ends_with_the_new_image():
    whole = Chip(OLD, FRESH)
    before = whole.meter.operations
    whole.boot()
    for operation in range(1, whole.meter.operations - before + 1):
        for part in ("nothing", "front", "back", "whole"):
            chip = Chip(OLD, FRESH)
            chip.meter.cut_after(operation, part)
            with pytest.raises(PowerCut):
                chip.boot()
            chip.meter.disarm()
            assert chip.boot() == "2.0.0", (operation, part)
            assert chip.memory[TABLE.slots[0].offset :][:HEADER] == FRESH[:HEADER]


def test_image_has_its_size_exactly_and_is_whole():
    for size in (20_000, 20_001, 20_002, 20_003):
        image = make_image("1.2.3", size, "w800", modules={"main.py": "x = 1\n"})
        seen = read_image(image)
        assert len(image) == size and size - 4 < seen.image_size <= size
        assert (seen.chip, seen.version, sorted(seen.modules)) == ("w800", "1.2.3", ["main.mpy"])
    with pytest.raises(SluiceError, match="too few"):
        make_image("1", 100, "w800", modules={"main.py": "x = 1\n"})
    with pytest.raises(SluiceError, match="1 to 15"):
        make_image("1" * 16, None, "w800", modules={"main.py": ""})


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (damaged(OLD), "body's CRC"),
        (OLD[:40] + b"x" + OLD[41:], "header's CRC"),
        (OLD[:-10], "truncated"),
        (OLD[:30], "truncated"),
        (header("1", b"body", 0x100001) + b"body", "attributes 0x100001"),
        (header("1", b"body", 0) + b"body", "attributes 0x0"),
    ],
)
def test_image_that_is_bad_is_refused(data, reason):
    with pytest.raises(SluiceError, match=reason):
        read_image(data)


def test_crc_is_the_vendors():
    assert crc(b"123456789") == 0x340BC6D9  # CRC-32/JAMCRC, as it is known
