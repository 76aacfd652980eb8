"""The other slot while an image is written to it: the first sector, its head, lies elsewhere.

A boot loader takes any image whose head stands in its place, as soon as otadata is lost or the
image that runs is damaged. So the head waits in the last sector of the room until the image is
proven. Its place is erased before any other sector changes, whatever stands there. A forged image
may begin like the genuine one that it is written over. When there is a head, and when none:

    download begins, or goes on after a start   erased before the first sector changes
    while it runs, until the image is proven    none
    proven                                      erased again; then written, its first page last
    set_boot refuses it, or any error follows   erased, by states/trial.py
    power fails before the journal has set_boot erased at the next start, by states/boot.py
    on trial                                    both slots have one: what runs, and the way back
    trial failed, by itself or by the loader    erased at the next start, before FAILED is owed
    confirmed                                   both keep theirs: each of them ran
    failed, canceled, superseded before proof   none was ever there
    rollback to what ran before                 not touched; kept where that trial fails, too
    refused by its head                         the slot is as it was
"""

from micropython import const

from sluice.log import Log

_SECTOR = const(4096)
_PAGE = const(256)  # bytes
_ERASE = const(6)  # ioctl of MicroPython's block devices
_EIO = const(5)
_EINVAL = const(22)

log = Log("target")


class Target:
    """Room for an image as a block device of 4,096 B sectors.

    plain   block device of the whole room, as it lies in flash: esp32.Partition, slots.w800.Area
    size    bytes that an image may have; the head waits in the sector behind them
    """

    def __init__(self, plain, size):
        self._plain = plain
        self._size = size
        self._hidden = False  # this object has erased the head's place

    def readblocks(self, sector, buf, offset=0):
        """Fill `buf`. Raises OSError(EINVAL) past the end, as the others do."""
        self._each(self._plain.readblocks, sector, offset, buf)

    def writeblocks(self, sector, buf, offset=None):
        """Without `offset` erase, then program; with it only program.

        raises   OSError(EIO) where nothing was erased before
        """
        self._check(sector, offset or 0, len(buf))
        if offset is None:
            self.hide()
            self._each(self._whole, sector, 0, buf)
        elif self._hidden:
            self._each(self._plain.writeblocks, sector, offset, buf)
        else:
            raise OSError(_EIO)

    def ioctl(self, operation, sector):
        """Erases only."""
        if operation != _ERASE:
            return None
        self._check(sector, 0, _SECTOR)
        self.hide()
        erase(self._plain, self._place(sector))
        return 0

    def hide(self):
        """No boot loader is to see an image here. Once for each object: what stood there before it
        was made is not known."""
        if not self._hidden:
            erase(self._plain, 0)
            self._hidden = True

    def release(self):
        """Put the head of the proven image in its place."""
        erase(self._plain, 0)
        self._hidden = False
        page, waiting = bytearray(_PAGE), self._place(0)
        for at in range(_SECTOR - _PAGE, -1, -_PAGE):
            self._plain.readblocks(waiting, page, at)
            self._plain.writeblocks(0, page, at)

    def _place(self, sector):
        return sector or self._size // _SECTOR

    def _check(self, sector, offset, length):
        at = sector * _SECTOR + offset
        if sector < 0 or at < 0 or at + length > self._size:
            raise OSError(_EINVAL)

    def _each(self, operation, sector, offset, buf):
        """Do it sector by sector."""
        self._check(sector, offset, len(buf))
        sector += offset // _SECTOR
        offset %= _SECTOR
        view = memoryview(buf)
        while view:
            part = view[: _SECTOR - offset]
            operation(self._place(sector), part, offset)
            view = view[len(part) :]
            sector += 1
            offset = 0

    def _whole(self, sector, part, offset):
        self._plain.writeblocks(sector, part)


def erase(plain, sector):
    """Raises OSError, also where the block device says it by a number."""
    if plain.ioctl(_ERASE, sector):
        raise OSError(_EIO)


def hide(plain):
    """Erase the head in its place. Where flash fails, nobody can do more than say so."""
    try:
        erase(plain, 0)
        log.i("no image in the other slot any more")
    except OSError as error:
        log.e("the image in the other slot stays", error)
