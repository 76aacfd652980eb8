"""The staging area: its first sector is written last, and only images that are whole get there."""

from binascii import crc32
from struct import pack_into

from doubles import raised

from sluice.errors import Fail
from sluice.slots.w800 import OneSlot
from sluice.slots.w800_image import name

DIFFERS = True  # LittleFS

HEAP = "2m"
SECTOR, PAGE, XIP = 4096, 256, 0x08000000
APP, STAGE = 0xF000, 0x2F000  # areas of 32 sectors each
SIZE = 32 * SECTOR


def crc(data):
    return crc32(data) ^ 0xFFFFFFFF


def head(body=b"", version=b"1.2.3", attributes=1, **fields):
    """A header; `fields` change members by name after the CRC of the body is in."""
    values = {
        "magic": 0xA0FFFF9F, "attributes": attributes, "address": XIP + APP + 0x400,
        "length": len(body), "header": XIP + APP, "staging": XIP + STAGE, "body": crc(body),
        "next": 0,
    }  # fmt: skip
    values.update(fields)
    data = bytearray(64)
    pack_into(
        "<7I", data, 0, values["magic"], values["attributes"], values["address"],
        values["length"], values["header"], values["staging"], values["body"],
    )  # fmt: skip
    data[32 : 32 + len(version)] = version
    pack_into("<I", data, 56, values["next"])
    pack_into("<I", data, 60, fields.get("crc", crc(data[:60])))
    return data


def image(sectors=3, **words):
    """An image of so many sectors, less some bytes."""
    body = bytes((at * 7 + (at >> 8) * 3) % 251 for at in range(sectors * SECTOR - 100))
    return bytes(head(body, **words)) + body


