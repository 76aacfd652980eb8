"""MQTT 3.1.1 packets made in one piece; payloads that are held whole; topic filters. No I/O.

source   OASIS MQTT 3.1.1, sections 2.2 and 3
"""

from micropython import const

from sluice.log import Log

PUBLISH = const(0x30)

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


def closest(patterns, topic):
    """The longest topic filter that the topic is one of; "" when it is of none.

    So an application's "#" does not take what is for the agent.
    """
    best = ""
    for pattern in patterns:
        if len(pattern) > len(best) and matches(pattern, topic):
            best = pattern
    return best
