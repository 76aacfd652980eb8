"""Where a message goes: topic filters, and the sink that gathers a small payload."""

from ota.log import Log

log = Log("mqtt")


class Whole:
    """A sink that gathers a payload of at most `limit` bytes and hands it to `handler`."""

    def __init__(self, handler, limit):
        self._handler = handler
        self._limit = limit
        self._data = None

    def begin(self, topic, size):
        self._topic = topic
        self._at = 0
        self._data = None
        if size > self._limit:
            log.w("payload too large", topic, size)
        else:
            self._data = bytearray(size)
        return True

    def feed(self, buf, at, end):
        if self._data is not None:
            self._data[self._at : self._at + end - at] = memoryview(buf)[at:end]
            self._at += end - at

    def end(self):
        data, self._data = self._data, None
        self._handler(self._topic, None if data is None else bytes(data))


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
