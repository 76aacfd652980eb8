"""One block of a stream, parsed while it arrives: CBOR in, firmware bytes out.

The message is a map of c, f, i, l and p, of definite or indefinite length, its keys in any order,
its strings in one piece or in chunks. The payload is a byte string. It is read where it belongs,
but for what comes with its head: nothing is decoded, and RAM does not grow with the block. What
other keys hold is passed over, four containers deep. Nothing here raises on bad bytes: `whole`
stays False. Tags are refused: no stream has them.

What a good message had around its payload is learned. The next one is compared with that, byte by
byte but for the index. Where they differ, it is parsed as the first was.

memory   about 250 B, and what was learned
source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"; RFC 8949
"""

from micropython import const

from sluice.loading import let_go, plug_in

_TEXT = const(64)  # bytes of a token, the service's limit; longer texts are not looked at
_EDGE = const(128)  # bytes in front of a payload that are learned, at most
_ITEMS = const(64)  # of a message, at most: each costs time, however short it is;
_SHARE = const(6)  # and one more for each 2^6 bytes of its payload, which may come in chunks
_DEPTH = const(5)  # open containers, the message's own included
_MEMBERS = const(255)  # of a container of definite length, at most

_BYTES = const(2)  # major types
_STRING = const(3)
_ARRAY = const(4)
_MAP = const(5)
_BREAK = const(0xFF)
_NULL = const(22)  # simple value
_ENDLESS = const(-1)  # length of what goes on until a break

_ITEM, _NUMBER, _PASSING, _GATHERING, _PAYLOAD, _WHOLE, _BAD = range(7)  # what comes next


