"""A smaller form of an image: what changes against the image that runs, or all of it deflated.

A Container stands where an Image stands: a source fills it. It makes sectors out of what comes,
and has the Image put them into flash. What comes is a head, an index and pieces, as in
docs/image-formats.md. A piece makes one sector, from nothing but itself and the slot that runs. So
a download goes on at a sector.

Bytes come in order. What a read brings waits in a small store, because to make a sector takes
long. `held` says so: nothing more is read then, and `settle` works on it, with pauses.

A block is not known to be good before its end. Its sectors count then, and not before. After a bad
block the container goes back to the piece of the first sector that does not count.

memory   two bytes a sector, 1.3 KB, and that of an Inflater
"""

from binascii import hexlify
from struct import unpack_from

from micropython import const

from sluice.errors import Fail
from sluice.transfer.image import SECTOR
from sluice.transfer.inflater import DAMAGED, Inflater

_MAGIC = b"SLS\x01"
_HEAD = const(80)  # bytes
_LONGEST = const(4_128)  # bytes of a piece
_STORE = const(1_024)  # bytes: as many as the link reads at a time
_ENOUGH = const(1_280)  # bytes that make _SLICE more, whatever they are; the format promises it
_SLICE = const(512)  # bytes that are inflated at a time
_SPAN = const(64)  # bytes of a difference that are looked at together
_STEP = const(8)  # bytes that say what to copy, and how many bytes follow
_END = const(8)  # bytes at the end of a piece that make nothing: end of a block, full flush


class Container:
    """A container that makes `image`.

    image    sluice.transfer.image.Image, which is filled
    buffer   that of the image
    form     sluice.job.File: `size`, and `base`, what the pieces copy from
    read     (offset, buf): fills `buf` with what the running slot has there
    came     bytes of the container that were taken since this was made
    """

    def __init__(self, image, buffer, form, read):
        self._inflater = Inflater(10 if form.base else 11)  # bits of window
        self._store = memoryview(bytearray(_STORE))
        self._slice = memoryview(bytearray(_SLICE))
        self._step = memoryview(bytearray(_STEP))
        self._index = bytearray(_HEAD + 2 * -(-image.size // SECTOR))
        self._judged = False  # the index is there, and right
        self.size = form.size
        self.came = 0
        self._image = image
        self._view = memoryview(buffer)
        self._base = form.base or (0, "00" * 32)
        self._read = read
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
        return len(self._index) if not self._judged and self._image.received else self.size

    def open(self, offset, length):
        """The next bytes are those of offset … offset + length. False when they are not to come
        now."""
        if self._end and not self._closing:  # the block before was cut off
            self._rewind()
        if offset > self._at or self._closing:
            return False
        self._offset, self._next, self._end = offset, offset, offset + length
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
            elif not self._make():
                self._count()

    def _count(self):
        """The open block is good, and dealt with."""
        self._closing, self._end = False, 0
        if self._fault:
            raise self._fault
        if self._first < self._sector:
            end = min(self._sector * SECTOR, self._image.size)
            self._image.count(self._first * SECTOR, end)
            self._first = self._sector

    def _advance(self):
        """Take of what is stored as much as there is room for, and make what can be made of it."""
        begin, upto = self._from, self._upto
        at = self._next - (upto - begin)
        begin += min(max(self._at - at, 0), upto - begin)  # what is not needed
        stop = upto
        if self._fault:
            begin = upto
        elif not self._judged:
            stop = min(begin + len(self._index) - self._at, upto)
            self._index[self._at : self._at + stop - begin] = self._store[begin:stop]
        else:
            stop = min(begin + self._inflater.room(), upto)
            self._inflater.feed(self._store[begin:stop])
        if begin < stop:
            self._at += stop - begin
            self.came += stop - begin
        self._from = stop
        if stop == upto:
            self._from = self._upto = 0
        self._make()

    def _make(self):
        """Make one more sector, as far as that goes; whether it is made."""
        try:
            if not self._judged:
                if self._fault or self._at < min(len(self._index), self.size):
                    return False
                self._judge()
                self._seek()
            if self._fault or self._sector * SECTOR >= self._image.size or not next(self._making):
                return False
            self._image.put(self._sector)
        except Fail as error:
            self._fault = error
            return False
        self._sector += 1
        return True

    def _judge(self):
        """Head and index. Raises Fail."""
        index, size = self._index, self._base[0]
        magic, window, sector, made, based = unpack_from("<4sBxHII", index)
        if magic != _MAGIC or sector != SECTOR or not 9 <= window <= (10 if size else 11):
            raise Fail("not a container of this version")
        base = hexlify(memoryview(index)[48:_HEAD]).decode()
        if (made, based, base) != (self._image.size, size, self._base[1]):
            raise Fail("container for another image")
        total = len(index)
        for number in range((total - _HEAD) // 2):
            length = self._length(number)
            total += length if 0 < length <= _LONGEST else self.size
        if total != self.size:
            raise Fail("the container's index is damaged")
        self._judged = True

    # -- where it goes on --------------------------------------------------------------------

    def _rewind(self):
        """Go back to the first sector that does not count."""
        self._closing, self._fault = False, None
        self._offset = self._next = self._end = self._from = self._upto = self._at = 0
        self._sector = self._first = 0
        if self._judged:
            self._inflater.begin()
            self._seek()

    def _seek(self):
        """Find the piece of that sector."""
        self._sector = self._first = max(self._image.missing(), 0) // SECTOR
        at = len(self._index)
        for sector in range(self._sector):
            at += self._length(sector)
        self._at = self._stop = at
        self._making = self._sectors()

    def _length(self, sector):
        at = _HEAD + 2 * sector
        return self._index[at] | self._index[at + 1] << 8

    # -- a sector ----------------------------------------------------------------------------

    def _sectors(self):
        """Make sector after sector in the buffer; yields True behind each of them, and False where
        more is to come first. Raises Fail where that is none of what it should be."""
        view, step = self._view, self._step
        inflate, left = self._inflater.inflate, self._inflater.left
        while True:
            first = self._sector * SECTOR
            total = min(SECTOR, self._image.size - first)
            self._stop += self._length(self._sector)
            done, base = 0, first
            while done < total:
                while self._at < self._stop and left() < _ENOUGH:
                    yield False
                inflate(step)
                copied, literal, moved = unpack_from("<HHi", step)
                base += moved
                copy = done + copied
                end = copy + literal
                inside = not copied or 0 <= base <= self._base[0] - copied
                if end > total or end == done or not inside:
                    raise Fail(DAMAGED)
                if copied:
                    self._copy(base, view[done:copy])
                    base += copied
                while done < end:
                    size = min(_SLICE, (copy if done < copy else end) - done)
                    while self._at < self._stop and left() < _ENOUGH:
                        yield False
                    if done < copy:
                        self._add(view, done, size)
                    else:
                        inflate(view[done : done + size])
                    done += size
            if not 0 <= self._stop - self._at + self._inflater.left() <= _END:
                raise Fail(DAMAGED)
            yield True

    def _copy(self, base, view):
        try:
            self._read(base, view)
        except OSError as error:
            raise Fail("flash", *error.args[:1])

    def _add(self, view, at, size):
        """Add to what was copied by how much it differs. Most does not."""
        part = self._slice[:size]
        self._inflater.inflate(part)
        for begin in range(0, size, _SPAN):
            span = part[begin : begin + _SPAN]
            if any(span):
                place = at + begin
                for byte in span:
                    if byte:
                        view[place] = view[place] + byte & 0xFF
                    place += 1
