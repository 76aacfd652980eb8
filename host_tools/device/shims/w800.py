"""The module that a W800 port is asked for, over the simulated flash: see boards/W800/README.md.

Stricter than the chip: what would break the running system, or wear a page out of its rules, is a
panic. The key-value store keeps its power-cut promise with one record a sector of `nvs`: the old
value stays until the new one is whole.
"""

import struct
from binascii import crc32

import sim_chip as chip

_TABLE, _MAGIC = 0xE000, 0xA1F2F39F
_PROTECTED = 0x2000  # bytes at the beginning that cannot be written
_PROGRAMS = 64  # of a page, at most, between two erases
_ENOENT, _EINVAL = 2, 22
_RECORD = 16  # bytes before a key and its value: CRC of the rest, number, two lengths


def part_find(name, /):
    """(offset, size) of a partition."""
    head = memoryview(bytearray(28))
    chip.flash.read(_TABLE, head[:12])
    magic, _, count, _ = struct.unpack("<IHHI", head)
    for number in range(count if magic == _MAGIC else 0):
        chip.flash.read(_TABLE + 12 + 28 * number, head)
        label, offset, size, _ = struct.unpack("<16s3I", head)
        if label.rstrip(b"\0").decode() == name:
            return offset, size
    raise OSError(_ENOENT)


def _allowed(offset, size):
    app = part_find("app")
    if offset < 0 or offset + size > 0x200000:
        raise OSError(_EINVAL)
    if offset < _PROTECTED or offset < app[0] + app[1] and offset + size > app[0]:
        chip.panic("write to a protected region of flash")


def flash_read(offset, buf, /):
    """Fill `buf`."""
    view = memoryview(buf)
    if offset < 0 or offset + len(view) > 0x200000:
        raise OSError(_EINVAL)
    chip.flash.read(offset, view)


def flash_write(offset, buf, /):
    """Program; a bit that is 0 stays 0."""
    size = len(buf)
    _allowed(offset, size)
    chip.flash.program(offset, buf)
    for page in range(offset // chip.PAGE, (offset + size + chip.PAGE - 1) // chip.PAGE):
        if chip.meter[chip.METER_HEAD + page] > _PROGRAMS:
            chip.panic("a page was programmed too often")


def flash_erase(offset, size, /):
    """Set whole sectors to 0xFF."""
    if offset % chip.SECTOR or size % chip.SECTOR:
        raise OSError(_EINVAL)
    _allowed(offset, size)
    chip.flash.erase(offset, size)


def reboot():
    """Through the boot loader, at once."""
    chip.leave(chip.HARD_RESET)


_fed_ms = 0


def watchdog(timeout_ms, /):
    """Resets the board unless `feed` is called within that time."""
    global _fed_ms
    _fed_ms = timeout_ms
    chip.timer(timeout_ms)


def feed():
    """Start the wait again."""
    chip.timer(_fed_ms)


def _bytes(offset, size):
    found = bytearray(size)
    chip.flash.read(offset, memoryview(found))
    return bytes(found)


def _records():
    """(sector, number, key, value) of each record that is whole; no more of a sector is read, as
    this heap is the firmware's."""
    offset, size = part_find("nvs")
    for sector in range(offset, offset + size, chip.SECTOR):
        head = _bytes(sector, _RECORD)
        crc, number, first, second = struct.unpack("<4I", head)
        if max(first, second, _RECORD + first + second) > chip.SECTOR:
            continue
        both = _bytes(sector + _RECORD, first + second)
        if crc == crc32(both, crc32(head[4:])):
            yield sector, number, both[:first], both[first:]


def kv_get(key, /):
    """The value, or None."""
    key, newest, found = key.encode(), 0, None
    for _, number, other, value in _records():
        if other == key and number > newest:
            newest, found = number, value
    return found


def kv_set(key, value, /):
    """Keep it: after a power cut the old value is there, or the new one."""
    offset, size = part_find("nvs")
    held = {}  # key → the newest record of it
    for sector, number, other, _ in _records():
        if number > held.get(other, (0, 0))[0]:
            held[other] = number, sector
    used = {sector for _, sector in held.values()}
    free = [at for at in range(offset, offset + size, chip.SECTOR) if at not in used]
    if not free or _RECORD + len(key) + len(value) > chip.SECTOR:
        raise OSError(28)
    number = max([record[0] for record in held.values()] + [0]) + 1
    key = key.encode()
    record = struct.pack("<3I", number, len(key), len(value)) + key + bytes(value)
    chip.flash.erase(free[0])
    chip.flash.program(free[0], struct.pack("<I", crc32(record)) + record)


def _disk():
    return Disk(*part_find("vfs"))


class Disk:
    """Where the file system lies, as a block device."""

    def __init__(self, offset, size, /):
        self._offset, self._size = offset, size

    def readblocks(self, n, buf, off=0, /):
        flash_read(self._offset + n * chip.SECTOR + off, buf)

    def writeblocks(self, n, buf, off=None, /):
        at = self._offset + n * chip.SECTOR + (off or 0)
        if off is None:
            flash_erase(at, len(buf))
        flash_write(at, buf)

    def ioctl(self, op, arg, /):
        if op == 6:
            flash_erase(self._offset + arg * chip.SECTOR, chip.SECTOR)
        return self._size // chip.SECTOR if op == 4 else chip.SECTOR if op == 5 else 0
