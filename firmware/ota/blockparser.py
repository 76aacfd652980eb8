"""One block of a stream, parsed while it arrives: JSON in, firmware bytes out.

The message is `{"c": token, "f": file, "i": index, "l": length, "p": "base64"}` with its keys in
any order and any white space. All but the payload is short: it is gathered, and the built-in json
judges it, with an empty string in the payload's place. The payload is decoded slice by slice as
it comes, so RAM does not grow with the block. Nothing here raises on bad bytes: `whole` stays
False.

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
_BACKSLASH = const(0x5C)
_EQUALS = const(0x3D)

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
        if self._state != _TAIL or self._held or not self._wanted:
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
        key = self._text.find(b'"p"', 0, self._size)
        while key >= 0:
            at = self._begun(key + 3)
            if at:
                after = bytes(self._text[at : at + 2])
                self._text[at : at + 2] = b'"}'
                fields = self._fields(at + 2)
                if fields.get("p") == "":  # ours, and not one within another key's value
                    self._tell(fields)
                    return at + 1
                self._text[at : at + 2] = after
            key = self._text.find(b'"p"', key + 1, self._size)
        return 0

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
        if self._escape or buf[at] == _BACKSLASH:
            return self._unescape(buf[at], at)
        stop = buf.find(b'"', at, end)
        if stop < 0:
            stop = end
        escape = buf.find(b"\\", at, stop)
        if escape >= 0:
            stop = escape
        if self._wanted:
            self._decode(buf, at, stop)
        if self._state == _PAYLOAD and stop < end and buf[stop] == _QUOTE:
            self._state = _TAIL
            return stop + 1
        return stop

    def _unescape(self, byte, at):
        """Base64 needs no escapes, but JSON allows them, and some write \\/ for every slash."""
        self._escape += bytes((byte,))
        if len(self._escape) == (6 if self._escape[1:2] == b"u" else 2):
            byte = _character(self._escape)
            self._escape = b""
            if not byte:
                self._state = _BAD
            elif self._wanted:
                self._put(byte)
        return at + 1

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


def _character(escape):
    """The character that an escape stands for; 0 for one that base64 has not got."""
    if escape == b"\\/":
        return 0x2F
    try:
        high, low = unhexlify(escape[2:])
    except ValueError:
        return 0
    return 0 if high else low
