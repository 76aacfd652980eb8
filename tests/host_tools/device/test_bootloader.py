"""The boot loader's table: what otadata says, what the slots hold, what boots and what changes."""

from dataclasses import dataclass

import pytest

from sluice.boards import BOARDS
from sluice.device import bootloader, otadata
from sluice.device.meter import Meter, PowerCut, raise_power_cut
from sluice.device.norflash import SECTOR, NORFlash, meter_size
from sluice.device.otadata import (
    ABORTED,
    INVALID,
    NEW,
    PENDING_VERIFY,
    UNDEFINED,
    VALID,
)
from sluice.image import make_image, partitions

TABLE = partitions.read_csv(BOARDS / "SIM_ESP32/partitions.csv")
OLD = make_image("1.0.0", modules={"main.py": "print('old')\n"})
FRESH = make_image("2.0.0", modules={"main.py": "print('fresh')\n"})
BROKEN = FRESH[:300] + bytes([FRESH[300] ^ 1]) + FRESH[301:]
FOREIGN = make_image("2.0.0", chip="esp32s3", modules={"main.py": ""})
BLANK = None


class Chip:
    """A flash in memory with given slots and otadata records."""

    def __init__(self, slots: list[bytes | None], records: list[tuple[int, int] | None]):
        self.memory = bytearray(b"\xff") * TABLE.flash_size
        counters = memoryview(bytearray(meter_size(TABLE.flash_size)))
        self.meter = Meter(counters)
        self.flash = NORFlash(memoryview(self.memory), counters, raise_power_cut)
        self.lines: list[str] = []
        for slot, image in zip(TABLE.slots, slots, strict=True):
            self.memory[slot.offset : slot.offset + len(image or b"")] = image or b""
        for index, record in enumerate(records):
            if record:
                at = TABLE.otadata.offset + index * SECTOR
                self.memory[at : at + 32] = otadata.pack(*record)

    def boot(self) -> str:
        """The boot line."""
        bootloader.choose(self.flash, TABLE, "esp32", self.lines.append)
        return self.lines[-1]

    @property
    def records(self) -> list[tuple[int, int] | None]:
        found: list[tuple[int, int] | None] = []
        for index in (0, 1):
            at = TABLE.otadata.offset + index * SECTOR
            sequence, state, right = otadata.parse(self.memory[at : at + 32])
            found.append((sequence, state) if right else None)
        return found


@dataclass
class Row:
    """Before, the last line, and after."""

    slots: list
    before: list
    line: str
    after: list


