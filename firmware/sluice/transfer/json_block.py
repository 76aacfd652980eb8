"""One block of a stream, parsed while it arrives: JSON in, firmware bytes out.

The message is `{"c": token, "f": file, "i": index, "l": length, "p": "base64"}` with its keys in
any order, any white space, and escapes wherever JSON has them. All but the payload is short: it is
gathered, and the built-in json judges it, with an empty string in the payload's place. The payload
is decoded where it lies, a buffer at a time, so RAM does not grow with the block. Nothing here
raises on bad bytes: `whole` stays False.

What a good message had around its payload is learned. The next one is compared with that, byte by
byte but for the digits of the index. Where they differ, json judges it like the first one.

memory   280 B, and what was learned
source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"; RFC 8259
"""

import json

from micropython import const

from sluice.loading import Scope, plug_in
from sluice.transfer.base64 import Base64

_TEXT = const(254)  # bytes of a message beside its payload: a token of 64, and much white space
_PIECE = const(512)  # characters with escapes that are read at a time
_LEARNED = "sluice.transfer.json_learned"
_LESSONS = const(4)  # of a download: each costs the time of a module and two collections
_DIGITS = const(9)  # of an index that is read here: a small int

_QUOTE = const(0x22)
_COLON = const(0x3A)
_KEYS = (b'"p"', b'"\\u0070"')  # the payload's, in the two spellings that JSON has for it

_HEAD, _PAYLOAD, _TAIL, _BAD = range(4)  # what the next byte is part of


