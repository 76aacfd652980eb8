"""W800's boot loader: what is staged is copied over what runs, and nothing is tried or taken back.

1. A staged image that is whole, and was not copied yet, is copied over the slot.
2. The same, copied or not, when the slot's own image is damaged: so a copy whose power failed is
   made again.
3. The slot boots, when its image is whole.

Of a copy the slot's first sector is erased first and written last. The last sector of the staging
area then gets the CRC of what was copied; while it is erased, what is staged is new. No document
says how the real one recognizes a new image. The vendor's SDK erases that sector, and so do we.
Source: WinnerMicro wm_iot_sdk, flow chart of the boot loader.
"""

from sluice.device.bootloader import NoBootableImage, Report, Start
from sluice.device.norflash import SECTOR, NORFlash
from sluice.errors import SluiceError
from sluice.image import Image, read_image
from sluice.image.partitions import Partition, Table
from sluice.image.w800 import GAP, HEADER, crc


def place(flash: NORFlash, row: Partition, image: bytes) -> None:
    """Put an image where it runs, or as it is staged; the sectors are erased already."""
    gap = GAP - HEADER if row.label == "app" else 0
    flash.program(row.offset + HEADER + gap, image[HEADER:])
    flash.program(row.offset, image[:HEADER])


def slot_image(flash: NORFlash, slot: Partition, chip: str) -> Image:
    """The image in the slot or in the staging area; SluiceError says why it would not boot."""
    raw = _contiguous(flash, slot)
    if raw[:HEADER].count(0xFF) == HEADER:
        raise SluiceError("empty")
    image = read_image(raw)
    if image.chip != chip:
        raise SluiceError(f"made for {image.chip}")
    return image


def _contiguous(flash: NORFlash, slot: Partition) -> bytes:
    raw = bytearray(slot.size)
    flash.read(slot.offset, memoryview(raw))
    return bytes(raw[:HEADER] + raw[GAP:]) if slot.label == "app" else bytes(raw)


def choose(flash: NORFlash, table: Table, chip: str, report: Report) -> Start:
    """Run the boot loader once; `report` gets a line for whatever it does."""
    slot, staging = table.slots
    runs, staged = (_whole(flash, area, chip, report) for area in table.slots)
    if staged and (not runs or _is_new(flash, staging)):
        report(f"boot: copying {staging.label} {staged.version or '-'}")
        _copy(flash, slot, staging, staged)
        runs = _whole(flash, slot, chip, report)
    if not runs:
        raise NoBootableImage("no bootable image")
    report(f"boot: {slot.label} {runs.version or '-'} valid")
    return Start(slot, runs, "valid")


def _whole(flash: NORFlash, area: Partition, chip: str, report: Report) -> Image | None:
    try:
        return slot_image(flash, area, chip)
    except SluiceError as error:
        if str(error) != "empty":
            report(f"boot: skipped {area.label}: {error}")
        return None


def _is_new(flash: NORFlash, staging: Partition) -> bool:
    flag = bytearray(4)
    flash.read(staging.offset + staging.size - SECTOR, memoryview(flag))
    return flag == b"\xff" * 4


def _copy(flash: NORFlash, slot: Partition, staging: Partition, image: Image) -> None:
    raw = _contiguous(flash, staging)[: image.image_size]
    placed = raw[:HEADER] + b"\xff" * (GAP - HEADER) + raw[HEADER:]
    sectors = range(0, len(placed), SECTOR)
    flash.erase(slot.offset)
    for at in [*sectors[1:], 0]:
        if at:
            flash.erase(slot.offset + at)
        flash.program(slot.offset + at, placed[at : at + SECTOR])
    flag = staging.offset + staging.size - SECTOR
    flash.erase(flag)
    flash.program(flag, crc(raw[HEADER:]).to_bytes(4, "little"))
