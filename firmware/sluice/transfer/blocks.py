"""The blocks of a stream as they arrive: which is taken, which is passed over, which is bad.

Part of sluice.transfer.stream. A block is one of four kinds:

good       asked for, with our token, whole, and as long as it says: it counts
spare      right, but it counts already, or its place is not known
foreign    it says another token: of an earlier download, or of another client
bad        anything else that came: not to be read, cut off, of a wrong length
"""

from sluice.errors import Fail, OTAError, Retry
from sluice.log import Log

log = Log("stream")


class Blocks:
    """The link's sink for the data topic: parses each block and hands its bytes to the image."""

    def __init__(self, image, file_id, block, token, clock):
        self._image = image
        self._file = file_id
        self._block = block
        self._token = token.encode()
        self._clock = clock
        self._ticks_ms = clock.ticks_ms
        # What the parser hands the payload to, as it comes: see sluice.transfer.image. What these
        # raise goes through the parser, and ends here.
        self.take, self.lend, self.lent = image.write, image.room, image.took
        self._writes = 0  # of the image, when it was looked at
        self.parser = None  # set before the first block
        self.room = None  # of the message, for the link: asked where its next piece belongs
        self._index = None  # of the block that is being taken
        self._late_index = False
        self._headless = True  # the image: it may be
        self._heard = self._before = clock.ticks_ms()  # of what counts; before this message
        self._ours = self._spare = False  # the message: it may be ours; it is of no use, but right
        self._arrived = 0  # blocks since the last `count_anew`
        self.low = self.high = 0  # of their indexes, the least and the greatest
        self._bad = 0  # in this round
        self._refused = self._foreign = 0  # since the download began
        self.expected = None  # index of the only block that is out
        self.error = None  # what is to be raised where the source is awaited

    # -- asked by the stream -----------------------------------------------------------------

    @property
    def one_at_a_time(self):
        """Until the first block, which tells whether the image is for us, and then only where
        messages do not tell their index in time."""
        if self._headless:
            self._headless = self.expects(0)
        return self._late_index or self._headless

    def expects(self, index):
        """True when there is such a block and it does not count yet."""
        offset = index * self._block
        return offset < self._image.size and not self._image.has(offset, self._length(index))

    def _counts(self, index):
        """True when there is such a block and it counts already."""
        there = index is not None and 0 <= index * self._block < self._image.size
        return there and not self.expects(index)

    def has_news(self):
        return self._arrived or self.error or self._image.held()

    def count_anew(self):
        """Start counting anew. Raises what a handler met; no byte is taken after that."""
        self._arrived = self._bad = 0
        if self.error:
            raise self.error

    def end_round(self):
        """Whether bad blocks came since what is out was asked for."""
        bad, self._bad = self._bad, 0
        return bad > 0

    def verdict(self, bad):
        """The error for a stream that brings nothing: it is `bad`, busy with others or silent."""
        if bad:
            return Fail("bad blocks")
        return Retry("stream is silent" + (" but for blocks of others" if self._foreign else ""))

    def silent_ms(self):
        """Since a block came that could be used, or part of one."""
        return self._clock.ticks_diff(self._clock.ticks_ms(), self._heard)

    def _length(self, index):
        return min(self._block, self._image.size - index * self._block)

    # -- called by the link ------------------------------------------------------------------

    def begin(self, topic, size):
        self._index, self._spare, self._ours = None, False, True
        self._before = self._heard
        if self.error:
            return False
        self.parser.reset()
        self.room = self._lends if self.parser.lends else None
        return True

    def feed(self, buf, at, end):
        """A piece of the message; True when it was dear."""
        if self._ours:
            self._heard = self._ticks_ms()
        if self.error:
            return False
        try:
            dear = self.parser.feed(buf, at, end)
        except (OTAError, MemoryError) as error:  # told where the source is awaited, or nobody
            self.error = error  # made room
            return False
        return self._wrote() or dear

    def _lends(self):
        """Where the next piece belongs, when it needs no parser."""
        return None if self.error else self.parser.room()

    def took(self, size):
        """It stands there; True when it was dear."""
        self._heard = self._ticks_ms()
        if self.error:  # since it was lent
            return False
        try:
            self.parser.took(size)
        except (OTAError, MemoryError) as error:
            self.error = error
        return self._wrote()

    def _wrote(self):
        """Whether the image wrote to flash since this was asked."""
        writes, before = self._image.writes, self._writes
        self._writes = writes
        return writes != before

    def end(self):
        """Count the block when it was expected, whole and right; True where that was dear."""
        parser, index = self.parser, self._index
        if self.error:
            return False
        right = (
            index is not None
            and parser.whole
            and parser.file == self._file
            and parser.token == self._token
        )
        good = right and parser.index == index and parser.length == self._length(index)
        try:
            if index is not None and self._image.close(good):
                if not self._arrived or index < self.low:
                    self.low = index
                if not self._arrived or index > self.high:
                    self.high = index
                self._arrived += 1
            elif not self._spare and not (right and self._counts(parser.index)):
                self._refuse(index)
        except (OTAError, MemoryError) as error:
            self.error = error
        return self._wrote()

    def _refuse(self, index):
        """A bad block, or one of others: it is as if nothing had been heard."""
        self._heard = self._before
        if self._is_foreign():
            self._foreign += 1
        else:
            self._bad += 1
        self._refused += 1
        if not self._refused & (self._refused - 1):  # the 1st, 2nd, 4th, 8th, …
            log.w("block refused", index, "the one of number", self._refused)

    def _is_foreign(self):
        """What is known of the message says so: its token, or where it has none its file."""
        parser = self.parser
        if parser.token:
            return parser.token != self._token
        return parser.file not in (None, self._file)

    # -- called by the parser ----------------------------------------------------------------

    def wanted(self, parser):
        """The payload begins: say where it goes, or that its bytes are not wanted."""
        index = parser.index
        self._ours = not self._is_foreign()
        if not self._ours or parser.file not in (None, self._file):
            return False
        if index is None:
            self._late_index = True
            index = self.expected
            self._spare = index is None
            return not self._spare and self._open(index)
        offset = index * self._block
        if not 0 <= offset < self._image.size:
            return False
        self._spare = self._image.has(offset, self._length(index))
        return not self._spare and self._open(index)

    def _open(self, index):
        """Have the image take it, where it will."""
        if self._image.open(index * self._block, self._length(index)):
            self._index = index
        else:
            self._spare = True
        return not self._spare
