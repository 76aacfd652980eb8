"""ESP32's second-stage boot loader: which slot boots, and when an update is taken back.

The order of things is ESP-IDF's with rollback enabled (bootloader_utility.c):

1. Neither record usable, or no otadata: `factory`, if there is one, else the first slot; when
   both records are blank and there is no `factory`, that choice is written as valid.
2. A record still PENDING_VERIFY was booted once and never confirmed: it becomes ABORTED.
3. The record in charge chooses the slot; a NEW one becomes PENDING_VERIFY before it boots.
4. A slot whose image is bad is passed over, downwards to `factory` first, then upwards.

Each write of otadata erases a sector and programs a record; the power may fail in between.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sluice.device import otadata
from sluice.device.norflash import SECTOR, NORFlash
from sluice.errors import SluiceError
from sluice.image import Image, read_image
from sluice.image.partitions import Partition, Table

_FACTORY = -1  # index of `factory`, below ota_0
Report = Callable[[str], None]


@dataclass(frozen=True)
class Start:
    """What was chosen. `state` is valid, trial, or new-board: no usable record."""

    slot: Partition
    image: Image
    state: str


class NoBootableImage(SluiceError):
    """No slot holds an image that is whole: a real board resets for ever."""


def choose(flash: NORFlash, table: Table, chip: str, report: Report) -> Start:
    """Run the boot loader once; `report` gets a line for whatever it does."""
    records, where = [], 0
    if table.otadata and table.slots:
        where = table.otadata.offset
        records = _records(flash, where)
    state = "new-board"
    index = _FACTORY if table.factory else 0
    if not all(map(otadata.unusable, records)):  # 1
        _abort_pending(flash, where, records, table, report)  # 2
        at = otadata.active(records)
        if at >= 0:
            index = (records[at][0] - 1) % len(table.slots)
            state = "valid"
            if records[at][1] == otadata.NEW:  # 3
                state = "trial"
                _write(flash, where, at, records[at][0], otadata.PENDING_VERIFY)
    start = _first_good(flash, table, index, state, chip, report)  # 4
    blank = records and all(record[0] == 0xFFFFFFFF for record in records)
    if blank and not table.factory:
        _write(flash, where, 0, table.slots.index(start.slot) + 1, otadata.VALID)
    report(f"boot: {start.slot.label} {start.image.version or '-'} {start.state}")
    return start


def _records(flash: NORFlash, where: int) -> list[tuple]:
    records = []
    for index in (0, 1):
        raw = bytearray(otadata.RECORD)
        flash.read(where + index * SECTOR, memoryview(raw))
        records.append(otadata.parse(raw))
    return records


def _write(flash: NORFlash, where: int, index: int, sequence: int, state: int) -> None:
    flash.erase(where + index * SECTOR)
    flash.program(where + index * SECTOR, otadata.pack(sequence, state))


def _abort_pending(
    flash: NORFlash, where: int, records: list[tuple], table: Table, report: Report
) -> None:
    for index, (sequence, state, right) in enumerate(records):
        if state != otadata.PENDING_VERIFY or not right:
            continue
        _write(flash, where, index, sequence, otadata.ABORTED)
        records[index] = (sequence, otadata.ABORTED, right)
        label = table.slots[(sequence - 1) % len(table.slots)].label
        report(f"boot: rolled back {label}")


def _first_good(
    flash: NORFlash, table: Table, index: int, state: str, chip: str, report: Report
) -> Start:
    """The slot at `index` or, if its image is bad, the next in the boot loader's order."""
    slots = dict(enumerate(table.slots)) | ({_FACTORY: table.factory} if table.factory else {})
    order = [*range(index, _FACTORY - 1, -1), *range(index + 1, len(slots))]
    for candidate in order:
        if candidate not in slots:
            continue
        slot = slots[candidate]
        try:
            image = slot_image(flash, slot, chip)
        except SluiceError as error:
            report(f"boot: skipped {slot.label}: {error}")
            continue
        return Start(slot, image, state if candidate == index else "valid")
    raise NoBootableImage("no slot holds a bootable image")


def slot_image(flash: NORFlash, slot: Partition, chip: str) -> Image:
    """The image in a slot, checked; SluiceError says why it would not boot."""
    raw = bytearray(slot.size)
    flash.read(slot.offset, memoryview(raw))
    if raw[:256].count(0xFF) == 256:
        raise SluiceError("empty")
    image = read_image(bytes(raw))
    if image.chip != chip:
        raise SluiceError(f"made for {image.chip}")
    return image