class BlockParser(Base64):
    """Parses one message at a time for a receiver.

    receiver   has `wanted(parser) -> bool`, called when the payload begins, with the fields seen
               so far on the parser (those to come are None), and `take(data)`, called with the
               decoded bytes in order when `wanted` said True
    token      bytes; file, index, length: int, as the message says; None when it does not;
    decoded    bytes of payload so far, when it was wanted
    lends      it has `room` and `took`; else it takes what it is fed
    """

    lends = False

    def __init__(self, receiver):
        super().__init__(receiver.take)
        self._receiver = receiver
        self._text = bytearray(_TEXT + 2)
        self._front = None  # learned: the text before the index's digits, that behind them,
        self._back = self._rear = b""  # and that behind the payload; then token, file and length
        self._known = ()
        self._lessons = _LESSONS
        self.reset()

    def reset(self):
        """Get ready for the next message."""
        super().reset()
        self._state = _HEAD
        self._size = 0  # of the text gathered
        self._opened_at = 0  # size of the text before the payload, and its quotes
        self._escape = b""  # begun, in the payload
        self._wanted = self._alike = False
        self.dear = False  # an escape was in it
        self.token = self.file = self.index = self.length = None

    def feed(self, buf, at, end):
        """Read buf[at:end], a bytearray lent until this returns, with four bytes in front of it.

        returns  True for a piece that was dear
        """
        if not self._size and self._front and at < end:
            at = self._same(buf, at, end)
        while at < end:
            if self.left:
                at = self.plainly(buf, at, end)
            elif self._state == _PAYLOAD:
                at = self._payload(buf, at, end)
            elif self._state == _HEAD:
                at = self._head(buf, at, end)
            elif self._state == _TAIL:
                at = self._gather(buf, at, end)
            else:
                break
        return self.dear

    @property
    def whole(self):
        """The message was complete and well formed, and its payload as long as it said."""
        if self._state != _TAIL or not self._wanted:
            return False
        at, rear = self._opened_at, self._rear
        if self._alike and self._size - at == len(rear) and self._text.startswith(rear, at):
            return self.decoded == self.length
        told = self.token, self.file, self.length, self.index
        fields = self._fields(self._size)
        self._tell(fields)
        closed = bytes(self._text[: self._size]).rstrip().endswith(b"}")
        if not closed or fields.get("p") != "" or self.decoded != self.length:
            return False
        same = told == (self.token, self.file, self.length, self.index) and None not in told
        if same and self._lessons:
            self._learn()
        return True

    # -- what messages have in common --------------------------------------------------------

    def _learn(self):
        """Without it every message is read as the first one was: so where the heap has no room."""
        self._front, self._lessons, found = None, self._lessons - 1, None
        read = lambda text: members(parsed(text))  # noqa: E731
        words = self._text, self._opened_at, self._size, read
        try:
            with Scope():  # it is done, and the download goes on
                found = plug_in(_LEARNED, "around")(*words)
        except MemoryError:
            self._lessons = 0
        if found:
            self._front, self._back, self._rear = found
            self._known = self.token, self.file, self.length

    def _same(self, buf, at, end):
        """Where the payload begins of a message like the one before; `at` for any other."""
        front, back = self._front, self._back
        stop = at + len(front)
        if stop >= end or not buf.startswith(front, at):
            return at
        first, number = stop, 0
        while stop < end and 0x30 <= buf[stop] <= 0x39:
            number = number * 10 + buf[stop] - 0x30
            stop += 1
            if stop - first > _DIGITS:
                return at
        if stop == first or stop - first > 1 and buf[first] == 0x30:  # no number of JSON's
            return at
        stop += len(back)
        size = stop - at
        if stop > end or size >= _TEXT or not buf.startswith(back, stop - len(back)):
            return at
        self._text[:size] = memoryview(buf)[at:stop]
        self._text[size] = _QUOTE
        self._size = self._opened_at = size + 1
        self.token, self.file, self.length = self._known
        self.index, self._alike = number, True
        self._begin()
        return stop

    def _begin(self):
        """The payload begins: ask whether it is wanted."""
        self._wanted = self._receiver.wanted(self)
        self.left = ((self.length or 0) + 2) // 3 * 4 if self._wanted else 0
        self._state = _PAYLOAD

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
        self._size = self._opened_at = opened
        self._begin()
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
        return parsed(memoryview(self._text)[:size])

    def _tell(self, fields):
        self.token, self.file, self.index, self.length = members(fields)

    # -- the payload -------------------------------------------------------------------------

    def _payload(self, buf, at, end):
        """Take what is there of it. An escaped quote ends it, too: base64 has none."""
        quote = buf.find(b'"', at, end)
        stop = end if quote < 0 else quote
        if self._wanted:
            if self._escape or buf.find(b"\\", at, stop) >= 0:
                self.dear = True
                self._escaped(buf, at, stop)
            else:
                self.decode(buf, at, stop)
        if self.spoiled:
            self._state = _BAD
        elif quote >= 0 and self._state != _BAD:
            self._state = _BAD if self._escape or self.held else _TAIL
        return end if quote < 0 else quote + 1

    def _escaped(self, buf, at, stop):
        """Decode what has escapes, little at a time: it is copied four times."""
        plain = plug_in("sluice.transfer.json_escapes", "plain")
        while at < stop and self._state != _BAD:
            end = min(at + _PIECE, stop)
            text, self._escape = plain(self._escape + bytes(memoryview(buf)[at:end]))
            if text is None:
                self._state = _BAD
            else:
                self.decode(text, 0, len(text))
            at = end


def parsed(text):
    """The object that the text makes; {} when it makes none."""
    try:
        fields = json.loads(text)
    except (ValueError, UnicodeError):
        fields = None
    return fields if isinstance(fields, dict) else {}


def members(fields):
    """(token, file, index, length) of a message; None for what it has not."""
    token = fields.get("c")
    token = token.encode() if isinstance(token, str) else None
    return token, _number(fields.get("f")), _number(fields.get("i")), _number(fields.get("l"))


def _number(value):
    """A non-negative int, None when there is no value, else -1, which is no index of ours."""
    if value is None:
        return None
    return value if type(value) is int and value >= 0 else -1
