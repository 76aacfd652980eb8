"""The slots: what otadata says, and which image is refused by its first bytes."""

from binascii import crc32
from struct import pack

from doubles import raised

from sluice.errors import Fail
from sluice.slots.esp32 import Slots
from sluice.slots.esp32_image import version_in

LAST = 0x17F  # the slot's last sector: where the head of a download waits
NEW, PENDING, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF


def head(magic=0xE9, chip=0, descriptor=0xABCD5432, version=b"1.2.3"):
    """The first 80 bytes of an app image."""
    data = bytearray(80)
    data[0] = magic
    data[12:14] = pack("<H", chip)
    data[32:36] = pack("<I", descriptor)
    data[48 : 48 + len(version)] = version
    return data


def record(sequence, state, crc=None):
    """An otadata record as ESP-IDF writes it."""
    good = crc32(pack("<I", sequence), 0xFFFFFFFF)
    return pack("<I20sII", sequence, b"\xff" * 20, state, good if crc is None else crc)


class Part:
    """A partition, and the class's own methods; the table is in `table`."""

    RUNNING = 1
    table = []

    def __new__(cls, which, *info):
        if which == cls.RUNNING:
            return cls.running
        return object.__new__(cls)

    def __init__(self, which, *info):
        if which == "make":
            self.row, self.data = (
                info,
                {0: bytes(head()), 1: b"\xff" * 80, LAST: head(version=b"9")},
            )
            if info[0] == 1:
                self.data[0] = b"\xff" * 80
            self.fault, self.log = None, []

    @classmethod
    def find(cls, type=0, subtype=0xFF):
        return [p for p in cls.table if p.row[0] == type and subtype in (0xFF, p.row[1])]

    def info(self):
        return self.row

    def get_next_update(self):
        others = [p for p in self.table if p.row[0] == 0 and p.row[1] >= 0x10]
        if not others:
            raise OSError(-261)
        return others[(others.index(self) + 1) % len(others)] if self in others else others[0]

    def readblocks(self, sector, buf, offset):
        buf[:] = (self.data[sector] + bytes(4096))[offset : offset + len(buf)]

    def writeblocks(self, sector, buf, offset=None):
        if offset == 0:
            self.log.append(("head", bytes(buf[:80])))

    def ioctl(self, operation, sector):
        assert operation == 6
        if self.fault == 5:
            raise OSError(5)
        self.log.append(("erase", sector))
        return 0

    def set_boot(self):
        if self.fault:
            raise OSError(self.fault)
        self.log.append("set_boot")

    def mark_app_valid_cancel_rollback(self):
        self.log.append("confirm")


def part(type, subtype, address, size, label):
    return Part("make", type, subtype, address, size, label, False)


def layout(running=0, records=(), slots=2, extra=()):
    """Slots on a board that runs from that slot, with those otadata records."""
    apps = [
        part(0, 0x10 + n, 0x10000 + n * 0x180000, 0x180000, "ota_%d" % n) for n in range(slots)
    ]
    otadata = part(1, 0, 0xD000, 0x2000, "otadata")
    for place, data in enumerate(records):
        otadata.data[place] = data
    Part.table = apps + list(extra) + [otadata]
    Part.running = apps[running]
    return Slots(Part)


def test_slots_names_and_sizes_are_the_partitions():
    slots = layout(running=1)
    assert (slots.running, slots.inactive, slots.size) == ("ota_1", "ota_0", 0x17F000)


FACTORY = part(0, 0, 0x310000, 0x180000, "factory")


def test_slots_where_no_update_could_follow_an_update_have_no_target():
    for slots, extra, running, inactive in (
        (2, (), 0, "ota_1"), (1, (), 0, ""), (0, (FACTORY,), None, ""),
        (1, (FACTORY,), None, ""), (1, (FACTORY,), 0, ""),
        (2, (FACTORY,), None, "ota_0"), (2, (FACTORY,), 0, "ota_1"), (2, (FACTORY,), 1, "ota_0"),
        (3, (), 2, "ota_0"),
    ):  # fmt: skip
        layout(0, (), 2)
        layout(running or 0, (), slots, extra) if slots else None
        if not slots:
            Part.table = list(extra)
        if running is None:
            Part.running = FACTORY
        found = Slots(Part)
        assert found.inactive == inactive, (slots, extra, running)
        assert bool(found.plain) == bool(found.size) == bool(inactive)
        assert found.running == ("factory" if running is None else "ota_%d" % running)


def test_slots_started_from_factory_are_on_no_trial():
    records = record(1, VALID), record(2, PENDING)
    layout(0, records, extra=(FACTORY,))
    Part.running = FACTORY
    assert Slots(Part).trial is False
    for index in (0, 1):
        assert layout(index, records, extra=(FACTORY,)).trial is (index == 1)


def test_slots_trial_is_the_pending_record_of_the_running_slot():
    for state in (NEW, PENDING, VALID, INVALID, ABORTED, UNDEFINED):
        assert layout(1, (record(1, VALID), record(2, state))).trial is (state == PENDING)
    assert layout(0, (record(3, PENDING), record(2, VALID))).trial
    assert not layout(0, (record(1, VALID), record(2, PENDING))).trial


