"""`esp32.Partition` over the simulated flash, with its errors and its erase rules.

The table is read from flash whenever it is needed, so it takes no memory. Errors are ESP-IDF's:
OSError(-code, name). Writing to the slot that runs, or at or below the partition table, aborts. A
partition that the table marks as encrypted is programmed in lines of 16 bytes, like on a chip with
flash encryption. Here the bytes in flash are not encrypted. Source: esp32_partition.c of
MicroPython's esp32 port; esp_partition and esp_ota_ops of ESP-IDF 5.
"""

import struct

import sim_chip as chip
from sim_otadata import NEW, RECORD, VALID, active, choice, pack, parse

_SECTOR = 4096
_TABLE, _TABLE_SIZE, _ENTRY = 0x8000, 0xC00, 32
_OTA_0 = 0x10
_LINE = 16  # bytes
_EINVAL, _ENOENT = 22, 2


def _fault(code, name):
    return OSError(-code, name)


def _argument():
    return _fault(0x102, "ESP_ERR_INVALID_ARG")


def _size():
    return _fault(0x104, "ESP_ERR_INVALID_SIZE")


def _entries():
    """(type, subtype, address, size, label, encrypted) of each row of the table."""
    row = memoryview(bytearray(_ENTRY))
    for at in range(_TABLE, _TABLE + _TABLE_SIZE, _ENTRY):
        chip.flash.read(at, row)
        magic, kind, subtype, address, size, label, flags = struct.unpack("<HBBII16sI", row)
        if magic != 0x50AA:
            return
        yield kind, subtype, address, size, label.rstrip(b"\0").decode(), bool(flags & 1)


def _first(kind, subtype, label):
    for info in _entries():
        if info[0] == kind and subtype in (0xFF, info[1]) and label in (None, info[4]):
            return info
    return None


def _slots():
    return [info for info in _entries() if info[0] == 0 and info[1] & 0xF0 == _OTA_0]


def _records():
    """The partition of otadata and its two records, parsed; (None, None) without one."""
    where = _first(1, 0, None)
    if not where:
        return None, None
    raw = memoryview(bytearray(RECORD))
    records = []
    for index in (0, 1):
        chip.flash.read(where[2] + index * _SECTOR, raw)
        records.append(parse(raw))
    return where, records


def _record(where, index, sequence, state):
    at = where[2] + index * _SECTOR
    chip.flash.erase(at)
    chip.flash.program(at, pack(sequence, state))


def _boot():
    """What the boot loader would choose now, ignoring whether it is whole."""
    where, records = _records()
    slots = _slots()
    if not where:
        return None
    at = active(records)
    if at < 0 or not slots:
        return _first(0, 0, None) or (slots[0] if slots else None)
    return slots[(records[at][0] - 1) % len(slots)]


def _disk():
    """Where the file system lies."""
    return Partition("vfs")