class BlockParser:
    """Parses one message at a time for a receiver; see transfer.json_block, whose twin it is.

    `dumps` and `loads` are for the small messages of such a stream, as json has them.
    """

    lends = True

    def __init__(self, receiver):
        self._receiver = receiver
        self._text = bytearray(_TEXT)
        # Of each open container how many items are to come; of an endless one its kind, negative,
        # a map's being -6 before a key and -5 before a value. So a key comes where it is even.
        self._open = [0] * _DEPTH
        self._front = self._back = None  # learned: what stands around the index's bytes
        self._known = self._wide = ()  # what we were behind it; the index's first byte and size
        self.reset()

    def reset(self):
        """Get ready for the next message."""
        self._state = _ITEM
        self._depth = self._left = self._size = self._items = self.decoded = 0
        self._key = b""
        self._begun = self._wanted = False  # the payload
        self._gathers = False  # chunks: they are of a key or of the token
        self.token = self.file = self.index = self.length = None
        self._lent = None  # where the next bytes of the payload are read to, and what follows them

    def room(self):
        """Where the next bytes belong, when they are the payload's; else None."""
        self._lent = None
        if self._state == _PAYLOAD and self._wanted:
            self._lent = self._receiver.lend(self._left)
        return self._lent

    def took(self, size):
        """So many stand there; what follows the payload is parsed."""
        own = min(size, self._left)
        self.decoded += own
        self._left -= own
        self._receiver.lent(own)
        if not self._left:
            self._finish_string()
        if own < size:
            self.feed(self._lent, own, size)

    def feed(self, buf, at, end):
        """Read buf[at:end], a bytearray lent until this returns."""
        begin = at if not self._items and self._state == _ITEM else -1
        if begin >= 0 and self._front:
            at = self._same(buf, at, end)
            begin = at if at == begin else -1
        while at < end:
            if self._state == _ITEM:
                self._item(buf[at])
                at += 1
            elif self._state == _NUMBER:
                self._number = self._number << 8 | buf[at]
                self._left -= 1
                at += 1
                if not self._left:
                    self._begin()
            elif self._state < _WHOLE:
                if begin >= 0 and self._state == _PAYLOAD:
                    if self._wanted and self._depth == 1 and at - begin <= _EDGE:
                        self._learn(bytes(memoryview(buf)[begin:at]))
                    begin = -1
                at = self._string(buf, at, min(end, at + self._left))
            else:
                self._state = _BAD  # something behind the message, or a bad one
                return

    @property
    def whole(self):
        """The message was complete and well formed, and its payload as long as it said."""
        return self._state == _WHOLE and self._wanted and self.decoded == self.length

    # -- what messages have in common --------------------------------------------------------

    def _learn(self, head):
        """Remember what is in front of a payload, if only the index in it will be another."""
        index, self._front = self.index, None
        if index is None or index < 0:
            return
        for extra, size in ((None, 0), (24, 1), (25, 2), (26, 4)):
            if index >> 8 * size and size or not size and index > 23:
                continue
            at = head.find(b"\x61i" + _wide(index, extra, size)) + 2
            if at > 1:
                front, back = head[:at], head[at + 1 + size :]
                twin = BlockParser(_Anyone())
                text = bytearray(front + _wide(index ^ 1, extra, size) + back)
                twin.feed(text, 0, len(text))
                if twin.index == index ^ 1 and twin._so_far() == self._so_far():
                    self._front, self._back, self._wide = front, back, (extra, size)
                    self._known = self._so_far()
                return

    def _so_far(self):
        """All that a message's beginning made of us, but for the index."""
        told = self.token, self.file, self.length
        return told + (self._left, self._items, self._open[0], self._depth, self._state)

    def _same(self, buf, at, end):
        """Where the payload begins of a message like the one before; `at` for any other."""
        front, back = self._front, self._back
        extra, size = self._wide
        first = at + len(front)
        behind = first + 1 + size
        stop = behind + len(back)
        if stop >= end or not buf.startswith(front, at) or not buf.startswith(back, behind):
            return at
        byte = buf[first]
        if byte > 23 if extra is None else byte != extra:
            return at
        number = byte if extra is None else 0
        for place in range(first + 1, behind):
            number = number << 8 | buf[place]
        self.token, self.file, self.length = self._known[:3]
        self._left, self._items, self._open[0], self._depth, self._state = self._known[3:]
        self.index, self._kind, self._key = number, _BYTES, b"p"
        self._start_payload()
        return stop

    # -- an item -----------------------------------------------------------------------------

    def _item(self, byte):
        """The first byte of an item: its kind, and its number or how long that is."""
        self._kind, self._number = byte >> 5, byte & 31
        self._items += 1
        if self._items > _ITEMS + (self.decoded >> _SHARE):
            self._state = _BAD
        elif byte == _BREAK:
            self._break()
        elif self._number < 24:
            self._begin()
        elif self._number < 28:
            self._left = 1 << self._number - 24
            self._number = 0
            self._state = _NUMBER
        elif self._number == 31 and _BYTES <= self._kind <= _MAP:
            self._number = _ENDLESS
            self._begin()
        else:
            self._state = _BAD

    def _begin(self):
        """The item's head is complete."""
        kind, number = self._kind, self._number
        within = self._open[self._depth - 1] if self._depth else -_MAP
        chunk = -4 < within < 0
        misplaced = kind != _MAP if not self._depth else chunk and (kind != -within or number < 0)
        if misplaced or kind == 6:
            self._state = _BAD
        elif kind in (_ARRAY, _MAP) or number < 0:
            self._enter(kind, number)
        elif kind in (_BYTES, _STRING):
            self._begin_string(kind, number, chunk)
        else:
            self._tell(number if kind == 0 else None if kind == 7 and number == _NULL else -1)
            self._done()

    def _enter(self, kind, number):
        """A container, or a string that comes in chunks."""
        self._gathers = gathers = kind == _STRING and (self._at_key() or self._is_token())
        misplaced = self._at_key() and not gathers
        if misplaced or self._depth == _DEPTH or number > _MEMBERS:
            self._state = _BAD
            return
        payload = kind == _BYTES and self._is_payload()
        self._state = _ITEM
        self._size = 0
        if payload:
            self._start_payload()
        elif not gathers:
            self._tell(-1)
        if self._state == _BAD:
            return
        if not number:
            self._done()
            return
        if kind == _MAP:
            number = -6 if number < 0 else 2 * number
        self._open[self._depth] = -kind if number == _ENDLESS else number
        self._depth += 1

    def _break(self):
        """The end of an endless container, but not between a key and its value."""
        within = self._open[self._depth - 1] if self._depth else 0
        if within >= 0 or within == -5:
            self._state = _BAD
            return
        self._depth -= 1
        if within == -_STRING and self._depth == 1 and self._gathers:
            self._finish_text()
        self._done()

    def _done(self):
        """An item is complete, and with it the containers of which it was the last."""
        if self._state == _BAD:
            return
        while self._depth:
            left = self._open[self._depth - 1]
            left = left - 1 if left > 0 else -11 - left if left < -4 else left
            self._open[self._depth - 1] = left
            if left:
                self._state = _ITEM
                return
            self._depth -= 1
        self._state = _WHOLE

    # -- members of the message --------------------------------------------------------------

    def _at_key(self):
        return self._depth == 1 and not self._open[0] & 1

    def _is_payload(self):
        return self._depth == 1 and self._key == b"p" and not self._at_key()

    def _tell(self, number):
        """A value that is a number, None for null, or -1 for what is of no use."""
        if self._depth != 1:
            return
        if self._at_key():
            self._key = b""  # of some other kind
        elif self._key == b"f":
            self.file = number
        elif self._key == b"i":
            self.index = number
        elif self._key == b"l":
            self.length = number
        elif self._key == b"c":
            self.token = b"" if number else None
        elif self._key == b"p":
            self._state = _BAD  # no byte string

    def _start_payload(self):
        """Ask whether it is wanted; a second one makes the message a bad one."""
        if self._begun:
            self._state = _BAD
        else:
            self._begun = True
            self._wanted = self._receiver.wanted(self)

    # -- strings -----------------------------------------------------------------------------

    def _begin_string(self, kind, size, chunk):
        """A string of `size` bytes: the payload or part of it, a key, the token, or of no use."""
        self._left, self._state = size, _PASSING
        text = self._gathers if chunk else self._at_key() or self._is_token()
        if kind == _BYTES and (self._is_payload() or chunk and self._in_payload()):
            self._state = _PAYLOAD
            if not chunk:
                self._start_payload()
        elif kind == _STRING and text:
            self._size = self._size if chunk else 0
            if self._size + size <= _TEXT:
                self._state = _GATHERING
            else:
                self._size = _TEXT + 1  # too long, and so are the chunks together
        else:
            self._tell(-1)
        if not size and self._state != _BAD:
            self._finish_string()

    def _is_token(self):
        return self._depth == 1 and self._key == b"c"

    def _in_payload(self):
        return self._depth == 2 and self._key == b"p"

    def _string(self, buf, at, stop):
        """Take buf[at:stop], which is of a string."""
        if self._state == _PAYLOAD:
            self.decoded += stop - at
            if self._wanted:
                self._receiver.take(memoryview(buf)[at:stop])
        elif self._state == _GATHERING:
            size = self._size + stop - at
            self._text[self._size : size] = memoryview(buf)[at:stop]
            self._size = size
        self._left -= stop - at
        if not self._left and self._state != _BAD:
            self._finish_string()
        return stop

    def _finish_string(self):
        if self._kind == _STRING and self._depth == 1:
            self._finish_text()
        self._done()

    def _finish_text(self):
        """A key is complete, or the token; one that is too long is as good as none."""
        text = bytes(self._text[: self._size]) if self._size <= _TEXT else b""
        if self._at_key():
            self._key = text
        elif self._is_token():
            self.token = text

    # -- the small messages ------------------------------------------------------------------

    @staticmethod
    def dumps(message):
        """A request, a dict of text and numbers that are not negative, as bytes."""
        parts = [_head(_MAP, len(message))]
        for pair in message.items():
            for item in pair:
                if isinstance(item, int):
                    parts.append(_head(0, item))
                else:
                    parts += [_head(_STRING, len(item)), item.encode()]
        return b"".join(parts)

    @staticmethod
    def loads(payload):
        """What a description or a refusal says. Raises ValueError."""
        try:
            return plug_in("sluice.transfer.cbor", "loads")(payload)
        finally:
            let_go("sluice.transfer.cbor")


class _Anyone:
    """Receives what is only tried."""

    def wanted(self, parser):
        return True


def _wide(number, extra, size):
    """A number in so many bytes behind its first one, which is `extra`; None: it is the number."""
    return bytes((number,)) if extra is None else bytes((extra,)) + number.to_bytes(size, "big")


def _head(kind, number):
    if number < 24:
        return bytes((kind << 5 | number,))
    if number < 0x100:
        return bytes((kind << 5 | 24, number))
    return bytes((kind << 5 | 26,)) + number.to_bytes(4, "big")