def test_slots_trial_counts_only_app_slots():
    extra = [part(0, 0, 0x310000, 0x10000, "factory"), part(0, 0x20, 0x320000, 0x10000, "test")]
    assert layout(1, (record(3, VALID), record(4, PENDING)), extra=extra).trial
    assert not layout(0, (record(3, VALID), record(4, PENDING)), extra=extra).trial
    assert layout(2, (record(5, VALID), record(6, PENDING)), slots=3).trial


def test_slots_record_with_a_bad_crc_is_passed_over():
    assert not layout(1, (record(1, VALID), record(2, PENDING, crc=5))).trial
    assert layout(0, (record(1, PENDING), record(2, VALID, crc=5))).trial


def test_slots_record_that_is_invalid_or_aborted_is_passed_over():
    for state in (INVALID, ABORTED):
        assert layout(0, (record(1, PENDING), record(2, state))).trial


def test_slots_blank_otadata_is_no_trial():
    assert not layout(0, (b"\xff" * 32, b"\xff" * 32)).trial
    assert not layout(0, (bytes(32), bytes(32))).trial


def test_slots_without_otadata_are_no_trial():
    layout(0, (record(1, PENDING), record(2, INVALID)))
    assert Slots(Part).trial
    Part.table = [p for p in Part.table if p.row[0] == 0]
    assert not Slots(Part).trial


def test_slots_version_is_the_running_images():
    for data, version in ((head(version=b"4.5.6"), "4.5.6"), (head(descriptor=1), "")):
        layout()
        Part.running.data[0] = data
        assert Slots(Part).version == version


def test_slots_check_passes_an_app_image_and_tells_its_version():
    assert layout().check(head(), 0x17F000) == "1.2.3"
    assert layout().check(memoryview(head(version=b"")), 80) == ""


def test_slots_check_refuses_by_name():
    slots = layout()
    cases = (
        (head(magic=0xEA), 1_000, "not an app image"),
        (bytearray(80), 1_000, "not an app image"),
        (head(), 79, "not an app image"),
        (head(chip=9), 1_000, "wrong chip"),
        (head(chip=256), 1_000, "wrong chip"),
        (head(descriptor=0xABCD5431), 1_000, "no app descriptor: a merged flash image?"),
        (head(), 0x17F001, "image larger than the slot"),
    )
    for data, size, reason in cases:
        assert raised(Fail, slots.check, data, size).reason == reason


def test_slots_check_takes_images_of_the_chip_that_runs():
    for chip in (0, 5, 9):
        layout()
        Part.running.data[0] = head(chip=chip)
        slots = Slots(Part)
        assert slots.check(head(chip=chip), 1_000) == "1.2.3"
        for other in {0, 5, 9} - {chip}:
            error = raised(Fail, slots.check, head(chip=other), 1_000)
            assert str(error) == "wrong chip %d" % other


def test_slots_on_trial_activate_nothing():
    slots = layout(1, (record(1, VALID), record(2, PENDING)))
    assert raised(Fail, slots.activate).reason == "the image that runs is on trial"
    assert not slots.plain.log
    slots.confirm()
    slots.activate()
    assert slots.plain.log == ["set_boot"]


def test_slots_activate_sets_the_other_slot_to_boot():
    slots = layout(running=1)
    slots.activate()
    assert slots.plain.log == ["set_boot"] and slots.plain.row[4] == "ota_0"


def test_slots_activate_a_new_image_puts_its_head_in_place_before_the_boot_loader_looks():
    slots = layout(running=1)
    slots.activate(True)
    assert slots.plain.log == [("erase", 0), ("head", bytes(head(version=b"9"))), "set_boot"]


def test_slots_activate_on_flash_that_fails_says_so():
    slots = layout()
    slots.plain.fault = 5
    assert str(raised(Fail, slots.activate, True)) == "flash 5"
    assert not slots.plain.log


def test_slots_hide_erases_the_head_but_not_that_of_the_way_back():
    slots = layout()
    slots.hide()
    assert slots.plain.log == [("erase", 0)]
    slots = layout(1, (record(1, VALID), record(2, PENDING)))
    slots.hide()
    assert not slots.plain.log
    slots = layout()
    slots.plain.fault = 5  # said in the log: the board must go on
    slots.hide()


def test_slots_activate_refused_fails_with_the_boot_loaders_number():
    slots = layout()
    slots.plain.fault = -5379
    error = raised(Fail, slots.activate)
    assert str(error) == "image refused by the boot loader -5379"


def test_slots_confirm_marks_the_running_image():
    slots = layout(1, (record(1, VALID), record(2, PENDING)))
    assert slots.trial
    slots.confirm()
    assert Part.running.log == ["confirm"] and not slots.trial


def test_version_in_a_descriptor_that_is_no_text_is_empty():
    for version in (b"1.0 beta", b"\x01", b"1\xff", b"1\n"):
        assert version_in(head(version=version)) == "", version
    assert version_in(head(version=b"x" * 32)) == "x" * 32
    assert version_in(head(version=b"1.0\x00garbage")) == "1.0"
