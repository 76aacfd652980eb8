"""A chip with two slots, its boot loader, and a file system; each operation of it may fail."""

from binascii import crc32
from hashlib import sha256
from struct import pack, unpack_from

import medium

SECTOR = 4096
NEW, PENDING, VALID, ABORTED = 0, 1, 2, 4
ERASED = memoryview(b"\xff" * SECTOR)  # no heap is needed to erase
SLOT = 8  # sectors
ROWS = (  # type, subtype, address, size, label
    (0, 0x10, 0x10000, SLOT * SECTOR, "ota_0"),
    (0, 0x11, 0x90000, SLOT * SECTOR, "ota_1"),
    (1, 0x00, 0x0D000, 2 * SECTOR, "otadata"),
)


def blank(data):
    """Erase all of it, sector by sector, as there may be no room for another of its size."""
    for at in range(0, len(data), SECTOR):
        memoryview(data)[at : at + SECTOR] = ERASED


class Disk(medium.Chip):
    """The file system's flash; operation number `fails` ends in an error, or all from there."""

    fails = lasting = None
    halted = False  # the board has been reset: whatever still runs writes nothing
    pool = {}  # number of blocks → its bytes: boards come one after the other

    def __init__(self, blocks):
        if blocks not in self.pool:
            self.pool[blocks] = bytearray(blocks * medium.BLOCK)
        self.data = self.pool[blocks]
        blank(self.data)
        self.left = None
        self.operations = self.erases = self.read = 0

    def writeblocks(self, n, buf, offset=0):
        """-EIO where it fails: an exception would leave LittleFS, which is C, half-way."""
        if self.halted:
            return 0
        if self._due():
            return -5
        return super().writeblocks(n, buf, offset)

    def ioctl(self, op, arg):
        if op != 6 or self.halted:
            return super().ioctl(op, arg) if op != 6 else 0
        if self._due():
            return -5
        self.operations += 1
        memoryview(self.data)[arg * SECTOR : (arg + 1) * SECTOR] = ERASED
        return 0

    def _due(self):
        if self.fails is None:
            return False
        self.fails -= 1
        return self.fails < 0 if self.lasting else self.fails == -1


medium.Chip = Disk


class Part:
    """A partition of NOR flash, with the methods of esp32.Partition that the firmware uses."""

    def __init__(self, row):
        self.row = row
        self.data = bytearray(b"\xff" * row[3])

    def info(self):
        return self.row

    def readblocks(self, sector, buf, offset=0):
        at = sector * SECTOR + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, sector, buf, offset=None):
        if self.chip.halted:
            return
        self.chip.operate(self)
        if offset is None:
            self._erase(sector)
        at = sector * SECTOR + (offset or 0)
        place = memoryview(self.data)[at : at + len(buf)]
        assert place == ERASED[: len(buf)], "programmed without erasing"
        place[:] = buf

    def ioctl(self, operation, argument):
        if operation == 6:
            try:
                self.chip.operate(self)
            except OSError:
                return -22
            self._erase(argument)
        return {4: self.row[3] // SECTOR, 5: SECTOR}.get(operation, 0)

    def _erase(self, sector):
        memoryview(self.data)[sector * SECTOR : (sector + 1) * SECTOR] = ERASED

    def get_next_update(self):
        return self.chip.parts[1 - self.chip.parts.index(self)]

    def set_boot(self):
        self.chip.operate(self)
        if not whole(self.data):
            raise OSError(-0x1503)
        sequence, _, at = self.chip.record()
        number = self.chip.parts.index(self)
        following = sequence + 1
        while (following - 1) % 2 != number:
            following += 1
        self.chip.note(1 - at, following, NEW)

    def mark_app_valid_cancel_rollback(self):
        self.chip.operate(self)
        sequence, state, at = self.chip.record()
        if state != VALID:
            self.chip.note(at, sequence, VALID)


def whole(data):
    """Whether the slot's image has the digest that it names; the boot loader looks for that."""
    for size in Chip.sizes:
        body = memoryview(data)[:size]
        if data[0] == 0xE9 and sha256(body[:-32]).digest() == bytes(body[-32:]):
            return True
    return False


class Chip:
    """What outlives a reset. `sizes` are those of the images that there are."""

    sizes = ()
    pool = None  # its partitions, likewise
    halted = False

    def __init__(self, files, blocks=40):
        self.parts = self.pool or [Part(row) for row in ROWS]
        Chip.pool = self.parts
        for part in self.parts:
            blank(part.data)
            part.chip = self
        self.operations = 0
        self.fails = self.lasting = None
        self.board = medium.Board(blocks, files)
        self.disk = self.board.chip
        self.running = self.parts[0]
        self.note(0, 1, VALID)

    def operate(self, part):
        """One operation of a slot's flash, or of otadata; it may fail."""
        self.operations += 1
        if self.fails is not None:
            self.fails -= 1
            if self.fails < 0 if self.lasting else self.fails == -1:
                raise OSError(-1, "ESP_FAIL")

    def note(self, at, sequence, state):
        record = pack("<I20sII", sequence, b"\xff" * 20, state, self._crc(sequence))
        self.parts[2].data[at * SECTOR : at * SECTOR + 32] = record

    def _crc(self, sequence):
        return crc32(pack("<I", sequence), 0xFFFFFFFF)

    def record(self):
        """(sequence, state, which of the two) of the record in force."""
        best = (0, VALID, 0)
        for at in (0, 1):
            sequence, state, crc = unpack_from("<I20xII", self.parts[2].data, at * SECTOR)
            if crc == self._crc(sequence) and state != ABORTED and sequence > best[0]:
                best = (sequence, state, at)
        return best

    def boot(self):
        """As ESP-IDF's boot loader: what was on trial and not confirmed is taken back."""
        sequence, state, at = self.record()
        if state == PENDING:
            self.note(at, sequence, ABORTED)
            sequence, state, at = self.record()
        elif state == NEW:
            self.note(at, sequence, PENDING)
        self.running = self.parts[(sequence - 1) % 2]
        assert whole(self.running.data), "no image to boot"

    @property
    def trial(self):
        return self.record()[1] in (NEW, PENDING)


def partition_class(chip):
    """esp32.Partition of that chip."""

    class Partition:
        RUNNING = 1

        def __new__(cls, which):
            assert which == cls.RUNNING
            return chip.running

        @staticmethod
        def find(type=0, subtype=0xFF):
            return [
                part
                for part in chip.parts
                if part.row[0] == type and subtype in (0xFF, part.row[1])
            ]

    return Partition
