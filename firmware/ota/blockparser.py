"""One block of a stream, parsed while it arrives: JSON in, firmware bytes out.

The message is `{"c": token, "f": file, "i": index, "l": length, "p": "base64"}` with the keys in
any order, any white space, any escapes, and keys we do not know. It is fed in pieces of any size
from the link's own receive buffer; the payload is decoded piece by piece and handed on, so RAM
does not grow with the block. Nothing here raises on bad bytes: `whole` stays False.

memory   under 300 B, plus one piece's decoded bytes at a time
source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"
"""

from micropython import const

from ota.base64 import Decoder

_TEXT = const(80)  # bytes kept of a key or a string; a token has at most 64
_DIGITS = const(10)  # a number with more is no index, length or file id of ours
_DEPTH = const(8)  # nested values of keys that we skip

_QUOTE = const(0x22)
_COMMA = const(0x2C)
_COLON = const(0x3A)
_BACKSLASH = const(0x5C)
_OPEN = const(0x7B)
_CLOSE = const(0x7D)

# What the next byte may be. Each names the method that reads it.
_BEGIN, _KEY, _AFTER_KEY, _VALUE, _AFTER_VALUE, _END = range(6)
_KEY_TEXT, _STRING, _NUMBER, _WORD, _SKIP, _SKIP_TEXT, _PAYLOAD, _BAD = range(6, 14)

_ESCAPES = {0x62: 8, 0x66: 12, 0x6E: 10, 0x72: 13, 0x74: 9, 0x22: 0x22, 0x2F: 0x2F, 0x5C: 0x5C}


