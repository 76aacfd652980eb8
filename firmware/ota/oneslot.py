"""One app slot and a staging area, as W800 has them, over the flash that the board hands in.

An image is staged; at the next start the boot loader copies it over the one that runs. So there is
no trial and no way back: what is known after the reset is which image's header the slot has.

A header at the start of the staging area is all that the boot loader needs to take an image. So
the image's first sector waits in another place until all the rest is there and proven. The last
sector is the boot loader's own; it is erased, as the vendor's SDK erases it, before it is to look.

flash    part_find, flash_read, flash_write, flash_erase, kv_get, kv_set: see boards/W800/README.md
source   WinnerMicro wm_iot_sdk: partition table, ota
"""

from micropython import const

from ota.errors import Fail
from ota.loading import let_go, plug_in

_SECTOR = const(4096)
_PAGE = const(256)  # bytes; at most 64 programs between two erases
_HEADER = const(64)
_ERASE = const(6)  # ioctl of MicroPython's block devices
_EINVAL = const(22)
_EIO = const(5)
_RESERVED = const(2)  # sectors at the end: where the first one waits, and the boot loader's


class OneSlot:
    """What ota.slots.Slots is on boards with two slots.

    running  names the image that runs, by its version and checksum
    raises   Fail("no staging area") when the partition table has none
    """

    trial = None
    image = "ota.stagedimage"

    def __init__(self, flash):
        try:
            app, room = flash.part_find("app")
            start, size = flash.part_find("app_ota")
        except OSError:
            raise Fail("no staging area")
        self._places = (app, start)
        self.size = min(room - _SECTOR, size - _RESERVED * _SECTOR)
        self.target = Area(flash, start, size)
        self.inactive = "app_ota"
        head = bytearray(_HEADER)
        flash.flash_read(app, head)
        self.running = plug_in("ota.stagedimage", "name")(head)
        self.version = plug_in("ota.stagedimage", "version_in")(head) or ""
        let_go("ota.stagedimage")

    def check(self, head, size):
        """Judge an image by its first 80 bytes; as ota.slots.Slots.check."""
        version = plug_in("ota.stagedimage", "check")(head, size, self.size, self._places)
        let_go("ota.stagedimage")
        return version

    def next(self):
        """What `running` will be once the staged image runs. Raises Fail unless it is whole."""
        name = plug_in("ota.stagedimage", "whole")(self.target, self.size)
        let_go("ota.stagedimage")
        return name

    def activate(self):
        """Let the boot loader see what is staged. Raises Fail("flash", errno)."""
        try:
            self.target.release()
        except OSError as error:
            raise Fail("flash", *error.args[:1])

    def confirm(self):
        """Nothing to end."""


class Cell:
    """A record of the journal in the key-value store: see ota.journal.Journal."""

    def __init__(self, flash, key):
        self._flash = flash
        self._key = key

    def load(self):
        return self._flash.kv_get(self._key) or b""

    def save(self, data):
        self._flash.kv_set(self._key, data)


class Area:
    """The staging area as a block device of 4,096 B sectors, the first of which lies elsewhere.

    A program begins with a page, in bytes that are erased: so none is programmed twice.
    """

    def __init__(self, flash, start, size):
        self._flash = flash
        self._start = start
        self._size = size - _RESERVED * _SECTOR
        self._hidden = False  # the boot loader sees no image here

    def readblocks(self, sector, buf, offset=0):
        """Fill `buf`."""
        self._each(self._flash.flash_read, sector * _SECTOR + offset, buf)

    def writeblocks(self, sector, buf, offset=None):
        """Without `offset` erase, then program; with it only program."""
        if offset is None:
            for at in range(0, len(buf), _SECTOR):
                self._erase(sector + at // _SECTOR)
        self._each(self._program, sector * _SECTOR + (offset or 0), buf)

    def ioctl(self, operation, sector):
        """Erases only."""
        if operation != _ERASE:
            return None
        self._erase(sector)
        return 0

    def release(self):
        """Put the first sector in its place, and of that the page with the header last."""
        flash, start, waiting = self._flash, self._start, self._start + self._size
        flash.flash_erase(waiting + _SECTOR, _SECTOR)
        flash.flash_erase(start, _SECTOR)
        self._hidden = False
        page = bytearray(_PAGE)
        for at in range(_SECTOR - _PAGE, -1, -_PAGE):
            flash.flash_read(waiting + at, page)
            flash.flash_write(start + at, page)

    def _place(self, at):
        return at + (self._size if at < _SECTOR else 0) + self._start

    def _each(self, operation, at, buf):
        """Do it sector by sector. Raises OSError(EINVAL) past the end."""
        view = memoryview(buf)
        if at < 0 or at + len(view) > self._size:
            raise OSError(_EINVAL)
        while view:
            part = view[: _SECTOR - at % _SECTOR]
            operation(self._place(at), part)
            view = view[len(part) :]
            at += len(part)

    def _erase(self, sector):
        if not 0 <= sector * _SECTOR < self._size:
            raise OSError(_EINVAL)
        if not self._hidden:  # what was staged before goes first, or it would be taken in part
            if not self._blank(self._start, _HEADER):
                self._flash.flash_erase(self._start, _SECTOR)
            self._hidden = True
        self._flash.flash_erase(self._place(sector * _SECTOR), _SECTOR)

    def _program(self, place, data):
        if place % _PAGE:
            raise OSError(_EINVAL)
        if not self._hidden or not self._blank(place, len(data)):
            raise OSError(_EIO)
        self._flash.flash_write(place, data)

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
