"""The first sector of an image: elsewhere until it is proven, on either kind of flash.

The plain room is `doubles.Flash`, which has the calls and the rules of esp32.Partition, or the
staging area of a W800.
"""

from doubles import ERASED, SECTOR, Flash, pattern, raised
from test_oneslot import STAGE
from test_oneslot import Flash as Staging

from sluice import log
from sluice.errors import Fail
from sluice.journal import Journal
from sluice.slots.target import Target, hide
from sluice.slots.w800 import Area
from sluice.transfer.image import Image
from sluice.transfer.update import Update

HEAP = "8m"
ROOM = (
    8  # sectors; the last but one of a W800's is where the head waits, the last its boot loader's
)


class Cut(BaseException):
    """The power failed."""


class Room:
    """A room in flash, and its bytes; the power fails within the operation that `left` counts to.

    part     bytes of that operation that are done
    """

    def __init__(self, plain, data, start):
        self.plain, self._data, self._start = plain, data, start
        self.left = None
        self.part = 0
        self.log = []

    def bytes(self, sector, count=1):
        at = self._start + sector * SECTOR
        return bytes(self._data()[at : at + count * SECTOR])

    def readblocks(self, sector, buf, offset=0):
        self.plain.readblocks(sector, buf, offset)

    def writeblocks(self, sector, buf, offset=None):
        if offset is None:
            self.ioctl(6, sector)
            offset = 0
        self.log.append(("program", sector, offset))
        part = self._step()
        if part is None:
            return self.plain.writeblocks(sector, buf, offset)
        at = self._start + sector * SECTOR + offset
        part = min(part, len(buf))
        self._data()[at : at + part] = bytes(buf)[:part]
        raise Cut

    def ioctl(self, operation, sector):
        self.log.append(("erase", sector))
        part = self._step()
        if part is None:
            return self.plain.ioctl(operation, sector)
        at = self._start + sector * SECTOR
        self._data()[at : at + part] = ERASED * part
        raise Cut

    def _step(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                return self.part
        return None


def rooms():
    """One of each kind; the second is a W800's."""
    flash = Flash(ROOM)
    yield Room(flash, lambda: flash.data, 0)
    staging = Staging()
    yield Room(Area(staging, STAGE, ROOM * SECTOR), lambda: staging.data, STAGE)


def image(seed, sectors=5):
    return bytes(pattern(sectors * SECTOR, seed))


def written(target, data, order=None):
    """Each sector once."""
    for sector in order or range(len(data) // SECTOR):
        target.writeblocks(sector, data[sector * SECTOR : (sector + 1) * SECTOR])


def size_of(room):
    return (ROOM - (2 if isinstance(room.plain, Area) else 1)) * SECTOR


def test_image_is_read_back_whole_while_its_head_is_nowhere_to_be_seen():
    for room in rooms():
        target, data = Target(room, size_of(room)), image(3)
        for order in (None, (4, 2, 0, 1, 3)):
            written(target, data, order)
            held = bytearray(len(data))
            target.readblocks(0, held)
            assert held == data
            assert room.bytes(0) == ERASED * SECTOR
            assert room.bytes(1, 4) == data[SECTOR:]
            piece = bytearray(300)
            target.readblocks(0, piece, SECTOR - 200)
            assert piece == data[SECTOR - 200 : SECTOR + 100]


def test_head_is_erased_before_anything_else_even_where_it_is_equal():
    for room in rooms():
        target, data = Target(room, size_of(room)), image(3)
        written(target, data)
        target.release()
        assert room.bytes(0, 5) == data
        forged = data[:SECTOR] + image(9)[SECTOR:]
        for first in (lambda t: t.ioctl(6, 2), lambda t: written(t, forged, (2,))):
            room.log.clear()
            first(Target(room, size_of(room)))
            assert room.log[:2] == [("erase", 0), ("erase", 2)]
            assert room.bytes(0) == ERASED * SECTOR


def test_release_erases_and_writes_the_first_page_last():
    for room in rooms():
        target, data = Target(room, size_of(room)), image(3)
        written(target, data)
        room.log.clear()
        target.release()
        assert room.log == [("erase", 0)] + [("program", 0, at) for at in range(3840, -1, -256)]
        assert room.bytes(0, 5) == data
        assert raised(OSError, target.writeblocks, 1, bytes(256), 0).errno == 5  # seen again


def test_nothing_is_programmed_before_the_head_is_gone():
    for room in rooms():
        target = Target(room, size_of(room))
        assert raised(OSError, target.writeblocks, 1, bytes(256), 0).errno == 5
        assert not room.log
        target.ioctl(6, 1)
        target.writeblocks(1, bytes(256), 0)
        assert room.log == [("erase", 0), ("erase", 1), ("program", 1, 0)]


def test_room_ends_before_the_waiting_head_and_a_miss_changes_nothing():
    for room in rooms():
        size = size_of(room)
        target, last = Target(room, size), size // SECTOR
        for call in (
            lambda t, n: t.ioctl(6, n),
            lambda t, n: t.ioctl(6, -1),
            lambda t, n: t.writeblocks(n, bytes(SECTOR)),
            lambda t, n: t.writeblocks(n - 1, bytes(2 * SECTOR)),
            lambda t, n: t.writeblocks(n - 1, bytes(16), SECTOR - 8),
            lambda t, n: t.readblocks(n - 1, bytearray(SECTOR + 1)),
            lambda t, n: t.readblocks(0, bytearray(1), -1),
        ):
            assert raised(OSError, call, target, last).errno == 22
        assert not room.log
        target.writeblocks(last - 1, bytes(SECTOR))


def test_head_that_cannot_be_erased_stops_the_write_and_is_told_of_by_hide():
    flash = Flash(ROOM)
    target = Target(flash, 7 * SECTOR)
    flash.broken = 5
    assert raised(OSError, target.ioctl, 6, 2).errno == 5
    assert raised(OSError, target.release).errno == 5
    lines = []
    log.to(lines.append)
    hide(flash)
    log.to(print)
    assert "E" in lines[0].split()[0] and "stays" in lines[0]


def bootable(room, good):
    """What a boot loader would find: one of the images in `good`, whole; None for a torn one.

    An image is told by its first 64 bytes, and believed when they are one's that is known: as with
    a forged image whose checksum and digest are right, all that is behind the head may be other.
    """
    if room.bytes(0)[:64] == ERASED * 64:
        return None
    found = room.bytes(0, 5)
    return found if found in good else False


def cut_anywhere(room_number, begin, act, judge):
    """`act(room)` with the power cut in each operation, at several bytes of it, then `judge`."""
    operation, seen = 0, set()
    while True:
        for part in (0, 1, 63, 64, 255, 300, 2048, 4095, 4096):
            room = list(rooms())[room_number]
            begin(room)
            room.left, room.part = operation, part
            try:
                act(room)
                return seen
            except Cut:
                room.left = None
                seen.add(judge(room))
        operation += 1


GENUINE = image(3)
FORGED = GENUINE[:SECTOR] + image(9)[SECTOR:]


def placed(room):
    target = Target(room, size_of(room))
    written(target, GENUINE)
    target.release()


def test_forged_image_with_the_genuine_head_is_never_whole_wherever_the_power_fails():
    def judge(room):
        assert bootable(room, (GENUINE,)) in (None, GENUINE, False)
        whole = room.bytes(0) == GENUINE[:SECTOR]
        assert not whole or room.bytes(1, 4) == GENUINE[SECTOR:]
        return whole

    for number in (0, 1):
        seen = cut_anywhere(
            number, placed, lambda room: written(Target(room, size_of(room)), FORGED), judge
        )
        assert seen == {True, False}


def test_forged_image_that_goes_on_after_a_cut_is_never_whole_either():
    """The cut tears the erase of the head: at the next start it is erased before all else."""

    def judge(room):
        room.log.clear()
        written(Target(room, size_of(room)), FORGED, (3, 1, 4, 2))
        assert room.log[0] == ("erase", 0)
        return bootable(room, ())

    for number in (0, 1):
        act = lambda room: written(Target(room, size_of(room)), FORGED)  # noqa: E731
        assert cut_anywhere(number, placed, act, judge) == {None}


def test_proven_image_is_there_whole_or_not_at_all_wherever_the_release_is_cut():
    new = image(7)

    def begin(room):
        placed(room)
        written(Target(room, size_of(room)), new)

    def judge(room):
        found = bootable(room, (new,))
        Target(room, size_of(room)).release()  # as after the proof at the next start
        assert room.bytes(0, 5) == new
        return found is False

    for number in (0, 1):
        release = lambda room: Target(room, size_of(room)).release()  # noqa: E731
        cut_anywhere(number, begin, release, judge)


# -- transfer.update and transfer.image over it --------------------------------------------------


class Cell:
    def __init__(self):
        self.data = b""

    def load(self):
        return self.data

    def save(self, data):
        self.data = data


class Slots:
    """As much of a board's slots as an update needs."""

    inactive, version, trial = "ota_1", "1.0.0", False

    def __init__(self, room):
        self.room, self.size = room, size_of(room)

    def target(self):
        return Target(self.room, self.size)

    def check(self, head, size):
        if head[0] == 0xEE:
            raise Fail("not an app image")
        return "2.0.0"


class Job:
    id, number, stamp = "j", 1, 7

    def __init__(self, size):
        self.files = [self]
        self.size, self.signature, self.version = size, "AAAA", None


SETTINGS = {"block": SECTOR, "allow_same_version": False, "allow_downgrade": False}


def opened(room, cells, data):
    update = Update(Slots(room), Journal(cells), SETTINGS, bytearray(SECTOR))
    return update, update.open(Job(len(data)))


def given(update, image, data, sectors):
    for sector in sectors:
        image.open(sector * SECTOR, SECTOR)
        image.write(data[sector * SECTOR : (sector + 1) * SECTOR])
        assert image.close(True)
    update.note()


def test_download_that_goes_on_after_a_start_has_no_head_though_nothing_more_is_written():
    """An earlier firmware may have put it there: complete, but not proven yet."""
    for room in rooms():
        placed(room)
        cells = (Cell(), Cell())
        update, first = opened(room, cells, FORGED)
        given(update, first, FORGED, range(5))
        Target(room, size_of(room)).release()
        assert room.bytes(0) == GENUINE[:SECTOR]
        update, second = opened(room, cells, FORGED)
        assert second.missing() == -1
        assert room.bytes(0) == ERASED * SECTOR


def test_download_that_is_refused_by_its_head_leaves_the_slot_as_it_was():
    for room in rooms():
        placed(room)
        update, image = opened(room, (Cell(), Cell()), FORGED)
        image.open(0, SECTOR)
        assert image.write(b"\xee" * SECTOR)
        assert raised(Fail, image.close, True).reason == "not an app image"
        assert room.bytes(0, 5) == GENUINE


def test_download_on_flash_that_fails_does_not_go_on():
    flash, cells = Flash(ROOM), (Cell(), Cell())
    update, first = opened(Room(flash, None, 0), cells, GENUINE)
    given(update, first, GENUINE, (0, 1))
    flash.broken = 5
    assert raised(Fail, opened, Room(flash, None, 0), cells, GENUINE).reason == "flash"


class Encrypted:
    """A partition that takes only multiples of 16 bytes at multiples of 16."""

    def __init__(self, flash):
        self.flash = flash
        self.readblocks = flash.readblocks
        self.ioctl = flash.ioctl
        self.ends = []

    def writeblocks(self, sector, buf, offset=None):
        if (offset or 0) % 16:
            raise OSError(-0x102, "ESP_ERR_INVALID_ARG")
        if len(buf) % 16:
            raise OSError(-0x104, "ESP_ERR_INVALID_SIZE")
        self.ends.append((sector, (offset or 0) + len(buf)))
        self.flash.writeblocks(sector, buf, offset)


def test_image_of_any_size_is_programmed_in_lines_of_16_bytes():
    for block in (256, 512, 1_024, 2_048, 4_096, 8_192):
        for size in (81, 255, 257, 4_081, 4_095, 4_096, 4_097, 9_000, 3 * SECTOR - 15):
            flash = Flash(ROOM)
            plain, data = Encrypted(flash), pattern(size)
            target = Target(plain, 7 * SECTOR)
            image = Image(target, size, block)
            for at in range(0, size, block):
                part = data[at : at + block]
                image.open(at, len(part))
                image.write(part)
                assert image.close(True), (block, size)
            target.release()
            assert flash.data[:size] == data, (block, size)
            held = bytes(flash.data[size : -(-size // 16) * 16])
            assert held == ERASED * len(held)
            assert all(end <= SECTOR for _, end in plain.ends)
