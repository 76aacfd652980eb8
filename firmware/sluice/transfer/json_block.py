"""One block of a stream, parsed while it arrives: JSON in, firmware bytes out.

The message is `{"c": token, "f": file, "i": index, "l": length, "p": "base64"}` with its keys in
any order, any white space, and escapes wherever JSON has them. All but the payload is short: it is
gathered, and the built-in json judges it, with an empty string in the payload's place. The payload
is decoded slice by slice as it comes, so RAM does not grow with the block. Nothing here raises on
bad bytes: `whole` stays False.

memory   280 B, and 192 B of decoded bytes at a time
source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"; RFC 4648
"""

import json
from binascii import a2b_base64, unhexlify

from micropython import const

_TEXT = const(254)  # bytes of a message beside its payload: a token of 64, and much white space
_SLICE = const(256)  # characters decoded at a time; more would ask the heap for larger pieces

_QUOTE = const(0x22)
_COLON = const(0x3A)
_EQUALS = const(0x3D)
_ESCAPE = const(0x5C)
_KEYS = (b'"p"', b'"\\u0070"')  # the payload's, in the two spellings that JSON has for it

_HEAD, _PAYLOAD, _TAIL, _BAD = range(4)  # what the next byte is part of


class BlockParser:
    """Parses one message at a time for a receiver.

    receiver   has `wanted(parser) -> bool`, called when the payload begins, with the fields seen
               so far on the parser (those to come are None), and `take(data)`, called with the
               decoded bytes in order when `wanted` said True
    token      bytes; file, index, length: int, as the message says; None when it does not;
    decoded    bytes of payload so far, when it was wanted
    """

    def __init__(self, receiver):
        self._receiver = receiver
        self._text = bytearray(_TEXT + 2)
        self._quartet = bytearray(4)  # a group of four characters that the pieces cut in two
        self.reset()

    def reset(self):
        """Get ready for the next message."""
        self._state = _HEAD
        self._size = 0  # of the text gathered
        self._escape = b""  # begun, in the payload
        self._held = 0  # characters in the quartet
        self._padded = self._wanted = False
        self.decoded = 0
        self._tell({})

    def feed(self, buf, at, end):
        """Read buf[at:end], a bytearray lent until this returns."""
        while at < end:
            if self._state == _PAYLOAD:
                at = self._payload(buf, at, end)
            elif self._state == _HEAD:
                at = self._head(buf, at, end)
            elif self._state == _TAIL:
                at = self._gather(buf, at, end)
            else:
                return

    @property
    def whole(self):
        """The message was complete and well formed, and its payload as long as it said."""
        if self._state != _TAIL or not self._wanted:
            return False
        fields = self._fields(self._size)
        self._tell(fields)
        closed = bytes(self._text[: self._size]).rstrip().endswith(b"}")
        return closed and fields.get("p") == "" and self.decoded == self.length

    # -- all but the payload -----------------------------------------------------------------

    def _gather(self, buf, at, end):
        stop = self._size + end - at
        if stop > _TEXT:
            self._state = _BAD
        else:
            self._text[self._size : stop] = memoryview(buf)[at:end]
            self._size = stop
        return end

    def _head(self, buf, at, end):
        """Gather until the payload's opening quote; past it, give back what was not ours."""
        before = self._size
        self._gather(buf, at, min(end, at + _TEXT - before))
        opened = self._opened()
        if not opened:
            self._state = _BAD if self._size == _TEXT else _HEAD
            return end
        self._size = opened
        self._wanted = self._receiver.wanted(self)
        self._state = _PAYLOAD
        return at + opened - before - 1

    def _opened(self):
        """Size of the text with an empty payload, once it has begun; else 0."""
        for key in _KEYS:
            at = self._text.find(key, 0, self._size)
            while at >= 0:
                opened = self._begun(at + len(key))
                if opened and self._is_payload(opened):
                    return opened + 1
                at = self._text.find(key, at + 1, self._size)
        return 0

    def _is_payload(self, at):
        """Whether the text that begins at `at` is ours, and not one within another value.

        Then it is ended there, and so is the message.
        """
        after = bytes(self._text[at : at + 2])
        self._text[at : at + 2] = b'"}'
        fields = self._fields(at + 2)
        if fields.get("p") != "":
            self._text[at : at + 2] = after
            return False
        self._tell(fields)
        return True

    def _begun(self, at):
        """Where the text of a key that ends at `at` begins; 0 when it has not, or is no text."""
        colon = False
        while at < self._size:
            byte = self._text[at]
            at += 1
            if byte == _QUOTE:
                return at if colon else 0
            if byte == _COLON:
                colon = True
            elif byte not in b" \t\r\n":
                return 0
        return 0

    def _fields(self, size):
        """The object that the text makes; {} when it makes none."""
        try:
            fields = json.loads(memoryview(self._text)[:size])
        except (ValueError, UnicodeError):
            fields = None
        return fields if isinstance(fields, dict) else {}

    def _tell(self, fields):
        token = fields.get("c")
        self.token = token.encode() if isinstance(token, str) else None
        self.file, self.index, self.length = (_number(fields.get(key)) for key in "fil")

    # -- the payload -------------------------------------------------------------------------

    def _payload(self, buf, at, end):
        """Take what is there of it. An escaped quote ends it, too: base64 has none."""
        quote = buf.find(b'"', at, end)
        stop = end if quote < 0 else quote
        if self._wanted:
            if self._escape or buf.find(b"\\", at, stop) >= 0:
                text = self._plain(self._escape + bytes(memoryview(buf)[at:stop]))
                self._decode(text, 0, len(text))
            else:
                self._decode(buf, at, stop)
        if quote >= 0 and self._state != _BAD:
            self._state = _BAD if self._escape or self._held else _TAIL
        return end if quote < 0 else quote + 1

    def _plain(self, text):
        """The piece without its escapes. Base64 needs none, but some write \\/ for every slash.

        An escape that the end cuts in two waits for the next piece. A piece may be nothing but
        escapes: little is allocated for each, and their digits are read all at once.
        """
        last = text.rfind(b"\\")
        size = 6 if text[last + 1 : last + 2] == b"u" else 2
        self._escape = text[last:] if last >= 0 and len(text) - last < size else b""
        text = text[: len(text) - len(self._escape)].replace(b"\\/", b"/")
        count = text.count(b"\\u00")
        if text.count(b"\\") != count:
            self._state = _BAD
            return b""
        plain, digits = bytearray(text), bytearray(2 * count)
        at = size = 0  # of the text; of what is plain
        for number in range(0, 2 * count, 2):
            mark = text.find(b"\\", at)
            if not 0 <= mark <= len(text) - 6:  # one escape begins within another
                self._state = _BAD
                return b""
            if mark > at:
                plain[size : size + mark - at] = text[at:mark]
                size += mark - at
            digits[number] = text[mark + 4]
            digits[number + 1] = text[mark + 5]
            plain[size] = _ESCAPE  # a place kept
            size += 1
            at = mark + 6
        plain[size:] = text[at:]
        try:
            found = unhexlify(digits)
        except ValueError:
            self._state = _BAD
            return b""
        at = -1
        for byte in found:
            at = plain.find(b"\\", at + 1)
            plain[at] = byte
        return plain

    def _decode(self, buf, at, stop):
        while self._held and at < stop:
            self._put(buf[at])
            at += 1
        while stop - at >= 4:
            size = min(stop - at & ~3, _SLICE)
            self._hand_on(memoryview(buf)[at : at + size])
            at += size
        while at < stop:
            self._put(buf[at])
            at += 1

    def _put(self, byte):
        self._quartet[self._held] = byte
        self._held += 1
        if self._held == 4:
            self._held = 0
            self._hand_on(memoryview(self._quartet))

    def _hand_on(self, text):
        """Decode whole groups of four. a2b_base64 skips what is not base64, so count the result:

        one character that is not of the alphabet, or padding before the end, makes it shorter
        than the padding explains.
        """
        size = len(text) // 4 * 3
        padded = text[-1] == _EQUALS
        if padded:
            size -= 2 if text[-2] == _EQUALS else 1
        try:
            data = a2b_base64(text)
        except ValueError:
            data = b""
        if self._padded or len(data) != size:
            self._state = _BAD
        elif self._state != _BAD:
            self._padded = padded
            self.decoded += size
            self._receiver.take(data)


def _number(value):
    """A non-negative int, None when there is no value, else -1, which is no index of ours."""
    if value is None:
        return None
    return value if type(value) is int and value >= 0 else -1
