"""A smaller form of an image: what changes against the image that runs, or all of it deflated.

A Container stands where an Image stands: a source fills it. It makes sectors out of what comes,
and hands them to the Image. What comes is a head, an index and pieces: docs/image-formats.md. A
piece makes one sector, from itself and the slot that runs alone: a download goes on at a sector.

Bytes come in order. What a read brings waits in a small store, because to make a sector takes
long. `held` says so: nothing more is read then, and `settle` makes the sectors, one after the
other, with a pause behind each.

A block is not known to be good before its end. Its sectors count then, and not before; after a bad
one the container goes back to the piece of the first sector that does not count.

memory   two bytes a sector; the longest piece; 1 KiB of store; 2.4 KB to inflate with, 3.4 where
         the window is 2 KiB
"""

import gc
from io import BytesIO
from struct import unpack_from

from deflate import RAW, DeflateIO
from micropython import const

from sluice.errors import Fail
from sluice.transfer.image import SECTOR

_HEAD = const(80)  # bytes
_STORE = const(1_024)  # bytes: as many as the link reads at a time
_SLICE = const(64)  # bytes of a difference that are added at a time
_STEP = const(8)  # bytes that say what to copy, and how many bytes follow
_END = const(8)  # bytes at the end of a piece that make nothing: end of a block, full flush


