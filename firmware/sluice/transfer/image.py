"""A firmware image on its way into a slot: one sector of RAM, and a map of what flash holds.

Blocks arrive in any order, whole or cut off, once or twice. `open(offset, length)` says which
one comes. `write(data)` takes its bytes in order, or `room` lends the place where they belong and
`took(size)` says that they stand there. `close(good)` counts the block, if it was whole and
right, or forgets it. A sector that counts is never erased again. Of blocks smaller than the first
sector the one with the image's head comes first. `check` sees the head before its sector is
written. What it says is final once that block is known to be good.

The unit that counts is a *piece*: a sector, or a block where blocks are smaller. A block of whole
sectors is written as it arrives, the last one at its end, and counts then. Smaller blocks that
come in order gather in the sector buffer, and their sector is written once. What gathered is
programmed at its place, in a sector erased for the first of them, when a block comes that does not
follow. Programs begin and end at multiples of 16 bytes, because flash encryption requires that.

A sector that already holds the right bytes is left alone. The first one is always erased, because
a forged image may begin like the genuine one that lay there before.

memory   4,100 B of buffer; a bit a piece: 48 B for 1.5 MiB of sectors, 768 B at blocks of 256 B
"""

from micropython import const

from sluice.errors import Fail, OTAError

SECTOR = const(4096)  # bytes, the erase unit of SPI NOR flash
_BEHIND = const(4)  # bytes of buffer behind the sector: a CBOR message's last one, base64's rest
_LINE = const(16)  # bytes that a slot with flash encryption is programmed in multiples of
_PAGE = const(256)  # bytes compared at a time with what flash holds
_ERASE = const(6)  # ioctl of MicroPython's block devices


