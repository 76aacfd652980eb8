"""A smaller form of an image: what changes against the image that runs, or all of it deflated.

A Container stands where an Image stands: a source fills it. It makes sectors out of what comes and
hands them to the Image. What comes is a head, an index and pieces: docs/image-formats.md. A piece
makes one sector, from nothing but itself and the slot that runs. So a download goes on at a sector.

Bytes come in order. What a read brings waits in a small store, because to make a sector takes
long. `held` says so: nothing more is read then, and `settle` makes the sectors, one after the
other, with a pause behind each.

A block is not known to be good before its end. Its sectors count then, and not before; after a bad
one the container goes back to the piece of the first sector that does not count.

memory   two bytes a sector; the longest piece; 1 KiB of store; 2.4 KB to inflate with, 3.4 where
         the window is 2 KiB
"""

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


class Container:
    """The container of `size` bytes that makes `image`.

    image    sluice.transfer.image.Image, which is filled
    base     size of what runs, which the pieces copy from; 0: they copy nothing
    read     (offset, buf): fills `buf` with what the running slot has there
    judge    (head, index, size of the image, size of this) → bits of window, longest piece; raises
             Fail
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
        self._zeros = bytes(_SLICE)
        self._step = bytearray(_STEP)
        self._piece = None  # what gathers of one; none before the index is there
        self._window = 0
        self._rewind()

    # -- what sources ask --------------------------------------------------------------------

    @property
    def received(self):
        """Bytes of the image that count."""
        return self._image.received

    @property
    def writes(self):
        return self._image.writes

    def has(self, offset, length):
        """True when these bytes were taken, and where it is not known yet whether they will be
        needed."""
        return offset + length <= self._at or offset >= self._horizon()

    def missing(self, offset=0):
        """The first offset at or after `offset` to ask for; -1: none for now."""
        at = max(offset, self._at)
        return at if at < self._horizon() and self._image.missing() >= 0 else -1

    def _horizon(self):
        """Where to ask to: after a start the index says where to go on."""
        return len(self._index) if not self._piece and self._image.received else self.size

    def open(self, offset, length):
        """The next bytes are those of offset … offset + length. False when they are not the next
        ones."""
        if self._open:  # cut off
            self._rewind()
        if offset > self._at:
            return False
        self._next, self._end, self._open = offset, offset + length, True
        self._begin_run()
        return True

    def write(self, data):
        """Take the next bytes of the open block; False when there are too many."""
        size = len(data)
        if self._next + size > self._end or self._stored + size > _STORE:
            return False
        self._store[self._stored : self._stored + size] = data
        self.took(size)
        return True

    def room(self, size):
        """Where the next bytes of the open block belong, or the first of them."""
        left = min(size, self._end - self._next, _STORE - self._stored)
        return self._store[self._stored : self._stored + left] if left > 0 else None

    def took(self, size):
        """The next bytes stand where `room` said."""
        self._next += size
        self._stored += size

    def close(self, good):
        """The open block is over; whether it will count."""
        good = good and self._next == self._end and self._open
        if good:
            self._closing = True
        else:
            self._rewind()
        return good

    def held(self):
        """Whether there is something to do before more is read."""
        return self._stored or self._closing

    def forget(self):
        """Somebody else worked in the image's buffer meanwhile."""
        self._image.forget()
        self._rewind()

    # -- what comes --------------------------------------------------------------------------

    async def settle(self, pause):
        """Make sectors of what is stored. Raises Fail, once the block is known to be good."""
        while self._stored or self._closing:
            await pause()
            if not self._advance() and self._closing:
                self._closing = self._open = False
                if self._fault:
                    raise self._fault
                if self._run:
                    self._image.close(True)
                    self._run = 0

    def _advance(self):
        """Take what is stored, up to the end of a piece; False when nothing is."""
        stored, at = self._stored, self._next - self._stored
        if not stored:
            return False
        skipped = min(max(self._at - at, 0), stored)
        taken = 0 if self._fault else min(self._stop - self._at, stored - skipped)
        if taken > 0:
            self._gather(self._store[skipped : skipped + taken])
        used = stored if self._fault else skipped + max(taken, 0)
        self._store[: stored - used] = self._store[used:stored]
        self._stored -= used
        if self._at == self._stop and not self._fault:
            try:
                self._complete()
            except Fail as error:
                self._fault = error
        return True

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
        else:
            words = self._judge(self._index, self._image.size, self.size, self._base)
            self._window, longest = words
            self._piece = BytesIO(longest)
            self._seek()
            self._begin_run()
        self._begin_piece()

    # -- where it goes on --------------------------------------------------------------------

    def _rewind(self):
        """Go back to the first sector that does not count."""
        self._open = self._closing = False
        self._fault = None
        self._next = self._end = self._stored = self._run = 0
        self._sector = self._at = 0
        self._stop = len(self._index)
        if self._piece:
            self._seek()
            self._begin_piece()

    def _seek(self):
        """Find the piece of the first sector that does not count."""
        missing = self._image.missing()
        if missing >= 0:
            self._sector = missing // SECTOR
            at = len(self._index)
            for sector in range(self._sector):
                at += self._length(sector)
            self._at = self._stop = at

    def _length(self, sector):
        at = _HEAD + 2 * sector
        return self._index[at] | self._index[at + 1] << 8

    def _begin_piece(self):
        if self._sector * SECTOR < self._image.size:
            self._stop = self._at + self._length(self._sector)
            self._piece.seek(0)

    def _begin_run(self):
        """Open the image for the sectors that are complete when the open block is."""
        if not self._piece or not self._open:
            return
        sector, stop = self._sector, self._stop
        first = sector * SECTOR
        while stop <= self._end and sector * SECTOR < self._image.size:
            sector += 1
            if sector * SECTOR < self._image.size:
                stop += self._length(sector)
        self._run = min(sector * SECTOR, self._image.size) - first
        if self._run:
            self._image.open(first, self._run)

    # -- a sector ----------------------------------------------------------------------------

    def _make(self):
        """The sector that the piece makes, into the image. Raises Fail."""
        piece, size = self._piece, self._stop
        first = self._sector * SECTOR
        total = min(SECTOR, self._image.size - first)
        view = self._image.room(total)
        piece.seek(0)
        try:
            inflated = DeflateIO(piece, RAW, self._window)
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
            if inflated.readinto(self._slice) or piece.tell() != self._length(self._sector):
                raise Fail("the container is damaged")
        except (OSError, EOFError):
            raise Fail("the container is damaged")
        self._image.took(total)

    def _add(self, inflated, view, at, size):
        """Add to what was copied by how much it differs. Most does not."""
        while size:
            part = self._slice if size >= _SLICE else self._slice[:size]
            _fill(inflated, part)
            size -= len(part)
            if part == self._zeros[: len(part)]:
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
