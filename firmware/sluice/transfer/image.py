"""A firmware image on its way into a slot: one sector of RAM, and a map of what flash holds.

Blocks arrive in any order, whole or cut off, once or twice. `open(offset, length)` says which
one comes, `write(data)` takes its bytes in order, `close(good)` counts it, if it was whole and
right, or forgets it. A sector that counts is never erased again. Of blocks smaller than the first
sector the one with the image's head comes first. `check` sees the head before its sector is
written. What it says is final once that block is known to be good: bytes of others, or damaged
ones, are no reason to end a job.

The unit that counts is a *piece*: a sector, or a block where blocks are smaller. A block of whole
sectors is written sector by sector as it arrives, the last one at its end, and counts then. A
smaller block waits in the sector buffer and is programmed at its offset, in a sector erased at its
first block. Programs begin and end with multiples of 16 bytes, as flash encryption wants it; the
last one is padded.

memory   4,096 B of sector buffer and one bit a piece: 48 B for 1.5 MiB of sectors, 768 B at
         blocks of 256 B
"""

from micropython import const

from sluice.errors import Fail, OTAError

SECTOR = const(4096)  # bytes, the erase unit of SPI NOR flash
HEAD = const(80)  # bytes of the image's beginning that `check` is shown
_LINE = const(16)  # bytes that a slot with flash encryption is programmed in multiples of
_ERASE = const(6)  # ioctl of MicroPython's block devices


class Image:
    """An image of `size` bytes for `slot`.

    slot     block device of 4,096 B blocks (esp32.Partition): writeblocks(n, buf) erases and
             writes, writeblocks(n, buf, offset) only programs, ioctl(6, n) erases
    size     bytes, as the job says
    block    bytes of a stream block: a multiple of 4,096, or a divisor of it
    check    called with the first bytes before their block counts; raises Fail. Of a block of one
             sector or less nothing is written before
    written  map of sectors that an earlier attempt completed, from `sectors()`
    buffer   4,096 B to work in, when the caller has one
    raises   Fail("block size") for a block that is neither
    """

    def __init__(self, slot, size, block=SECTOR, check=None, written=None, buffer=None):
        if block < 256 or (block % SECTOR and SECTOR % block):
            raise Fail("block size", block)
        self.size = size
        self._slot = slot
        self._check = check
        self._piece = min(block, SECTOR)
        self._pieces = -(-size // self._piece)
        self._map = bytearray((self._pieces + 7) >> 3)
        self._buffer = buffer or bytearray(SECTOR)
        self._view = memoryview(self._buffer)
        self.received = 0  # bytes that count
        self._first = 0  # piece that may not count yet; all before it do
        self._offset = self._end = self._at = 0  # the open block: first, past it, next to come
        if written:
            self._recall(written)

    # -- the map -----------------------------------------------------------------------------

    def _recall(self, written):
        per_sector = SECTOR // self._piece
        for piece in range(self._pieces):
            sector = piece // per_sector
            if sector >> 3 < len(written) and written[sector >> 3] >> (sector & 7) & 1:
                self._count(piece)

    def _count(self, piece):
        if not self._has(piece):
            self._map[piece >> 3] |= 1 << (piece & 7)
            self.received += min(self._piece, self.size - piece * self._piece)

    def _has(self, piece):
        return self._map[piece >> 3] >> (piece & 7) & 1

    def has(self, offset, length):
        """True when every byte of offset … offset + length counts."""
        for piece in range(offset // self._piece, -(-(offset + length) // self._piece)):
            if not self._has(piece):
                return False
        return True

    def missing(self, offset=0):
        """The first offset at or after `offset` that does not count yet; -1 when all do."""
        while self._first < self._pieces and self._has(self._first):
            self._first += 1  # what counts once counts for ever: never looked at again
        for piece in range(max(self._first, offset // self._piece), self._pieces):
            if not self._has(piece):
                return max(piece * self._piece, offset)
        return -1

    def sectors(self):
        """The map for the journal: one bit a sector, set when the whole sector counts."""
        written = bytearray((-(-self.size // SECTOR) + 7) >> 3)
        for sector in range(-(-self.size // SECTOR)):
            if self.has(sector * SECTOR, min(SECTOR, self.size - sector * SECTOR)):
                written[sector >> 3] |= 1 << (sector & 7)
        return written

    # -- a block -----------------------------------------------------------------------------

    def open(self, offset, length):
        """The next bytes to be written are those of offset … offset + length; True: they may."""
        self._offset = self._at = offset
        self._end = offset + length
        self._fault = None  # what is wrong with the head in it
        return True

    def write(self, data):
        """Take the next bytes of the open block; bytes past its end are refused.

        returns  False when there were too many
        raises   Fail("flash", errno)
        """
        data = memoryview(data)
        if self._at + len(data) > self._end:
            return False
        while data:
            room = self._at % SECTOR
            if not room and self._at != self._offset:  # there is more of the block
                if self._at == SECTOR:
                    self._look()
                if self._fault:
                    self._at += len(data)
                    return True  # nothing of it is written; the rest tells whether it counts
                self._write_sector(self._at // SECTOR - 1)
            taken = min(SECTOR - room, len(data))
            self._view[room : room + taken] = data[:taken]
            self._at += taken
            data = data[taken:]
        return True

    def close(self, good):
        """Count the open block if it is `good` and complete; returns whether it counts now.

        raises   Fail("flash", errno), or what `check` raises
        """
        if not good or self._at != self._end or self._end == self._offset:
            return False
        if self._check and 0 < self._offset < SECTOR and not self._has(0):
            return False  # in the sector of the head, which nobody judged yet
        if self.has(self._offset, self._end - self._offset):
            return True  # a second time
        if self._offset == 0 and self._at <= SECTOR:
            self._look()
        if self._fault:
            raise self._fault
        rest = self._at % SECTOR
        if self._offset % SECTOR == 0 and (self._at == self.size or not rest):
            for at in range(rest or SECTOR, SECTOR):  # the image's last sector is padded
                self._buffer[at] = 0xFF
            self._write_sector((self._at - 1) // SECTOR)
        else:
            self._program()
        for piece in range(self._offset // self._piece, -(-self._end // self._piece)):
            self._count(piece)
        self._end = self._offset
        return True

    def _look(self):
        """Judge the head before its sector is written; final once its block is known good."""
        if self._check and not self._has(0):
            try:
                self._check(self._view[:HEAD])
            except OTAError as error:
                self._fault = error

    def _write_sector(self, sector):
        """Write the buffer to a whole sector, unless what is there counts already."""
        if self.has(sector * SECTOR, min(SECTOR, self.size - sector * SECTOR)):
            return
        self._flash(self._slot.writeblocks, sector, self._buffer)

    def _program(self):
        """Program a block smaller than a sector at its place."""
        sector, start = divmod(self._offset, SECTOR)
        first = sector * SECTOR // self._piece
        per_sector = SECTOR // self._piece
        fresh = True
        for piece in range(first, min(first + per_sector, self._pieces)):
            if self._has(piece):
                fresh = False
        if fresh:
            self._flash(self._slot.ioctl, _ERASE, sector)
        stop = start + self._at - self._offset
        while stop % _LINE:  # the image's last bytes: what follows them is programmed no more
            self._buffer[stop] = 0xFF
            stop += 1
        self._flash(self._slot.writeblocks, sector, self._view[start:stop], start)

    def _flash(self, operation, *words):
        try:
            if operation(*words):  # ioctl returns -22 where it does not raise
                raise Fail("flash", "ioctl")
        except OSError as error:
            raise Fail("flash", *error.args[:1])