# fmt: off
ROWS = {
    "blank_boots_the_first_slot_and_says_so":
        Row([OLD, BLANK], [None, None], "boot: ota_0 1.0.0 new-board", [(1, VALID), None]),
    "blank_with_an_empty_first_slot_boots_the_second":
        Row([BLANK, FRESH], [None, None], "boot: ota_1 2.0.0 valid", [(2, VALID), None]),
    "valid_boots_the_slot_of_its_sequence":
        Row([OLD, FRESH], [(1, VALID), None], "boot: ota_0 1.0.0 valid", [(1, VALID), None]),
    "the_higher_sequence_is_in_charge":
        Row([OLD, FRESH], [(3, VALID), (4, VALID)], "boot: ota_1 2.0.0 valid",
            [(3, VALID), (4, VALID)]),
    "the_higher_sequence_in_the_first_sector_is_in_charge":
        Row([OLD, FRESH], [(5, VALID), (4, VALID)], "boot: ota_0 1.0.0 valid",
            [(5, VALID), (4, VALID)]),
    "new_becomes_pending_and_is_on_trial":
        Row([OLD, FRESH], [(1, VALID), (2, NEW)], "boot: ota_1 2.0.0 trial",
            [(1, VALID), (2, PENDING_VERIFY)]),
    "pending_is_aborted_and_the_old_slot_boots":
        Row([OLD, FRESH], [(1, VALID), (2, PENDING_VERIFY)], "boot: ota_0 1.0.0 valid",
            [(1, VALID), (2, ABORTED)]),
    "aborted_is_not_in_charge":
        Row([OLD, FRESH], [(1, VALID), (2, ABORTED)], "boot: ota_0 1.0.0 valid",
            [(1, VALID), (2, ABORTED)]),
    "invalid_is_not_in_charge":
        Row([OLD, FRESH], [(1, VALID), (2, INVALID)], "boot: ota_0 1.0.0 valid",
            [(1, VALID), (2, INVALID)]),
    "undefined_boots_without_a_trial":
        Row([OLD, FRESH], [(1, VALID), (2, UNDEFINED)], "boot: ota_1 2.0.0 valid",
            [(1, VALID), (2, UNDEFINED)]),
    "new_after_an_aborted_one_gets_its_own_trial":
        Row([OLD, FRESH], [(1, PENDING_VERIFY), (2, NEW)], "boot: ota_1 2.0.0 trial",
            [(1, ABORTED), (2, PENDING_VERIFY)]),
    "both_aborted_boots_the_first_slot_and_writes_nothing":
        Row([OLD, FRESH], [(1, ABORTED), (2, ABORTED)], "boot: ota_0 1.0.0 new-board",
            [(1, ABORTED), (2, ABORTED)]),
    "broken_image_in_charge_is_passed_over":
        Row([OLD, BROKEN], [(1, VALID), (2, VALID)], "boot: ota_0 1.0.0 valid",
            [(1, VALID), (2, VALID)]),
    "broken_image_on_trial_is_passed_over":
        Row([OLD, BROKEN], [(1, VALID), (2, NEW)], "boot: ota_0 1.0.0 valid",
            [(1, VALID), (2, PENDING_VERIFY)]),
    "image_of_another_chip_is_passed_over":
        Row([OLD, FOREIGN], [(1, VALID), (2, VALID)], "boot: ota_0 1.0.0 valid",
            [(1, VALID), (2, VALID)]),
    "broken_first_slot_makes_the_second_boot":
        Row([BROKEN, FRESH], [(1, VALID), None], "boot: ota_1 2.0.0 valid", [(1, VALID), None]),
}
# fmt: on


@pytest.mark.parametrize("name", ROWS)
def test_boot(name: str):
    row = ROWS[name]
    chip = Chip(row.slots, row.before)
    assert chip.boot() == row.line
    assert chip.records == row.after


def test_boot_of_a_pending_image_says_rolled_back():
    chip = Chip([OLD, FRESH], [(1, VALID), (2, PENDING_VERIFY)])
    chip.boot()
    assert chip.lines[0] == "boot: rolled back ota_1"


def test_boot_of_a_broken_image_says_why_it_is_skipped():
    chip = Chip([OLD, BROKEN], [(1, VALID), (2, VALID)])
    chip.boot()
    assert chip.lines[0].startswith("boot: skipped ota_1: the image is bad: ")


@pytest.mark.parametrize("slots", [[BLANK, BLANK], [BROKEN, FOREIGN]])
def test_boot_without_a_good_image_fails(slots: list):
    chip = Chip(slots, [(1, VALID), None])
    with pytest.raises(bootloader.NoBootableImage):
        chip.boot()


def test_boot_twice_without_a_confirmation_rolls_back():
    chip = Chip([OLD, FRESH], [(1, VALID), (2, NEW)])
    assert [chip.boot(), chip.boot(), chip.boot()] == [
        "boot: ota_1 2.0.0 trial",
        "boot: ota_0 1.0.0 valid",
        "boot: ota_0 1.0.0 valid",
    ]


def test_boot_with_a_record_of_a_wrong_crc_ignores_it():
    chip = Chip([OLD, FRESH], [(1, VALID), (2, VALID)])
    chip.memory[TABLE.otadata.offset + SECTOR + 28] ^= 1
    assert chip.boot() == "boot: ota_0 1.0.0 valid"


@pytest.mark.parametrize("part", ["nothing", "front", "back", "whole"])
@pytest.mark.parametrize(
    "before",
    [
        [None, None],
        [(1, VALID), (2, NEW)],
        [(1, VALID), (2, PENDING_VERIFY)],
        [(3, NEW), (2, VALID)],
    ],
)
def test_boot_with_the_power_cut_at_every_operation_always_boots(before: list, part: str):
    counted = Chip([OLD, FRESH], before)
    counted.boot()
    for operation in range(1, counted.meter.operations + 1):
        chip = Chip([OLD, FRESH], before)
        chip.meter.cut_after(operation, part)
        with pytest.raises(PowerCut):
            chip.boot()
        chip.meter.disarm()
        assert chip.boot().startswith("boot: ota_")