class BlockParser:
    """Parses one message at a time for a receiver.

    receiver   has `wanted(parser) -> bool`, called when the payload begins, with the fields seen
               so far on the parser (those to come are None), and `take(data)`, called with the
               decoded bytes in order when `wanted` said True
    """

    def __init__(self, receiver):
        self._receiver = receiver
        self._text = bytearray(_TEXT)
        self._decoder = Decoder(receiver.take)
        self._read = (
            self._begin,
            self._key,
            self._after_key,
            self._value,
            self._after_value,
            self._end,
            self._key_text,
            self._string,
            self._number,
            self._word,
            self._skip,
            self._skip_text,
            self._payload,
            self._bad,
        )
        self.reset()

    def reset(self):
        """Get ready for the next message."""
        self._state = _BEGIN
        self._key_name = 0
        self._size = 0  # of the text collected
        self._escape = 0  # 1: after a backslash; 2 to 5: within \\uXXXX
        self._point = 0  # the \\u code point so far
        self._depth = 0
        self._taking = False
        self._decoder.reset()
        self.token = None  # bytes, or None when the message had none
        self.file = None
        self.index = None
        self.length = None  # as the message says
        self._payloads = 0

    @property
    def whole(self):
        """The message was complete, well formed, and its payload as long as it said."""
        return self._state == _END and self._payloads == 1 and self.decoded == self.length

    @property
    def decoded(self):
        """Bytes of the payload that were handed on."""
        return self._decoder.size

    def feed(self, buf, at, end):
        """Read buf[at:end], a bytearray lent until this returns."""
        while at < end:
            at = self._read[self._state](buf, at, end)

    # -- structure ---------------------------------------------------------------------------

    def _begin(self, buf, at, end):
        return self._expect(buf[at], at, _OPEN, _KEY)

    def _expect(self, byte, at, wanted, state):
        if byte == wanted:
            self._state = state
        elif byte not in b" \t\r\n":
            self._state = _BAD
        return at + 1

    def _key(self, buf, at, end):
        byte = buf[at]
        if byte == _QUOTE:
            self._size = 0
            self._state = _KEY_TEXT
        elif byte not in b" \t\r\n":
            self._state = _BAD
        return at + 1

    def _after_key(self, buf, at, end):
        return self._expect(buf[at], at, _COLON, _VALUE)

    def _after_value(self, buf, at, end):
        byte = buf[at]
        if byte == _COMMA:
            self._state = _KEY
        elif byte == _CLOSE:
            self._state = _END
        elif byte not in b" \t\r\n":
            self._state = _BAD
        return at + 1

    def _end(self, buf, at, end):
        return self._expect(buf[at], at, -1, _END)

    def _bad(self, buf, at, end):
        return end

    # -- values ------------------------------------------------------------------------------

    def _value(self, buf, at, end):
        byte = buf[at]
        if byte in b" \t\r\n":
            return at + 1
        self._size = 0
        if byte == _QUOTE:
            return self._open_string(at)
        if byte in b"{[":
            self._depth = 0
            self._state = _SKIP
            return at
        if byte in b"-0123456789":
            self._state = _NUMBER
        elif byte in b"tfn":
            self._state = _WORD
        else:
            self._state = _BAD
        return at

    def _open_string(self, at):
        if self._key_name == 0x70:  # p
            self._payloads += 1
            self._taking = self._receiver.wanted(self) if self._payloads == 1 else False
            self._state = _PAYLOAD
        else:
            self._state = _STRING
        return at + 1

    def _number(self, buf, at, end):
        while at < end and buf[at] in b"-+.eE0123456789":
            self._keep(buf[at])
            at += 1
        if at < end:
            self._store_number()
        return at

    def _store_number(self):
        digits = bytes(self._text[: self._size])
        self._state = _AFTER_VALUE
        value = int(digits) if self._size <= _DIGITS and digits.isdigit() else -1
        if self._key_name == 0x66:  # f
            self.file = value
        elif self._key_name == 0x69:  # i
            self.index = value
        elif self._key_name == 0x6C:  # l
            self.length = value

    def _word(self, buf, at, end):
        while at < end and 0x61 <= buf[at] <= 0x7A:
            self._keep(buf[at])
            at += 1
        if at < end:
            word = bytes(self._text[: min(self._size, _TEXT)])
            self._state = _AFTER_VALUE if word in (b"true", b"false", b"null") else _BAD
        return at

    def _skip(self, buf, at, end):
        """Pass over an object or an array of a key that is not ours."""
        byte = buf[at]
        if byte == _QUOTE:
            self._state = _SKIP_TEXT
        elif byte in b"{[":
            self._depth += 1
            if self._depth > _DEPTH:
                self._state = _BAD
        elif byte in b"}]":
            self._depth -= 1
            if not self._depth:
                self._state = _AFTER_VALUE
        return at + 1

    # -- strings -----------------------------------------------------------------------------

    def _key_text(self, buf, at, end):
        at, closed = self._text_until_quote(buf, at, end)
        if closed:
            self._key_name = self._text[0] if self._size == 1 else -1
            self._state = _AFTER_KEY
        return at

    def _string(self, buf, at, end):
        at, closed = self._text_until_quote(buf, at, end)
        if closed:
            if self._key_name == 0x63:  # c
                self.token = bytes(self._text[: min(self._size, _TEXT)])
            self._state = _AFTER_VALUE
        return at

    def _skip_text(self, buf, at, end):
        self._size = 0
        at, closed = self._text_until_quote(buf, at, end)
        if closed:
            self._state = _SKIP
        return at

    def _text_until_quote(self, buf, at, end):
        while at < end:
            byte = buf[at]
            at += 1
            if not self._escape:
                if byte == _QUOTE:
                    return at, True
                if byte < 0x20:
                    self._state = _BAD
                    return at, False
            byte = self._unescaped(byte)
            if byte >= 0:
                self._keep(byte)
            elif self._state == _BAD:
                break
        return at, False

    def _keep(self, byte):
        if self._size < _TEXT:
            self._text[self._size] = byte
        self._size += 1

    def _unescaped(self, byte):
        """The character that `byte` completes; -1 while an escape is open or was wrong."""
        if not self._escape:
            if byte != _BACKSLASH:
                return byte
            self._escape = 1
            return -1
        if self._escape == 1:
            self._escape = 0
            if byte == 0x75:  # u
                self._escape = 2
                self._point = 0
                return -1
            if byte not in _ESCAPES:
                self._state = _BAD
                return -1
            return _ESCAPES[byte]
        if byte not in b"0123456789abcdefABCDEF":
            self._state = _BAD
            return -1
        self._point = self._point << 4 | (byte - 0x30 if byte < 0x41 else (byte | 0x20) - 0x57)
        self._escape = self._escape + 1 if self._escape < 5 else 0
        return -1 if self._escape else min(self._point, 0xFF)

    # -- the payload -------------------------------------------------------------------------

    def _payload(self, buf, at, end):
        if self._escape or buf[at] == _BACKSLASH:
            return self._payload_escape(buf[at], at)
        stop = buf.find(b'"', at, end)
        if stop < 0:
            stop = end
        escape = buf.find(b"\\", at, stop)
        if escape >= 0:
            stop = escape
        if self._taking:
            self._decoder.feed(buf, at, stop)
        if stop < end and buf[stop] == _QUOTE:
            self._state = _AFTER_VALUE if self._decoder.whole else _BAD
            return stop + 1
        return stop

    def _payload_escape(self, byte, at):
        byte = self._unescaped(byte)
        if byte >= 0 and self._taking:
            self._decoder.put(byte)
        return at + 1