class Flash:
    """W800's flash as its module gives it, with the rules of the chip."""

    def __init__(self, parts=(("app", APP, SIZE), ("app_ota", STAGE, SIZE))):
        self.parts = {name: (at, size) for name, at, size in parts}
        self.data = bytearray(b"\xff" * (STAGE + SIZE))
        self.programs = {}
        self.log = []
        self.data[APP : APP + 64] = head(b"old", version=b"1.0.0")

    def part_find(self, name):
        if name not in self.parts:
            raise OSError(2)
        return self.parts[name]

    def flash_read(self, offset, buf):
        buf[:] = self.data[offset : offset + len(buf)]

    def flash_write(self, offset, buf):
        assert offset >= STAGE and offset + len(buf) <= STAGE + SIZE
        self.log.append(("write", offset - STAGE, len(buf)))
        for page in range(offset // PAGE, (offset + len(buf) - 1) // PAGE + 1):
            self.programs[page] = self.programs.get(page, 0) + 1
            assert self.programs[page] <= 64
        for at, byte in enumerate(buf):
            self.data[offset + at] &= byte

    def flash_erase(self, offset, size):
        assert offset >= STAGE and offset + size <= STAGE + SIZE
        assert offset % SECTOR == size % SECTOR == 0
        self.log.append(("erase", offset - STAGE, size))
        self.data[offset : offset + size] = b"\xff" * size
        for page in range(offset // PAGE, (offset + size) // PAGE):
            self.programs[page] = 0


def stage(slots, data, sectors=None):
    """Write an image as sluice.transfer.image does, whole sectors in the order given."""
    count, target = -(-len(data) // SECTOR), slots.target()
    for sector in sectors or range(count):
        part = data[sector * SECTOR : (sector + 1) * SECTOR]
        target.writeblocks(sector, part + b"\xff" * (SECTOR - len(part)))


def test_staging_names_what_runs_by_version_and_checksum():
    slots = OneSlot(Flash())
    assert slots.version == "1.0.0" and slots.running == "1.0.0-%08x" % crc(b"old")
    assert slots.inactive == "app_ota" and slots.size == 30 * SECTOR
    assert slots.trial is None


def test_staging_of_a_slot_without_a_header_has_no_version():
    flash = Flash()
    flash.data[APP : APP + 64] = b"\xff" * 64
    assert OneSlot(flash).version == "" and OneSlot(flash).running == "app-ffffffff"
    flash.data[APP : APP + 64] = head(version=b"1 2")
    assert OneSlot(flash).version == ""


def test_staging_without_its_areas_fails_by_name():
    for parts in ((), (("app", APP, SIZE),), (("app_ota", STAGE, SIZE),)):
        assert raised(Fail, OneSlot, Flash(parts)).reason == "no staging area"


def test_staging_takes_no_image_that_the_slot_has_no_room_for():
    parts = (("app", APP, 8 * SECTOR), ("app_ota", STAGE, SIZE))
    assert OneSlot(Flash(parts)).size == 7 * SECTOR


def test_check_passes_a_user_image_for_this_layout():
    slots = OneSlot(Flash())
    for more in ({}, {"staging": 0}, {"next": 0xFFFFFFFF}, {"version": b""}):
        data = image(**more)
        version = more.get("version", b"1.2.3").decode()
        assert slots.check(memoryview(data)[:80], len(data)) == version
    signed = image(attributes=0x101) + bytes(128)
    assert slots.check(signed[:80], len(signed)) == "1.2.3"


def test_check_refuses_by_name():
    slots, whole = OneSlot(Flash()), image()
    cases = (
        (image(magic=0xA0FFFF9E), "not an app image"),
        (bytes(4096), "not an app image"),
        (b"\xe9" + whole[1:], "not an app image"),
        (whole[:64], "not an app image"),
        (image(crc=5), "header damaged"),
        (image(attributes=0), "not an app image: type"),
        (image(attributes=2), "not an app image: type"),
        (image(attributes=0xE), "not an app image: type"),
        (image(attributes=0x10001), "compressed or encrypted image"),
        (image(attributes=0x100001), "compressed or encrypted image"),
        (image(attributes=0x11), "compressed or encrypted image"),
        (image(next=XIP + STAGE), "chain of images"),
        (image(address=XIP + STAGE + 0x400), "image for another layout"),
        (image(header=XIP), "image for another layout"),
        (image(staging=XIP), "image for another layout"),
        (image(length=0), "image cut short"),
        (image(length=3 * SECTOR - 99), "image cut short"),
        (image(attributes=0x101), "image cut short"),
        (image(31), "image larger than the slot"),
    )
    for data, reason in cases:
        assert raised(Fail, slots.check, data[:80], len(data)).reason == reason
    damaged = bytearray(whole)
    damaged[40] ^= 1
    assert raised(Fail, slots.check, damaged[:80], len(damaged)).reason == "header damaged"


def test_boot_loader_sees_no_image_before_it_is_activated():
    flash, data = Flash(), image()
    slots = OneSlot(flash)
    stage(slots, data, (2, 0, 1))
    held = bytearray(len(data))
    slots.target().readblocks(0, held)
    assert held == data
    assert flash.data[STAGE : STAGE + SECTOR] == b"\xff" * SECTOR
    assert slots.next() == name(data) == "1.2.3-%08x" % crc(data[64:])
    slots.activate()
    assert flash.data[STAGE : STAGE + len(data)] == data


def test_activating_writes_the_page_with_the_header_last():
    flash = Flash()
    slots = OneSlot(flash)
    stage(slots, image())
    flash.log.clear()
    slots.activate()
    erases = [entry for entry in flash.log if entry[0] == "erase"]
    assert erases == [("erase", SIZE - SECTOR, SECTOR), ("erase", 0, SECTOR)]
    assert flash.log[:2] == erases
    assert flash.log[2:] == [("write", at, PAGE) for at in range(SECTOR - PAGE, -1, -PAGE)]


def test_new_download_first_hides_what_was_staged_before():
    flash = Flash()
    slots = OneSlot(flash)
    stage(slots, image())
    slots.activate()
    for again in (slots, OneSlot(flash)):
        flash.log.clear()
        again.target().ioctl(6, 1)
        assert flash.log == [("erase", 0, SECTOR), ("erase", SECTOR, SECTOR)]
        stage(again, image())
        again.activate()


def test_image_that_is_damaged_in_flash_becomes_nothing():
    flash, data = Flash(), image()
    slots = OneSlot(flash)
    stage(slots, data)
    flash.data[STAGE + 2 * SECTOR + 5] ^= 1
    assert raised(Fail, slots.next).reason == "image damaged"
    stage(slots, image(length=SIZE))
    assert raised(Fail, slots.next).reason == "image damaged"


def test_small_blocks_are_programmed_once_a_page():
    flash, data = Flash(), image()
    slots = OneSlot(flash)
    target = slots.target()
    for sector in range(3):
        target.ioctl(6, sector)
        for at in range(0, SECTOR, PAGE):
            part = data[sector * SECTOR + at : sector * SECTOR + at + PAGE]
            target.writeblocks(sector, part, at)
    assert slots.next() == name(data)
    pages = {at: count for at, count in flash.programs.items() if count}
    assert set(pages.values()) == {1}


def test_programs_inside_a_page_or_over_one_are_refused():
    slots = OneSlot(Flash())
    target = slots.target()
    assert raised(OSError, target.writeblocks, 1, bytes(PAGE), 0).errno == 5  # nothing erased yet
    target.ioctl(6, 1)
    assert raised(OSError, target.writeblocks, 1, bytes(16), 16).errno == 22
    target.writeblocks(1, bytes(PAGE), PAGE)
    assert raised(OSError, target.writeblocks, 1, bytes(PAGE), PAGE).errno == 5
    assert target.ioctl(4, 0) is None


def test_area_ends_before_its_last_two_sectors():
    target = OneSlot(Flash()).target()
    target.writeblocks(29, bytes(SECTOR))
    for call in (
        lambda: target.ioctl(6, 30),
        lambda: target.ioctl(6, -1),
        lambda: target.writeblocks(29, bytes(2 * SECTOR)),
        lambda: target.readblocks(29, bytearray(SECTOR + 1)),
        lambda: target.readblocks(0, bytearray(1), -1),
    ):
        assert raised(OSError, call).errno == 22


def test_activating_on_flash_that_fails_is_a_fail():
    flash = Flash()
    slots = OneSlot(flash)
    stage(slots, image())

    def broken(offset, size):
        raise OSError(5)

    flash.flash_erase = broken
    assert str(raised(Fail, slots.activate)) == "flash 5"
