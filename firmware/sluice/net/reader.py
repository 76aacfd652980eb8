"""MQTT 3.1.1 packets read in any pieces, and where they go. No I/O.

source   OASIS MQTT 3.1.1, sections 2.2 and 3
"""

from micropython import const

from sluice.errors import Retry
from sluice.log import Log
from sluice.net.packets import PUBLISH

_ANSWERS = b"\x20\x40\x90\xb0\xd0"  # CONNACK, PUBACK, SUBACK, UNSUBACK, PINGRESP
_BUFFER = const(1_024)  # bytes taken from the socket at a time
_LEAD = const(4)  # bytes in front of them, where a sink may put what it kept of the last piece
_HEAD = const(280)  # bytes of a packet before its payload: topic of 256, two lengths, packet id
_TOPIC = const(256)  # bytes, AWS's limit
_MAX_SHIFT = const(21)  # of the fourth and last byte of a remaining length

log = Log("mqtt")


class Reader:
    """Reads packets out of pieces of any size.

    on_packet   called with (kind, head, packet id) for everything but a PUBLISH at QoS 0; the
                head is bytes; for a PUBLISH it is called after its payload, to be answered
    route       topic, bytes → sink, or None to pass over the payload; asked once for messages of
                the same topic in a row, until `forget`
    enough      asked behind each packet: True to have the rest wait for the next `take`
    buffer      view of what `take` is told the size of
    rest        True when `take` left something for the next time
    dear        a sink said that it wrote to flash; whoever sets it to False learns so

    A sink has begin(topic, size) → False when the payload is not wanted; feed(buf, at, end), which
    lends it what lies in our buffer, and the four bytes in front of `at`; end(). Where it has a
    place of its own for what comes, it has room() → memoryview, or None until then, to be filled
    from its start, and took(size).
    """

    def __init__(self, on_packet, route, enough=bool):
        self._on_packet = on_packet
        self._route = route
        self._enough = enough
        self._bytes = bytearray(_LEAD + _BUFFER)
        self.buffer = memoryview(self._bytes)[_LEAD:]
        self._head = bytearray(_HEAD)
        self.reset()

    def reset(self):
        """A new connection begins."""
        self._stage = self._kind_byte
        self._sink = self._room = None
        self._inside = self._lent = self.dear = False
        self._at = self._end = 0  # what of the buffer is to be read, where there is a
        self.rest = False  # rest
        self.forget()

    def forget(self):
        """Ask for the next message's route, whatever its topic: routes have changed."""
        self._same = None  # the last topic, with its length before it
        self._topic = self._taker = None  # the same without; its sink

    def room(self):
        """Where the socket is to read to, when there is no rest: what `take` is told next.

        A read ends with its message, so that the next one begins at the front of the buffer.
        """
        room = self.buffer
        self._lent = False
        if self._inside:
            if self._room:
                try:
                    lent = self._room()
                    if lent:
                        room, self._lent = lent, True
                except Exception as error:
                    self._failed(error)
            if len(room) > self._left:
                room = room[: self._left]
        return room

    def take(self, size=0):
        """Read the first `size` bytes of `buffer`, or of what `room` returned; or go on with the
        rest of those there.

        raises   Retry when they are no MQTT
        """
        if self._inside and 0 < size <= self._left:
            self._piece(size)
            return
        at, end = (_LEAD, _LEAD + size) if size else (self._at, self._end)
        self.rest = False
        while at < end:
            self._finished = False
            at = self._stage(at, end)
            if self._finished and (self.dear or self._enough()):
                self._at, self._end, self.rest = at, end, at < end
                return

    def _piece(self, size):
        """A read that brought only payload: into our buffer, or where the sink wanted it."""
        if self._sink:
            try:
                if self._lent:
                    dear = self._sink.took(size)
                else:
                    dear = self._sink.feed(self._bytes, _LEAD, _LEAD + size)
                if dear:
                    self.dear = True
            except Exception as error:
                self._failed(error)
        self._left -= size
        if not self._left:
            self._finish()

    def _swift(self, at, end):
        """A PUBLISH at QoS 0 to the topic of the last one, whose head lies there in one piece:
        where its payload begins. 0 for what is to be read byte by byte."""
        buf, same = self._bytes, self._same
        if buf[at] != PUBLISH or end - at < len(same) + 5:
            return 0
        left = shift = 0
        byte = 0x80
        while byte & 0x80:
            if shift > _MAX_SHIFT:
                return 0
            at += 1
            byte = buf[at]
            left |= (byte & 0x7F) << shift
            shift += 7
        at += 1
        left -= len(same)
        if left < 0 or not buf.startswith(same, at):
            return 0
        self._kind, self._left = PUBLISH, left
        self._payload_begins()
        return at + len(same)

    def _kind_byte(self, at, end):
        if self._same:
            payload = self._swift(at, end)
            if payload:
                return payload
        self._kind = self._bytes[at]
        self._left = self._shift = 0
        self._stage = self._length_byte
        return at + 1

    def _length_byte(self, at, end):
        byte = self._bytes[at]
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
        known = self._kind & 6 <= 2 if publish else self._kind in _ANSWERS
        if not known or self._wanted > _HEAD or self._wanted > self._left:
            raise Retry("malformed packet", self._kind, self._left)
        self._stage = self._head_bytes
        if not self._wanted:
            self._finish()

    def _head_bytes(self, at, end):
        size = min(end - at, self._wanted - self._filled)
        stop = self._filled + size
        self._head[self._filled : stop] = memoryview(self._bytes)[at : at + size]
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
        if topic != self._topic:
            self._taker = self._route(topic)
            self._topic, self._same = topic, bytes(self._head[: 2 + size])
        self._payload_begins()

    def _payload_begins(self):
        sink = self._sink = self._taker
        self._room = None
        self._inside, self._stage = True, self._payload
        if sink:
            try:
                if sink.begin(self._topic, self._left) is False:
                    self._sink = None
                else:
                    self._room = getattr(sink, "room", None)
            except Exception as error:
                self._failed(error)
        if not self._left:
            self._finish()

    def _payload(self, at, end):
        stop = min(end, at + self._left)
        if self._sink:
            try:
                if self._sink.feed(self._bytes, at, stop):
                    self.dear = True
            except Exception as error:
                self._failed(error)
        self._left -= stop - at
        if not self._left:
            self._finish()
        return stop

    def _finish(self):
        self._stage, self._finished = self._kind_byte, True
        kind, head = self._kind & 0xF0, self._head
        if kind == PUBLISH:
            self._inside = False
            if self._sink:
                try:
                    if self._sink.end():
                        self.dear = True
                except Exception as error:
                    self._failed(error)
            self._sink = self._room = None
            if self._kind & 6:
                self._on_packet(kind, b"", head[self._wanted - 2] << 8 | head[self._wanted - 1])
        else:
            if self._wanted < 2 and kind != 0xD0 or kind == 0x90 and self._wanted < 3:
                raise Retry("malformed packet", self._kind)
            self._on_packet(kind, bytes(head[: self._wanted]), head[0] << 8 | head[1])

    def _failed(self, error):
        """A fault of one handler must not end the session that others share."""
        log.e("handler failed", repr(error))
        self._sink = self._room = None
