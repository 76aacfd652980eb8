"""Base64 in pieces of any size, decoded a buffer at a time.

memory   4 B, and 780 bytes of decoded bytes at a time, less where the heap has no such piece
source   RFC 4648, section 4
"""

from binascii import a2b_base64

from micropython import const

_SLICE = const(
    1_040
)  # characters decoded at a time, at most: as many as the link reads, and some;
# it and its halves are whole groups of four
_SLICE_MIN = const(260)  # what a heap that has no larger piece is asked for
_EQUALS = const(0x3D)


class Base64:
    """Decodes one text at a time for `take(data)`, which is lent the bytes.

    left      characters to come of a text that says its length, in whole groups of four
    held      characters of a group that the pieces cut in two
    decoded   bytes so far
    spoiled   something was no base64
    """

    def __init__(self, take):
        self._take = take
        self._quartet = bytearray(4)
        view = memoryview(self._quartet)
        self._kept = [view[:size] for size in range(4)]
        self._slice = _SLICE

    def reset(self):
        """Get ready for the next text."""
        self.left = self.held = self.decoded = 0
        self._padded = self.spoiled = False

    def plainly(self, buf, at, end):
        """Take what is there of a payload that says its length, where it has no escapes; returns
        where the rest begins. What is not plain base64 is left to `decode`: `left` is 0 then.

        Up to three characters wait for the next piece, which has room for them in front of it.
        """
        stop, held = at + self.left, self.held
        if stop > end:
            stop = end
        if held > at:  # no room
            self.left = 0
            return at
        self.held = 0
        if held:
            first = at - held
            buf[first:at] = self._kept[held]
        else:
            first = at
        last = stop - (stop - first & 3)
        if last > first:
            view, size = memoryview(buf), last - first
            try:
                data = a2b_base64(view[first:last]) if size <= self._slice else b""
            except (ValueError, MemoryError):
                data = b""
            size = size * 3 >> 2
            if buf[last - 1] == _EQUALS:
                self._padded = True
                size -= 2 if buf[last - 2] == _EQUALS else 1
            if len(data) != size or self._padded and stop - at < self.left:
                self._padded = False
                self.left = 0
                return first
            self.decoded += size
            self._take(data)
        self.left -= stop - at
        if last < stop:
            self.held = stop - last
            self._kept[self.held][:] = memoryview(buf)[last:stop]
        return stop

    def decode(self, buf, at, stop):
        """Decode whole groups of four; up to three characters wait for the next piece."""
        while self.held and at < stop:
            self._put(buf[at])
            at += 1
        view = memoryview(buf)
        while stop - at >= 4:
            size = min(stop - at & ~3, self._slice)
            text = view[at : at + size]
            try:
                data = a2b_base64(text)
            except ValueError:
                data = b""
            except MemoryError:
                if self._slice <= _SLICE_MIN:
                    raise
                self._slice >>= 1
                continue
            self._hand_on(text, data)
            at += size
        while at < stop:
            self._put(buf[at])
            at += 1

    def _put(self, byte):
        self._quartet[self.held] = byte
        self.held += 1
        if self.held == 4:
            self.held = 0
            try:
                data = a2b_base64(self._quartet)
            except ValueError:
                data = b""
            self._hand_on(self._quartet, data)

    def _hand_on(self, text, data):
        """Whole groups of four, decoded. a2b_base64 skips what is not base64, so count the result:

        one character that is not of the alphabet, or padding before the end, makes it shorter
        than the padding explains.
        """
        size = len(text) // 4 * 3
        padded = text[-1] == _EQUALS
        if padded:
            size -= 2 if text[-2] == _EQUALS else 1
        if self._padded or len(data) != size:
            self.spoiled = True
        elif not self.spoiled:
            self._padded = padded
            self.decoded += size
            self._take(data)
