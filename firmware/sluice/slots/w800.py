"""One app slot and a staging area, as W800 has them, over the flash that the board hands in.

An image is staged; at the next start the boot loader copies it over the one that runs. So there is
no trial and no way back: what is known after the reset is which image's header the slot has.

A header at the start of the staging area is all that the boot loader needs to take an image: see
slots.target. The area's last sector is the boot loader's own. The agent erases it before the boot
loader looks, like the vendor's SDK does.

flash    part_find, flash_read, flash_write, flash_erase, kv_get, kv_set: see boards/W800/README.md
source   WinnerMicro wm_iot_sdk: partition table, ota
"""

from micropython import const

from sluice.errors import Fail
from sluice.loading import Scope, plug_in

_SECTOR = const(4096)
_PAGE = const(256)  # bytes; at most 64 programs between two erases
_HEADER = const(64)
_GAP = const(0x400)  # from the header to the body, where it runs
_ERASE = const(6)  # ioctl of MicroPython's block devices
_EINVAL = const(22)
_EIO = const(5)
_RESERVED = const(2)  # sectors at the end: where the first one waits, and the boot loader's


class OneSlot:
    """What sluice.slots.esp32.Slots is on boards with two slots.

    running  names the image that runs, by its version and checksum
    plain    the staging area, as it lies in flash
    raises   Fail("no staging area") when the partition table has none
    """

    trial = None
    image = "sluice.slots.w800_image"

    def __init__(self, flash):
        try:
            app, room = flash.part_find("app")
            start, size = flash.part_find("app_ota")
        except OSError:
            raise Fail("no staging area")
        self._flash = flash
        self._places = (app, start)
        self._room = size - _RESERVED * _SECTOR
        self.size = min(room - _SECTOR, self._room)
        self.plain = Area(flash, start, size)
        self.inactive = "app_ota"
        head = bytearray(_HEADER)
        flash.flash_read(app, head)
        self.running = plug_in("sluice.slots.w800_image", "name")(head)
        self.version = plug_in("sluice.slots.w800_image", "version_in")(head) or ""

    def check(self, head, size):
        """Judge an image by its first 80 bytes; as sluice.slots.esp32.Slots.check."""
        with Scope():  # in mid-download, when the heap is at its fullest
            return plug_in("sluice.slots.w800_image", "check")(head, size, self.size, self._places)

    def next(self):
        """What `running` will be once the staged image runs. Raises Fail unless it is whole."""
        return plug_in("sluice.slots.w800_image", "whole")(self.target(), self.size)

    def read(self, offset, buf):
        """Fill `buf` with what the image that runs has there. Raises OSError.

        Its body lies apart from its header.
        """
        view, at = memoryview(buf), self._places[0] + offset
        head = min(max(_HEADER - offset, 0), len(view))
        if head:
            self._flash.flash_read(at, view[:head])
        if head < len(view):
            self._flash.flash_read(at + head + _GAP - _HEADER, view[head:])

    def target(self):
        """The staging area, as an image is written to it: a new sluice.slots.target.Target."""
        return plug_in("sluice.slots.target", "Target")(self.plain, self._room)

    def activate(self, new=True):
        """Let the boot loader see what is staged. Raises Fail("flash", errno)."""
        try:
            self.plain.ioctl(_ERASE, self._room // _SECTOR + 1)
            self.target().release()
        except OSError as error:
            raise Fail("flash", *error.args[:1])

    def hide(self):
        """What is staged is not to be taken: the boot loader did not, or was not to see it yet."""
        plug_in("sluice.slots.target", "hide")(self.plain)

    def confirm(self):
        """Nothing to end."""


class Cell:
    """A record of the journal in the key-value store: see sluice.journal.Journal."""

    def __init__(self, flash, key):
        self._flash = flash
        self._key = key

    def load(self):
        return self._flash.kv_get(self._key) or b""

    def save(self, data):
        self._flash.kv_set(self._key, data)


class Area:
    """The staging area as it lies in flash: a block device of 4,096 B sectors.

    A program begins with a page, in bytes that are erased: so none is programmed twice.
    """

    def __init__(self, flash, start, size):
        self._flash = flash
        self._start = start
        self._size = size

    def readblocks(self, sector, buf, offset=0):
        """Fill `buf`. Raises OSError(EINVAL) past the end, as the others do."""
        self._flash.flash_read(self._place(sector, offset, len(buf)), buf)

    def writeblocks(self, sector, buf, offset=None):
        """Without `offset` erase the sector, then program; with it only program.

        raises   OSError(EINVAL) for a program inside a page, OSError(EIO) for one in bytes that
                 are not erased
        """
        place = self._place(sector, offset or 0, len(buf))
        if place % _PAGE:
            raise OSError(_EINVAL)
        if offset is None:
            self._flash.flash_erase(place, _SECTOR)
        elif not self._blank(place, len(buf)):
            raise OSError(_EIO)
        self._flash.flash_write(place, buf)

    def ioctl(self, operation, sector):
        """Erases only."""
        if operation != _ERASE:
            return None
        self._flash.flash_erase(self._place(sector, 0, _SECTOR), _SECTOR)
        return 0

    def _place(self, sector, offset, length):
        at = sector * _SECTOR + offset
        if at < 0 or at + length > self._size:
            raise OSError(_EINVAL)
        return self._start + at

    def _blank(self, place, length):
        piece = bytearray(_HEADER)
        view = memoryview(piece)
        for at in range(0, length, _HEADER):
            part = view[: min(_HEADER, length - at)]
            self._flash.flash_read(place + at, part)
            for byte in part:
                if byte != 0xFF:
                    return False
        return True
