"""The items of a CBOR message that comes in pieces: which is whole, which holds others.

Part of sluice.transfer.cbor_block.

source   RFC 8949, section 3
"""

from micropython import const

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

ITEM, NUMBER, PASSING, GATHERING, PAYLOAD, WHOLE, BAD = range(7)  # what comes next


class Items:
    """Follows the items; what they mean is for the class that derives from it.

    state     what comes next
    open      of each open container how many items are to come; of an endless one its kind,
              negative, a map's being -6 before a key and -5 before a value. So a key comes where
              it is even
    left      bytes to come of the string, or of the number
    """

    def __init__(self):
        self.open = [0] * _DEPTH

    def reset(self):
        """Get ready for the next message."""
        self.state = ITEM
        self.depth = self.left = self.items = self.size = self.decoded = 0
        self.gathers = False  # chunks: they are of a key or of the token

    def item(self, byte):
        """The first byte of an item: its kind, and its number or how long that is."""
        self.kind, self.number = byte >> 5, byte & 31
        self.items += 1
        if self.items > _ITEMS + (self.decoded >> _SHARE):
            self.state = BAD
        elif byte == _BREAK:
            self._break()
        elif self.number < 24:
            self.begin()
        elif self.number < 28:
            self.left = 1 << self.number - 24
            self.number = 0
            self.state = NUMBER
        elif self.number == 31 and _BYTES <= self.kind <= _MAP:
            self.number = _ENDLESS
            self.begin()
        else:
            self.state = BAD

    def begin(self):
        """The item's head is complete."""
        kind, number = self.kind, self.number
        within = self.open[self.depth - 1] if self.depth else -_MAP
        chunk = -4 < within < 0
        misplaced = kind != _MAP if not self.depth else chunk and (kind != -within or number < 0)
        if misplaced or kind == 6:
            self.state = BAD
        elif kind in (_ARRAY, _MAP) or number < 0:
            self._enter(kind, number)
        elif kind in (_BYTES, _STRING):
            self.begin_string(kind, number, chunk)
        else:
            self.tell(number if kind == 0 else None if kind == 7 and number == _NULL else -1)
            self.done()

    def _enter(self, kind, number):
        """A container, or a string that comes in chunks."""
        self.gathers = gathers = kind == _STRING and (self.at_key() or self.is_token())
        misplaced = self.at_key() and not gathers
        if misplaced or self.depth == _DEPTH or number > _MEMBERS:
            self.state = BAD
            return
        payload = kind == _BYTES and self.is_payload()
        self.state = ITEM
        self.size = 0
        if payload:
            self.start_payload()
        elif not gathers:
            self.tell(-1)
        if self.state == BAD:
            return
        if not number:
            self.done()
            return
        if kind == _MAP:
            number = -6 if number < 0 else 2 * number
        self.open[self.depth] = -kind if number == _ENDLESS else number
        self.depth += 1

    def _break(self):
        """The end of an endless container, but not between a key and its value."""
        within = self.open[self.depth - 1] if self.depth else 0
        if within >= 0 or within == -5:
            self.state = BAD
            return
        self.depth -= 1
        if within == -_STRING and self.depth == 1 and self.gathers:
            self.finish_text()
        self.done()

    def done(self):
        """An item is complete, and with it the containers of which it was the last."""
        if self.state == BAD:
            return
        while self.depth:
            left = self.open[self.depth - 1]
            left = left - 1 if left > 0 else -11 - left if left < -4 else left
            self.open[self.depth - 1] = left
            if left:
                self.state = ITEM
                return
            self.depth -= 1
        self.state = WHOLE
