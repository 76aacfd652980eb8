"""One block of a stream, parsed while it arrives: CBOR in, firmware bytes out.

The message is a map of c, f, i, l and p, of definite or indefinite length. Its keys come in any
order, its strings in one piece or in chunks. The payload is a byte string. It is read where it
belongs, but for what comes with its head: nothing is decoded, and RAM does not grow with the
block. What other keys hold is passed over, four containers deep. Nothing here raises on bad bytes:
`whole` stays False. Tags are refused: no stream has them.

What a good message had around its payload is learned. The next one is compared with that, byte by
byte but for the index. Where they differ, it is parsed as the first was.

memory   about 250 B, and what was learned
source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"; RFC 8949
"""

from micropython import const

from sluice.loading import Scope, plug_in
from sluice.transfer.cbor_items import BAD, GATHERING, ITEM, NUMBER, PASSING, PAYLOAD, WHOLE, Items

_TEXT = const(64)  # bytes of a token, the service's limit; longer texts are not looked at
_LEARNED = "sluice.transfer.cbor_learned"
_LESSONS = const(8)  # of a download: each costs the time of a module and two collections
_EDGE = const(128)  # bytes in front of a payload that are learned, at most

_BYTES = const(2)  # major types
_STRING = const(3)
_MAP = const(5)


class BlockParser(Items):
    """Parses one message at a time for a receiver; see transfer.json_block, whose twin it is.

    `dumps` and `loads` are for the small messages of such a stream, as json has them.
    """

    lends = True

    def __init__(self, receiver):
        super().__init__()
        self._receiver = receiver
        self._text = bytearray(_TEXT)
        self._front = self._back = None  # learned: what stands around the index's bytes
        self._known = self._wide = ()  # what we were behind it; the index's first byte and size
        self._lessons = _LESSONS
        self.reset()

    def reset(self):
        """Get ready for the next message."""
        super().reset()
        self._key = b""
        self._begun = self._wanted = False  # the payload
        self.token = self.file = self.index = self.length = None
        self._lent = None  # where the next bytes of the payload are read to, and what follows them

    def room(self):
        """Where the next bytes belong, when they are the payload's; else None."""
        self._lent = None
        if self.state == PAYLOAD and self._wanted:
            self._lent = self._receiver.lend(self.left)
        return self._lent

    def took(self, size):
        """So many stand there; what follows the payload is parsed."""
        own = min(size, self.left)
        self.decoded += own
        self.left -= own
        self._receiver.lent(own)
        if not self.left:
            self._finish_string()
        if own < size:
            self.feed(self._lent, own, size)

    def feed(self, buf, at, end):
        """Read buf[at:end], a bytearray lent until this returns."""
        begin = at if not self.items and self.state == ITEM else -1
        if begin >= 0 and self._front:
            at = self._same(buf, at, end)
            begin = at if at == begin else -1
        while at < end:
            if self.state == ITEM:
                self.item(buf[at])
                at += 1
            elif self.state == NUMBER:
                self.number = self.number << 8 | buf[at]
                self.left -= 1
                at += 1
                if not self.left:
                    self.begin()
            elif self.state < WHOLE:
                if begin >= 0 and self.state == PAYLOAD:
                    if self._wanted and self.depth == 1 and at - begin <= _EDGE and self._lessons:
                        self._learn(bytes(memoryview(buf)[begin:at]))
                    begin = -1
                at = self._string(buf, at, min(end, at + self.left))
            else:
                self.state = BAD  # something behind the message, or a bad one
                return

    @property
    def whole(self):
        """The message was complete and well formed, and its payload as long as it said."""
        return self.state == WHOLE and self._wanted and self.decoded == self.length

    # -- what messages have in common --------------------------------------------------------

    def _learn(self, head):
        """Remember what is in front of a payload, if only the index in it will be another.

        Without it every message is read as the first one was: so where the heap has no room.
        """
        self._front, self._lessons, found = None, self._lessons - 1, None
        try:
            with Scope():  # it is done, and the download goes on
                found = plug_in(_LEARNED, "around")(head, self)
        except MemoryError:
            self._lessons = 0
        if found:
            self._front, self._back, self._wide = found
            self._known = self.so_far()

    def so_far(self):
        """All that a message's beginning made of us, but for the index."""
        told = self.token, self.file, self.length
        return told + (self.left, self.items, self.open[0], self.depth, self.state)

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
        self.left, self.items, self.open[0], self.depth, self.state = self._known[3:]
        self.index, self.kind, self._key = number, _BYTES, b"p"
        self.start_payload()
        return stop

    # -- members of the message --------------------------------------------------------------

    def at_key(self):
        return self.depth == 1 and not self.open[0] & 1

    def is_payload(self):
        return self.depth == 1 and self._key == b"p" and not self.at_key()

    def tell(self, number):
        """A value that is a number, None for null, or -1 for what is of no use."""
        if self.depth != 1:
            return
        if self.at_key():
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
            self.state = BAD  # no byte string

    def start_payload(self):
        """Ask whether it is wanted; a second one makes the message a bad one."""
        if self._begun:
            self.state = BAD
        else:
            self._begun = True
            self._wanted = self._receiver.wanted(self)

    # -- strings -----------------------------------------------------------------------------

    def begin_string(self, kind, size, chunk):
        """A string of `size` bytes: the payload or part of it, a key, the token, or of no use."""
        self.left, self.state = size, PASSING
        text = self.gathers if chunk else self.at_key() or self.is_token()
        if kind == _BYTES and (self.is_payload() or chunk and self._in_payload()):
            self.state = PAYLOAD
            if not chunk:
                self.start_payload()
        elif kind == _STRING and text:
            self.size = self.size if chunk else 0
            if self.size + size <= _TEXT:
                self.state = GATHERING
            else:
                self.size = _TEXT + 1  # too long, and so are the chunks together
        else:
            self.tell(-1)
        if not size and self.state != BAD:
            self._finish_string()

    def is_token(self):
        return self.depth == 1 and self._key == b"c"

    def _in_payload(self):
        return self.depth == 2 and self._key == b"p"

    def _string(self, buf, at, stop):
        """Take buf[at:stop], which is of a string."""
        if self.state == PAYLOAD:
            self.decoded += stop - at
            if self._wanted:
                self._receiver.take(memoryview(buf)[at:stop])
        elif self.state == GATHERING:
            size = self.size + stop - at
            self._text[self.size : size] = memoryview(buf)[at:stop]
            self.size = size
        self.left -= stop - at
        if not self.left and self.state != BAD:
            self._finish_string()
        return stop

    def _finish_string(self):
        if self.kind == _STRING and self.depth == 1:
            self.finish_text()
        self.done()

    def finish_text(self):
        """A key is complete, or the token; one that is too long is as good as none."""
        text = bytes(self._text[: self.size]) if self.size <= _TEXT else b""
        if self.at_key():
            self._key = text
        elif self.is_token():
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
        with Scope():  # blocks are on their way
            return plug_in("sluice.transfer.cbor", "loads")(payload)


def _head(kind, number):
    if number < 24:
        return bytes((kind << 5 | number,))
    if number < 0x100:
        return bytes((kind << 5 | 24, number))
    return bytes((kind << 5 | 26,)) + number.to_bytes(4, "big")