class Partition:
    """One row of the partition table."""

    BOOT = 0
    RUNNING = 1
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, id, block_size=_SECTOR, _info=None, /):
        self._info = _info or self._lookup(id)
        self._block = block_size
        self._cache = memoryview(bytearray(_SECTOR)) if block_size < _SECTOR else None

    @staticmethod
    def _lookup(id):
        if isinstance(id, int):
            if id not in (Partition.BOOT, Partition.RUNNING):
                raise ValueError
            info = _first(0, 0xFF, chip.running) if id else _boot()
        else:
            info = _first(0, 0xFF, id) or _first(1, 0xFF, id)
        if not info:
            raise OSError(_ENOENT)
        return info

    @staticmethod
    def find(type=TYPE_APP, subtype=0xFF, label=None, block_size=_SECTOR):
        """A list of the partitions that match, maybe empty."""
        return [
            Partition(0, block_size, info)
            for info in _entries()
            if info[0] == type and subtype in (0xFF, info[1]) and label in (None, info[4])
        ]

    def info(self):
        """(type, subtype, address, size, label, encrypted)."""
        return self._info

    def readblocks(self, n, buf, off=0, /):
        """Fill `buf` from block `n`, byte `off` of it; any length."""
        view = memoryview(buf)
        at = n * self._block + off
        self._bounds(at, len(view))
        chip.flash.read(self._info[2] + at, view)

    def writeblocks(self, n, buf, off=None, /):
        """Without `off` erase, then program; with it (0 too) only program."""
        data = memoryview(buf)
        at = n * self._block + (off or 0)
        if off is None and self._cache:
            self._rewrite(at, data)
            return
        if off is None:
            self._erase(at, len(data))
        self._program(at, data)

    def ioctl(self, op, arg, /):
        """As vfs.AbstractBlockDev says; erases only when blocks are sectors."""
        if op == 4:
            return self._info[3] // self._block
        if op == 5:
            return self._block
        if op == 6:
            if self._block != _SECTOR:
                return -_EINVAL
            self._erase(arg * self._block, _SECTOR)
            return 0
        return 0 if op in (1, 2, 3) else None

    def get_next_update(self):
        """The slot after this one; the first again after the last."""
        slots = _slots()
        if not slots:
            raise OSError(_ENOENT)
        later = [info for info in slots if info[1] > self._info[1]]
        in_turn = later and self._info in slots
        return Partition(0, _SECTOR, later[0] if in_turn else slots[0])

    def set_boot(self):
        """Check the image as the boot loader does and make it boot next, on trial."""
        kind, subtype, address, size, _, _ = self._info
        if kind != 0:
            raise _argument()
        self._verify(address, size)
        where, records = _records()
        if not where:
            raise _fault(0x105, "ESP_ERR_NOT_FOUND")
        if subtype & 0xF0 != _OTA_0:
            chip.flash.erase(where[2], where[3])
            return
        index, sequence = choice(records, subtype & 0x0F, len(_slots()))
        _record(where, index, sequence, NEW)

    @classmethod
    def mark_app_valid_cancel_rollback(cls):
        """The image in charge stays; nothing is written when it is valid already."""
        where, records = _records()
        if not where:
            raise _fault(0x105, "ESP_ERR_NOT_FOUND")
        at = active(records)
        if at < 0:
            raise OSError(1, "ESP_FAIL")
        if records[at][1] != VALID:
            _record(where, at, records[at][0], VALID)

    def _verify(self, address, size):
        import sys

        import sim_appimage as appimage

        del sys.modules["sim_appimage"]  # seldom needed: its memory is better free
        try:
            appimage.verify(
                lambda offset, view: chip.flash.read(address + offset, memoryview(view)),
                size,
                int(chip.words[4]),
            )
        except ValueError as error:
            print("esp_image: " + error.args[0])
            raise _fault(0x1503, "ESP_ERR_OTA_VALIDATE_FAILED")

    def _bounds(self, at, size):
        if at < 0 or at > self._info[3]:
            raise _argument()
        if at + size > self._info[3]:
            raise _size()

    def _guard(self, at, size):
        """ESP-IDF's default answer to a write that would break the running system."""
        start = self._info[2] + at
        ours = _first(0, 0xFF, chip.running)
        if start < _TABLE + _TABLE_SIZE or (start < ours[2] + ours[3] and start + size > ours[2]):
            chip.panic("write to a protected region of flash")

    def _erase(self, at, size):
        self._bounds(at, size)
        if size % _SECTOR:
            raise _size()
        if at % _SECTOR:
            raise _argument()
        self._guard(at, size)
        chip.flash.erase(self._info[2] + at, size)

    def _program(self, at, data):
        self._bounds(at, len(data))
        if self._info[5] and at % _LINE:
            raise _argument()
        if self._info[5] and len(data) % _LINE:
            raise _size()
        self._guard(at, len(data))
        chip.flash.program(self._info[2] + at, data)

    def _rewrite(self, at, data):
        """Blocks smaller than a sector: read it, patch it, erase it, program it."""
        done = 0
        while done < len(data):
            inside = (at + done) % _SECTOR
            sector = at + done - inside
            count = min(_SECTOR - inside, len(data) - done)
            self._bounds(sector, _SECTOR)
            chip.flash.read(self._info[2] + sector, self._cache)
            self._cache[inside : inside + count] = data[done : done + count]
            self._erase(sector, _SECTOR)
            self._program(sector, self._cache)
            done += count
