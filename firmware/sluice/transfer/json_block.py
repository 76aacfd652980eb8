"""One block of a stream, parsed while it arrives: JSON in, firmware bytes out.

The message is `{"c": token, "f": file, "i": index, "l": length, "p": "base64"}` with its keys in
any order, any white space, and escapes wherever JSON has them. All but the payload is short: it is
gathered, and the built-in json judges it, with an empty string in the payload's place. The payload
is decoded where it lies, a buffer at a time, so RAM does not grow with the block. Nothing here
raises on bad bytes: `whole` stays False.

What a good message had around its payload is learned. The next one is compared with that, byte by
byte but for the digits of the index. Where they differ, json judges it as it did the first.

memory   280 B, what was learned, and 1.5 KiB of decoded bytes at a time, less where the heap has
         no such piece
source   AWS IoT developer guide, "Using AWS IoT MQTT-based file delivery in devices"; RFC 4648
"""

import json
from binascii import a2b_base64, unhexlify

from micropython import const

_TEXT = const(254)  # bytes of a message beside its payload: a token of 64, and much white space
_SLICE = const(2_052)  # characters decoded at a time, at most: as many as the link reads, and some
_SLICE_MIN = const(257)  # what a heap that has no larger piece is asked for
_DIGITS = const(9)  # of an index that is read here: a small int
_TRIES = const(4)  # numbers of a message, at most, that are tried for its index

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
    lends      it has `room` and `took`; else it takes what it is fed
    """

    lends = False

    def __init__(self, receiver):
        self._receiver = receiver
        self._text = bytearray(_TEXT + 2)
        self._quartet = bytearray(4)  # a group of four characters that the pieces cut in two
        view = memoryview(self._quartet)
        self._kept = [view[:size] for size in range(4)]
        self._slice = _SLICE
        self._front = None  # learned: the text before the index's digits, that behind them,
        self._back = self._rear = b""  # and that behind the payload; then token, file and length
        self._known = ()
        self.reset()

    def reset(self):
        """Get ready for the next message."""
        self._state = _HEAD
        self._size = 0  # of the text gathered
        self._opened_at = 0  # size of the text before the payload, and its quotes
        self._escape = b""  # begun, in the payload
        self._held = 0  # characters in the quartet
        self._left = 0  # characters to come of a payload that is as long as it says
        self._padded = self._wanted = self._alike = False
        self.dear = False  # an escape was in it
        self.decoded = 0
        self.token = self.file = self.index = self.length = None

    def feed(self, buf, at, end):
        """Read buf[at:end], a bytearray lent until this returns, with four bytes in front of it.

        returns  True for a piece that was dear
        """
        if not self._size and self._front and at < end:
            at = self._same(buf, at, end)
        while at < end:
            if self._left:
                at = self._plainly(buf, at, end)
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
        if told == (self.token, self.file, self.length, self.index) and None not in told:
            self._learn()
        return True

    # -- what messages have in common --------------------------------------------------------

    def _learn(self):
        """Find the digits of the index: those that, when they are others, change it alone."""
        text, opened, known = self._text, self._opened_at, (self.token, self.file, self.length)
        index, self._front = self.index, None
        digits, tries = b"%d" % index, _TRIES
        at = text.find(digits, 0, opened)
        while at >= 0 and tries:
            stop = at + len(digits)
            if text[at - 1] in b": \t\r\n" and text[stop] in b",} \t\r\n":
                tries -= 1
                other = text[:at] + b"%d" % (index + 1) + text[stop : self._size]
                self._tell(_object(other))
                moved = self.index
                same = known == (self.token, self.file, self.length)
                self.token, self.file, self.length = known
                self.index = index
                if same and moved == index + 1:
                    self._front, self._back = bytes(text[:at]), bytes(text[stop : opened - 1])
                    self._rear, self._known = bytes(text[opened : self._size]), known
                    return
            at = text.find(digits, at + 1, opened)

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
        self._left = ((self.length or 0) + 2) // 3 * 4 if self._wanted else 0
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
        return _object(memoryview(self._text)[:size])

    def _tell(self, fields):
        token = fields.get("c")
        self.token = token.encode() if isinstance(token, str) else None
        self.file, self.index, self.length = (_number(fields.get(key)) for key in "fil")

    # -- the payload -------------------------------------------------------------------------

    def _plainly(self, buf, at, end):
        """Take what is there of a payload that says its length, where it has no escapes; returns
        where the rest begins. What is not plain base64 is left to `_payload`.

        Up to three characters wait for the next piece, which has room for them in front of it.
        """
        stop, held = at + self._left, self._held
        if stop > end:
            stop = end
        self._held = 0
        if held > at:  # no room
            self._left = 0
            self._payload(self._quartet[:held] + buf[at:end], 0, held + end - at)
            return end
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
            if len(data) != size or self._padded and stop - at < self._left:
                self._padded = False
                self._left = 0
                return first
            self.decoded += size
            self._receiver.take(data)
        self._left -= stop - at
        if last < stop:
            self._held = stop - last
            self._kept[self._held][:] = memoryview(buf)[last:stop]
        return stop

    def _payload(self, buf, at, end):
        """Take what is there of it. An escaped quote ends it, too: base64 has none."""
        quote = buf.find(b'"', at, end)
        stop = end if quote < 0 else quote
        if self._wanted:
            if self._escape or buf.find(b"\\", at, stop) >= 0:
                self.dear = True
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
        """Decode whole groups of four; up to three characters wait for the next piece."""
        while self._held and at < stop:
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
        self._quartet[self._held] = byte
        self._held += 1
        if self._held == 4:
            self._held = 0
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
            self._state = _BAD
        elif self._state != _BAD:
            self._padded = padded
            self.decoded += size
            self._receiver.take(data)


def _object(text):
    """The object that the text makes; {} when it makes none."""
    try:
        fields = json.loads(text)
    except (ValueError, UnicodeError):
        fields = None
    return fields if isinstance(fields, dict) else {}


def _number(value):
    """A non-negative int, None when there is no value, else -1, which is no index of ours."""
    if value is None:
        return None
    return value if type(value) is int and value >= 0 else -1