class Image:
    """An image of `size` bytes for `slot`.

    slot     block device of 4,096 B blocks (esp32.Partition): writeblocks(n, buf) erases and
             writes, with an offset it only programs, ioctl(6, n) erases, readblocks reads
    size     bytes, as the job says
    block    bytes of a stream block: a multiple of 4,096, or a divisor of it
    check    called with the first bytes before their block counts; raises Fail. Of a block of one
             sector or less nothing is written before
    written  map of sectors that an earlier attempt completed, from `sectors()`
    buffer   4,100 B to work in, when the caller has one
    writes   sectors written and blocks programmed so far
    raises   Fail("block size") for a block that is neither
    """

    HEAD = 80  # bytes of the image's beginning that `check` is shown
    held = bool  # a source may go on at once; others may have something to do first

    def __init__(self, slot, size, block=SECTOR, check=None, written=None, buffer=None):
        if block < 256 or (block % SECTOR and SECTOR % block):
            raise Fail("block size", block)
        self.size = size
        self._slot = slot
        self._check = check
        self._piece = min(block, SECTOR)
        self._pieces = -(-size // self._piece)
        sectors = -(-size // SECTOR)
        self._sectors = self._map = bytearray((sectors + 7) >> 3)  # what is complete in flash
        if block < SECTOR:
            self._map = bytearray((sectors * (SECTOR // block) + 7) >> 3)
        self._view = memoryview(buffer or bytearray(SECTOR + _BEHIND))
        self._sector = self._view[:SECTOR]
        self.received = self.writes = 0  # bytes that count
        self._first = 0  # piece that may not count yet; all before it do
        self._offset = self._end = self._at = 0  # the open block: first, past it, next to come
        self._from = self._upto = 0  # what gathered in the buffer and is not in flash yet
        self._fresh = False  # nothing else of its sector is
        self._fault = None  # what is wrong with the head in it
        if written:
            self._recall(written, min(sectors, 8 * len(written)))

    # -- the map -----------------------------------------------------------------------------

    def _recall(self, written, sectors):
        """Count whole sectors, bits at a time: an image may have six thousand pieces."""
        pieces, count = self._map, SECTOR // self._piece
        for sector in range(sectors):
            if written[sector >> 3] >> (sector & 7) & 1:
                self._sectors[sector >> 3] |= 1 << (sector & 7)
                self.received += min(SECTOR, self.size - sector * SECTOR)
                at = sector * count
                if count < 8:
                    pieces[at >> 3] |= (1 << count) - 1 << (at & 7)
                else:
                    for place in range(at >> 3, at + count >> 3):
                        pieces[place] = 0xFF

    def count(self, begin, end):
        """What flash holds of whole sectors counts from now on."""
        self._count(begin, end)
        for sector in range(begin // SECTOR, -(-end // SECTOR)):
            self._sectors[sector >> 3] |= 1 << (sector & 7)

    def _count(self, begin, end):
        for piece in range(begin // self._piece, -(-end // self._piece)):
            if not self._has(piece):
                self._map[piece >> 3] |= 1 << (piece & 7)
                self.received += min(self._piece, self.size - piece * self._piece)

    def _has(self, piece):
        return self._map[piece >> 3] >> (piece & 7) & 1

    def has(self, offset, length):
        """True when every byte of offset … offset + length counts."""
        stop = -(-(offset + length) // self._piece)
        return self._next(offset // self._piece, stop) == stop

    def missing(self, offset=0):
        """The first offset at or after `offset` that does not count yet; -1 when all do."""
        self._first = self._next(self._first, self._pieces)  # what counts is not looked at again
        piece = offset // self._piece
        piece = self._next(piece, self._pieces) if piece > self._first else self._first
        return max(piece * self._piece, offset) if piece < self._pieces else -1

    def _next(self, piece, stop):
        """The first piece from this one on that does not count; `stop` when all before that do."""
        pieces = self._map
        while piece < stop:
            byte = pieces[piece >> 3]
            if byte == 0xFF:
                piece = (piece | 7) + 1
            elif byte >> (piece & 7) & 1:
                piece += 1
            else:
                return piece
        return stop

    def sectors(self):
        """The map for the journal: one bit a sector, set when flash has the whole sector."""
        return self._sectors[:]

    def forget(self):
        """What gathered comes again: somebody else worked in the buffer meanwhile."""
        first = self._from // self._piece
        for piece in range(first, -(-self._upto // self._piece)):
            self._map[piece >> 3] &= ~(1 << (piece & 7))
            self.received -= min(self._piece, self.size - piece * self._piece)
        if self._from < self._upto:
            self._first = min(self._first, first)
        self._from = self._upto = self._at = self._end = self._offset = 0

    # -- a block -----------------------------------------------------------------------------

    def open(self, offset, length):
        """The next bytes to be written are those of offset … offset + length. Raises Fail."""
        if self._upto != offset and self._from < self._upto:
            self._settle()
        self._offset = self._at = offset
        self._end = offset + length
        self._fault = None
        return True

    def write(self, data):
        """Take the next bytes of the open block; False for bytes past its end. Raises Fail."""
        size, at = len(data), self._at
        if at + size > self._end:
            return False
        stop = (place := at % SECTOR) + size
        if stop <= SECTOR:
            self._view[place:stop] = data
            if stop < SECTOR:
                self._at = at + size
            else:
                self.took(size)
            return True
        data = memoryview(data)
        while data:
            part = data[: SECTOR - self._at % SECTOR]
            self.write(part)
            data = data[len(part) :]
        return True

    def room(self, size):
        """Where the next `size` bytes of the open block belong: a view up to the end of the
        sector. Where all of them have room there, up to the end of the buffer: a read may bring
        what follows the block. None when that is not to come."""
        if not 0 < size <= self._end - self._at:
            return None
        place = self._at % SECTOR
        return self._view[place:] if size <= SECTOR - place else self._view[place:SECTOR]

    def took(self, size):
        """The next bytes stand where `room` said, no more than were asked for. Raises Fail."""
        at = self._at = self._at + size
        if size and not at % SECTOR and at < self._end:  # there is more of the block
            if at == SECTOR:
                self._look()
            if not self._fault:  # else the rest only tells whether it counts
                self._write_sector(at // SECTOR - 1)

    def close(self, good):
        """Count the open block if it is `good` and complete; returns whether it counts now.
        Raises Fail("flash", errno), or what `check` raises."""
        begin, end = self._offset, self._end
        if not good or self._at != end or end == begin:
            return False
        if self._check and 0 < begin < SECTOR and not self._has(0):
            return False  # in the sector of the head, which nobody judged yet
        if self.has(begin, end - begin):
            return True  # a second time
        if not begin and end <= SECTOR:
            self._look()
        if self._fault:
            raise self._fault
        if end - begin < SECTOR > self._piece:
            self._gather(begin, end)
        else:
            self._pad(end % SECTOR, SECTOR)
            self._write_sector((end - 1) // SECTOR)
            self.count(begin, end)
        self._end = begin
        return True

    def put(self, sector):
        """Write a sector that stands in the buffer, uncounted. Raises as `close` does."""
        self._pad(min(self.size - sector * SECTOR, SECTOR), SECTOR)
        if not sector:
            self._fault = None
            self._look()
            if self._fault:
                raise self._fault
        self._write_sector(sector)

    def _gather(self, begin, end):
        """Count a block smaller than a sector; write what gathered once no more can follow it."""
        sector = begin // SECTOR
        if self._from == self._upto:
            self._from, self._fresh = begin, True
            count = SECTOR // self._piece
            for piece in range(sector * count, min(sector * count + count, self._pieces)):
                if self._has(piece):
                    self._fresh = False
        self._upto = end
        self._count(begin, end)
        if not end % SECTOR or end == self.size or not self._fresh and self._full(sector):
            self._settle()

    def _full(self, sector):
        return self.has(sector * SECTOR, min(SECTOR, self.size - sector * SECTOR))

    def _settle(self):
        """Put into flash what gathered."""
        begin, end = self._from, self._upto
        sector = begin // SECTOR
        if not begin % SECTOR and (not end % SECTOR or end == self.size):
            self._pad(end % SECTOR, SECTOR)
            self._write_sector(sector)
        else:
            if self._fresh:
                self._flash(self._slot.ioctl, _ERASE, sector)
            begin %= SECTOR
            stop = self._pad(begin + end - self._from, _LINE)
            self._flash(self._slot.writeblocks, sector, self._view[begin:stop], begin)
        self._from = self._upto
        if self._full(sector):
            self._sectors[sector >> 3] |= 1 << (sector & 7)

    def _pad(self, at, unit):
        """Fill up what ends with the image: nothing is programmed behind it. Where it ends now."""
        while at % unit:
            self._view[at] = 0xFF
            at += 1
        return at

    def _look(self):
        """Judge the head before its sector is written."""
        if self._check and not self._has(0):
            try:
                self._check(self._view[: self.HEAD])
            except OTAError as error:
                self._fault = error

    def _write_sector(self, sector):
        """Write the buffer to a whole sector, unless that counts already or holds the same."""
        if not self._sectors[sector >> 3] >> (sector & 7) & 1 and not self.there(sector):
            self._flash(self._slot.writeblocks, sector, self._sector)

    def there(self, sector):
        """Whether flash holds these bytes. Never said of the first sector: the head is in it."""
        if not sector:
            return False
        page = bytearray(_PAGE)
        try:
            for at in range(0, SECTOR, _PAGE):
                self._slot.readblocks(sector, page, at)
                if self._view[at : at + _PAGE] != page:
                    return False
        except OSError as error:
            raise Fail("flash", *error.args[:1])
        return True

    def _flash(self, operation, *words):
        self.writes += 1
        try:
            if operation(*words):  # ioctl returns -22 where it does not raise
                raise Fail("flash", "ioctl")
        except OSError as error:
            raise Fail("flash", *error.args[:1])