@pytest.mark.parametrize(
    ("before", "slot", "wanted"),
    [
        ([None, None], 0, (0, 1)),
        ([None, None], 1, (0, 2)),
        ([(1, VALID), None], 1, (1, 2)),
        ([(1, VALID), None], 0, (1, 1)),
        ([(1, VALID), (2, VALID)], 0, (0, 3)),
        ([(3, VALID), (2, VALID)], 1, (1, 4)),
        ([(1, VALID), (2, ABORTED)], 1, (1, 2)),
    ],
)
def test_choice_of_a_slot_goes_to_the_other_record(before: list, slot: int, wanted: tuple):
    blank = (0xFFFFFFFF, UNDEFINED, False)
    records = [(*record, True) if record else blank for record in before]
    assert otadata.choice(records, slot, 2) == wanted


NVS = "nvs,data,nvs,0x9000,0x4000\n"
OTADATA = "otadata,data,ota,0xd000,0x2000\n"
FACTORY = "factory,app,factory,0x10000,0x100000\n"
SLOTS = (
    "ota_0,app,ota_0,0x110000,0x100000\n",
    "ota_1,app,ota_1,0x210000,0x100000\n",
)


@pytest.mark.parametrize(
    ("rows", "images", "records", "said", "left"),
    [
        ([FACTORY], {"factory": OLD}, None, "factory 1.0.0 new-board", None),
        ([OTADATA, FACTORY], {"factory": OLD}, [None, None], "factory 1.0.0 new-board", None),
        ([SLOTS[0]], {"ota_0": OLD}, None, "ota_0 1.0.0 new-board", None),
        ([OTADATA, FACTORY, SLOTS[0]], {"factory": OLD, "ota_0": FRESH}, [None, None],
         "factory 1.0.0 new-board", [None, None]),
        ([OTADATA, FACTORY, SLOTS[0]], {"factory": OLD, "ota_0": FRESH}, [(1, NEW), None],
         "ota_0 2.0.0 trial", [(1, PENDING_VERIFY), None]),
        ([OTADATA, FACTORY, SLOTS[0]], {"factory": OLD, "ota_0": FRESH},
         [(1, PENDING_VERIFY), None], "factory 1.0.0 new-board", [(1, ABORTED), None]),
        ([OTADATA, FACTORY, *SLOTS], {"factory": OLD, "ota_0": BLANK, "ota_1": FRESH},
         [(1, VALID), None], "factory 1.0.0 valid", [(1, VALID), None]),
        ([OTADATA, FACTORY, *SLOTS], {"factory": BROKEN, "ota_0": BLANK, "ota_1": FRESH},
         [None, None], "ota_1 2.0.0 valid", [None, None]),
        ([OTADATA, FACTORY, *SLOTS], {"factory": OLD, "ota_0": FRESH, "ota_1": FRESH},
         [(1, VALID), (2, PENDING_VERIFY)], "ota_0 2.0.0 valid", [(1, VALID), (2, ABORTED)]),
    ],
)  # fmt: skip
def test_factory_boots_where_no_slot_does(tmp_path, rows, images, records, said, left):
    """bootloader_utility_get_selected_boot_partition and bootloader_utility_load_boot_image."""
    csv = tmp_path / "partitions.csv"
    csv.write_text(NVS + "".join(rows))
    table = partitions.read_csv(csv)
    memory = bytearray(b"\xff") * table.flash_size
    flash = NORFlash(
        memoryview(memory), memoryview(bytearray(meter_size(len(memory)))), raise_power_cut
    )
    for label, image in images.items():
        at = table.labelled(label).offset
        memory[at : at + len(image or b"")] = image or b""
    where = [table.otadata.offset + index * SECTOR for index in (0, 1)] if records else []
    for at, record in zip(where, records or [], strict=True):
        memory[at : at + 32] = otadata.pack(*record) if record else b"\xff" * 32
    lines: list[str] = []
    bootloader.choose(flash, table, "esp32", lines.append)
    assert lines[-1] == f"boot: {said}"
    for at, record in zip(where, left or [], strict=False):
        wanted = otadata.pack(*record) if record else b"\xff" * 32
        assert bytes(memory[at : at + 32]) == wanted
