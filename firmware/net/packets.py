"""MQTT 3.1.1 packets: made in one piece, read in any pieces, and where they go. No I/O.

source   OASIS MQTT 3.1.1, sections 2.2 and 3
"""

from micropython import const

from ota.errors import Retry
from ota.log import Log

PUBLISH = const(0x30)
_ANSWERS = b"\x20\x40\x90\xb0\xd0"  # CONNACK, PUBACK, SUBACK, UNSUBACK, PINGRESP
_BUFFER = const(512)  # bytes taken from the socket at a time
_HEAD = const(280)  # bytes of a packet before its payload: topic of 256, two lengths, packet id
_TOPIC = const(256)  # bytes, AWS's limit
_MAX_SHIFT = const(21)  # of the fourth and last byte of a remaining length

log = Log("mqtt")


def packet(kind, *parts):
    """A whole packet: fixed header with its remaining length, then the parts."""
    parts = [part.encode() if isinstance(part, str) else part for part in parts]
    size, head = sum(len(part) for part in parts), bytearray((kind,))
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return b"".join([head] + parts)  # one copy: the heap may have no room for two


def text(value):
    """A string or bytes with their length before them."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


class Reader:
    """Reads packets out of pieces of any size.

    on_packet   called with (kind, head, packet id) for everything but a PUBLISH at QoS 0; the
                head is bytes; for a PUBLISH it is called after its payload, to be answered
    route       topic, bytes → sink, or None to pass over the payload
    enough      asked behind each packet: True to have the rest wait for the next `take`
    """

    def __init__(self, on_packet, route, enough=bool):
        self._on_packet = on_packet
        self._route = route
        self._enough = enough
        self.buffer = bytearray(_BUFFER)
        self._head = bytearray(_HEAD)
        self.reset()

    def reset(self):
        """A new connection begins."""
        self._stage = self._kind_byte
        self._sink = None
        self._at = self._end = 0  # what of the buffer is to be read

    @property
    def rest(self):
        """True when `take` left something for the next time."""
        return self._at < self._end

    def take(self, size=0):
        """Read the first `size` bytes of `buffer`, or go on with the rest of those there.

        raises   Retry when they are no MQTT
        """
        if size:
            self._at, self._end = 0, size
        while self._at < self._end:
            self._finished = False
            self._at = self._stage(self._at, self._end)
            if self._finished and self._enough():
                return

    def _kind_byte(self, at, end):
        self._kind = self.buffer[at]
        self._left = self._shift = 0
        self._stage = self._length_byte
        return at + 1

    def _length_byte(self, at, end):
        byte = self.buffer[at]
        self._left |= (byte & 0x7F) << self._shift
        self._shift += 7
        if byte & 0x80:
            if self._shift > _MAX_SHIFT:
                raise Retry("malformed packet length")
        else:
            self._begin()
        return at + 1

    def _begin(self):
        publish = self._kind & 0xF0 == PUBLISH
        self._filled, self._wanted = 0, 2 if publish else self._left
        self._topic = None
        known = self._kind & 6 <= 2 if publish else self._kind in _ANSWERS
        if not known or self._wanted > _HEAD or self._wanted > self._left:
            raise Retry("malformed packet", self._kind, self._left)
        self._stage = self._head_bytes
        if not self._wanted:
            self._finish()

    def _head_bytes(self, at, end):
        size = min(end - at, self._wanted - self._filled)
        stop = self._filled + size
        self._head[self._filled : stop] = memoryview(self.buffer)[at : at + size]
        self._filled = stop
        self._left -= size
        if stop == self._wanted:
            if self._kind & 0xF0 != PUBLISH:
                self._finish()
            elif self._wanted == 2:
                self._want_topic()
            else:
                self._publish()
        return at + size

    def _want_topic(self):
        size = self._head[0] << 8 | self._head[1]
        self._wanted = 2 + size + (2 if self._kind & 6 else 0)
        if not 0 < size <= _TOPIC or self._wanted - 2 > self._left:
            raise Retry("malformed topic", size)

    def _publish(self):
        size = self._head[0] << 8 | self._head[1]
        topic = bytes(self._head[2 : 2 + size])
        self._sink = self._route(topic)
        if self._sink:
            self._guard(self._sink.begin, topic, self._left)
        self._stage = self._payload
        if not self._left:
            self._finish()

    def _payload(self, at, end):
        stop = min(end, at + self._left)
        if self._sink:
            self._guard(self._sink.feed, self.buffer, at, stop)
        self._left -= stop - at
        if not self._left:
            self._finish()
        return stop

    def _finish(self):
        self._stage, self._finished = self._kind_byte, True
        kind, head = self._kind & 0xF0, self._head
        if kind == PUBLISH:
            if self._sink:
                self._guard(self._sink.end)
            self._sink = None
            if self._kind & 6:
                self._on_packet(kind, b"", head[self._wanted - 2] << 8 | head[self._wanted - 1])
        else:
            if self._wanted < 2 and kind != 0xD0 or kind == 0x90 and self._wanted < 3:
                raise Retry("malformed packet", self._kind)
            answer = bytes(head[: self._wanted])
            self._on_packet(kind, answer, head[0] << 8 | head[1])

    def _guard(self, handler, *words):
        """A fault of one handler must not end the session that others share."""
        try:
            if handler(*words) is False:
                self._sink = None
        except Exception as error:
            log.e("handler failed", repr(error))
            self._sink = None


class Whole:
    """A sink that gathers a payload of at most `limit` bytes for `handler(topic, bytearray)`.

    A limit of 0 is for a handler that does not want payloads.
    """

    def __init__(self, handler, limit):
        self._handler = handler
        self._limit = limit
        self._data = None

    def begin(self, topic, size):
        self._topic = topic
        self._at = 0
        self._data = None
        if size <= self._limit:
            try:
                self._data = bytearray(size)
            except MemoryError:  # as one that is too large
                pass
        return True

    def feed(self, buf, at, end):
        if self._data is not None:
            self._data[self._at : self._at + end - at] = memoryview(buf)[at:end]
            self._at += end - at

    def end(self):
        data, self._data = self._data, None
        self._handler(self._topic, data)
        if data is None and self._limit:
            log.w("payload not taken:", self._topic)


def matches(pattern, topic):
    """True when the topic, bytes, is one of the topic filter's, str.

    source   OASIS MQTT 3.1.1, section 4.7: a wildcard at the front passes over $ topics
    """
    levels = topic.split(b"/")
    wanted = pattern.encode().split(b"/")
    if topic.startswith(b"$") and wanted[0] in (b"#", b"+"):
        return False
    for place, level in enumerate(wanted):
        if level == b"#":
            return True
        if place >= len(levels) or level != b"+" and level != levels[place]:
            return False
    return len(levels) == len(wanted)
