"""One block of a stream, parsed while it arrives: JSON in, firmware bytes out.

The message is `{"c": token, "f": file, "i": index, "l": length, "p": "base64"}` with its keys in
any order, any white space, and escapes wherever JSON has them. All but the payload is short: it is
gathered, and the built-in json judges it, with an empty string in the payload's place. The payload
is decoded slice by slice as it comes, so RAM does not grow with the block. Nothing here raises on
bad bytes: `whole` stays False.

memory   530 B, and 192 B of decoded bytes at a time
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
_SLASH = const(0x2F)
_LETTER_U = const(0x75)
_RUN = const(16)  # characters between two escapes, below which they are gathered one by one
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
        self._held = bytearray(_SLICE)  # characters to be decoded with those that come
        self.reset()

    def reset(self):
        """Get ready for the next message."""
        self._state = _HEAD
        self._size = 0  # of the text gathered
        self._escape = b""  # begun, in the payload
        self._holds = 0  # characters that are held
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
            self._take(buf, at, stop)
        if quote < 0 or self._state == _BAD:
            return stop
        self._finish()
        return stop + 1

    def _finish(self):
        """The payload is complete: decode what is held."""
        if self._escape or self._holds & 3:
            self._state = _BAD
            return
        self._state = _TAIL
        if self._holds:
            self._flush(self._holds)

    def _take(self, buf, at, stop):
        """Base64 needs no escapes, but JSON allows them, and some write \\/ for every slash."""
        if self._escape:
            at = self._rest_of_escape(buf, at, stop)
        while at < stop and self._state != _BAD:
            if buf[at] == _BACKSLASH:
                at = self._unescape(buf, at, stop)
                continue
            escape = buf.find(b"\\", at, stop)
            run = stop if escape < 0 else escape
            self._decode(buf, at, run)
            at = run

    def _rest_of_escape(self, buf, at, stop):
        """Go on with one that the pieces cut in two."""
        begun, self._escape = self._escape, b""
        second = begun[1] if len(begun) > 1 else buf[at]
        stop = min(stop, at + (6 if second == _LETTER_U else 2) - len(begun))
        begun += bytes(memoryview(buf)[at:stop])
        self._unescape(begun, 0, len(begun))
        return stop

    def _unescape(self, buf, at, stop):
        """Hold the characters of the escapes that begin at `at`, and of what is between them."""
        held, holds = self._held, self._holds
        while at < stop:
            byte = buf[at]
            size = 1
            if byte == _BACKSLASH:
                size = 6 if stop - at > 1 and buf[at + 1] == _LETTER_U else 2
                if stop - at < size:
                    self._escape = bytes(memoryview(buf)[at:stop])
                    at = stop
                    break
                byte = _character(buf, at) if size == 6 else buf[at + 1]
                if size == 2 and byte != _SLASH:
                    byte = 0
            held[holds] = byte  # 0 is not of the alphabet
            holds += 1
            at += size
            if holds == _SLICE:
                self._flush(holds)
                holds = 0
            if size == 1 and buf.find(b"\\", at, min(stop, at + _RUN)) < 0:
                break
        self._holds = holds
        return at

    def _decode(self, buf, at, stop):
        """Decode a run without escapes, where it lies; hold the rest of its last group."""
        held, holds = self._held, self._holds
        while holds & 3 and at < stop:
            held[holds] = buf[at]
            holds += 1
            at += 1
        if holds and not holds & 3:
            self._flush(holds)
            holds = 0
        while stop - at >= 4:
            size = min(stop - at & ~3, _SLICE)
            self._hand_on(memoryview(buf)[at : at + size])
            at += size
        while at < stop:
            held[holds] = buf[at]
            holds += 1
            at += 1
        self._holds = holds

    def _flush(self, size):
        self._holds = 0
        self._hand_on(memoryview(self._held)[:size])

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


def _character(buf, at):
    """The character of the \\u escape at `at`; 0 for one that base64 has not got."""
    try:
        high, low = unhexlify(memoryview(buf)[at + 2 : at + 6])
    except ValueError:
        return 0
    return 0 if high else low
