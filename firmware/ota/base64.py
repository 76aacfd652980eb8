"""Base64 that comes in pieces, decoded piece by piece. Imports nothing of ours.

The built-in a2b_base64 skips what is not base64, so each result is measured: one character that
is not of the alphabet, or padding before the end, makes it shorter than the padding explains.

memory   4 B, plus the decoded bytes of one piece at a time
source   RFC 4648, section 4
"""

from binascii import a2b_base64

from micropython import const

_EQUALS = const(0x3D)


class Decoder:
    """Decodes one text at a time.

    take   called with the decoded bytes, in order
    """

    def __init__(self, take):
        self._take = take
        self._quartet = bytearray(4)  # a group of four that the pieces cut in two
        self.reset()

    def reset(self):
        """Get ready for the next text."""
        self._held = 0  # characters in the quartet
        self._padded = False
        self.size = 0  # bytes decoded
        self.good = True  # nothing but base64 so far

    @property
    def whole(self):
        """What came so far is a complete text."""
        return self.good and not self._held

    def feed(self, buf, at, end):
        """Decode buf[at:end], a bytearray lent until this returns."""
        while self._held and at < end:
            self.put(buf[at])
            at += 1
        bulk = (end - at) & ~3
        if bulk:
            self._decode(memoryview(buf)[at : at + bulk])
            at += bulk
        while at < end:
            self.put(buf[at])
            at += 1

    def put(self, byte):
        """Decode one character."""
        self._quartet[self._held] = byte
        self._held += 1
        if self._held == 4:
            self._held = 0
            self._decode(memoryview(self._quartet))

    def _decode(self, text):
        """Decode whole groups of four."""
        size = len(text) // 4 * 3
        padded = text[-1] == _EQUALS
        if padded:
            size -= 2 if text[-2] == _EQUALS else 1
        try:
            data = a2b_base64(text)
        except ValueError:
            data = b""
        if self._padded or len(data) != size:
            self.good = False
        if not self.good:
            return
        self._padded = padded
        self.size += size
        self._take(data)