class Container:
    """The container of `size` bytes that makes `image`.

    image    sluice.transfer.image.Image, which is filled
    base     size of what runs, which the pieces copy from; 0: they copy nothing
    read     (offset, buf): fills `buf` with what the running slot has there
    judge    (head and index, size of the image, size of this) → bits of window, longest piece;
             raises Fail
    came     bytes of the container that were taken since this was made
    """

    def __init__(self, image, size, base, read, judge):
        self.size = size
        self.came = 0
        self._image = image
        self._base = base
        self._read = read
        self._judge = judge
        sectors = -(-image.size // SECTOR)
        self._index = bytearray(_HEAD + 2 * sectors)
        self._store = memoryview(bytearray(_STORE))
        self._slice = memoryview(bytearray(_SLICE))
        self._step = memoryview(bytearray(_STEP))
        self._piece = None  # what gathers of one; none before the index is there
        self._window = self._sector = 0
        self._rewind()

    # -- what sources ask --------------------------------------------------------------------

    @property
    def writes(self):
        return self._image.writes

    def has(self, offset, length):
        """True when these bytes were taken, or it is not known yet whether they will be needed."""
        return offset + length <= self._taken() or offset >= self._horizon()

    def missing(self, offset=0):
        """The first offset at or after `offset` to ask for; -1: there is none, or not yet."""
        at = max(offset, self._taken())
        return at if at < self._horizon() and self._image.missing() >= 0 else -1

    def _taken(self):
        """How far it has come: what an open block brought is not sure before its end."""
        if self._closing:
            return max(self._at, self._next)
        return min(self._at, self._offset) if self._end else self._at

    def _horizon(self):
        """Where to ask to: when a download goes on, the index says where."""
        return len(self._index) if not self._piece and self._image.received else self.size

    def open(self, offset, length):
        """The next bytes are those of offset … offset + length. False: not them."""
        if self._end and not self._closing:  # the block before was cut off
            self._rewind()
        if offset > self._at or self._closing:
            return False
        self._offset, self._next, self._end = offset, offset, offset + length
        self._open_image()
        return True

    def write(self, data):
        """Take the next bytes of the open block; False when there are too many."""
        size, upto = len(data), self._upto
        if self._next + size > self._end or upto + size > _STORE:
            return False
        self._store[upto : upto + size] = data
        self.took(size)
        return True

    def room(self, size):
        """Where the next bytes of the open block belong, or the first of them."""
        upto = self._upto
        left = min(size, self._end - self._next, _STORE - upto)
        return self._store[upto : upto + left] if left > 0 else None

    def took(self, size):
        """The next bytes stand where `room` said."""
        self._next += size
        self._upto += size

    def close(self, good):
        """The open block is over; whether it is to count, which `settle` sees to."""
        self._closing = good and 0 < self._end == self._next
        if not self._closing:
            self._rewind()
        return self._closing

    def held(self):
        """Whether there is something to do before more is read."""
        return self._upto or self._closing

    def forget(self):
        """Somebody else worked in the image's buffer meanwhile."""
        self._image.forget()
        self._rewind()

    # -- what came ---------------------------------------------------------------------------

    async def settle(self, pause):
        """Make sectors of what came. Raises Fail where it is none of what it should be, once the
        block is known to be good."""
        while self._upto or self._closing:
            await pause()
            if self._upto:
                self._advance()
            else:
                self._count()

    def _count(self):
        """The open block is good, and dealt with."""
        self._closing, self._end = False, 0
        if self._fault:
            raise self._fault
        if self._run > 0:
            self._run = 0
            self._image.close(True)

    def _advance(self):
        """Take of what is stored as much as belongs to one piece."""
        begin, upto = self._from, self._upto
        at = self._next - (upto - begin)
        begin += min(max(self._at - at, 0), upto - begin)  # what is not needed
        stop = min(begin + self._stop - self._at, upto)
        if self._fault:
            begin = stop = upto
        if begin < stop:
            self._gather(self._store[begin:stop])
        self._from = stop
        if stop == upto:
            self._from = self._upto = 0
        if self._at == self._stop and not self._fault:
            try:
                self._complete()
            except Fail as error:
                self._fault = error

    def _gather(self, part):
        if self._piece:
            self._piece.write(part)
        else:
            self._index[self._at : self._at + len(part)] = part
        self._at += len(part)
        self.came += len(part)

    def _complete(self):
        """The index is there, or a piece."""
        if self._piece:
            self._make()
            self._sector += 1
            self._begin_piece()
        else:
            self._window, longest = self._judge(self._index, self._image.size, self.size)
            self._judge = None  # it keeps its module in the heap
            gc.collect()
            self._piece = BytesIO(longest + _END)
            self._seek()
            self._open_image()

    # -- where it goes on --------------------------------------------------------------------

    def _rewind(self):
        """Go back to the first sector that does not count."""
        self._closing, self._fault = False, None
        self._next = self._end = self._from = self._upto = self._run = 0
        if self._piece:
            self._seek()
        else:
            self._at, self._stop = 0, min(len(self._index), self.size)

    def _seek(self):
        """Find the piece of that sector."""
        self._sector, at = max(self._image.missing(), 0) // SECTOR, len(self._index)
        for sector in range(self._sector):
            at += self._length(sector)
        self._at = self._stop = at
        self._rest = 0
        self._piece.seek(0)
        self._inflated = DeflateIO(self._piece, RAW, self._window)
        self._begin_piece()

    def _length(self, sector):
        at = _HEAD + 2 * sector
        return self._index[at] | self._index[at + 1] << 8

    def _begin_piece(self):
        if self._sector * SECTOR < self._image.size:
            self._stop = self._at + self._length(self._sector)

    def _open_image(self):
        """For the sectors that are complete when the open block is."""
        sector, stop = self._sector, self._stop
        first, size = sector * SECTOR, self._image.size
        while self._piece and first < size and stop <= self._end and sector * SECTOR < size:
            sector += 1
            if sector * SECTOR < size:
                stop += self._length(sector)
        self._run = min(sector * SECTOR, size) - first
        if self._run > 0:
            self._image.open(first, self._run)

    # -- a sector ----------------------------------------------------------------------------

    def _make(self):
        """The sector that the piece makes, into the image. Raises Fail."""
        piece, inflated = self._piece, self._inflated
        first = self._sector * SECTOR
        total = min(SECTOR, self._image.size - first)
        view = self._image.room(total)
        piece.seek(0)
        try:
            done, base = 0, first
            while done < total:
                _fill(inflated, self._step)
                copied, literal, offset = unpack_from("<HHi", self._step)
                base += offset
                end = done + copied + literal
                if end > total or end == done or copied and not 0 <= base <= self._base - copied:
                    raise Fail("the container is damaged")
                if copied:
                    self._read(base, view[done : done + copied])
                    self._add(inflated, view, done, copied)
                _fill(inflated, view[end - literal : end])
                base += copied
                done = end
        except (OSError, EOFError):
            raise Fail("the container is damaged")
        self._keep_rest()
        self._image.took(total)

    def _keep_rest(self):
        """What is not inflated yet goes before the next piece: its end, which makes nothing."""
        piece = self._piece
        rest = self._rest + self._length(self._sector) - piece.tell()
        if not 0 <= rest <= _END:
            raise Fail("the container is damaged")
        end = self._step[:rest]
        piece.readinto(end)
        piece.seek(0)
        piece.write(end)
        self._rest = rest

    def _add(self, inflated, view, at, size):
        """Add to what was copied by how much it differs. Most does not."""
        while size:
            part = self._slice if size >= _SLICE else self._slice[:size]
            _fill(inflated, part)
            size -= len(part)
            if not any(part):
                at += len(part)
                continue
            for byte in part:
                if byte:
                    view[at] = view[at] + byte & 0xFF
                at += 1


def _fill(inflated, view):
    """Raises EOFError where less comes."""
    view = memoryview(view)
    while view:
        size = inflated.readinto(view)
        if not size:
            raise EOFError
        view = view[size:]
