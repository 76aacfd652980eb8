"""Doubles for the device's tests: as small as they can be, and as strict as the real thing."""

import json
from binascii import crc32

from sluice.net.packets import Whole, matches

SECTOR = 4096
ERASED = b"\xff"


def run(coroutine):
    """Run a coroutine whose awaits all return at once; gives its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the coroutine waited for something")


def raised(kind, function, *words):
    """The error of this kind that the call, or the coroutine it gives, raises."""
    try:
        result = function(*words)
        if hasattr(result, "send"):
            result = run(result)
    except kind as error:
        return error
    raise AssertionError("nothing raised but %r returned" % (result,))


def recorded(members):
    """The bytes of a journal's cell that holds these members, with a right CRC."""
    body = json.dumps(members).encode()
    return b"%08x" % crc32(body) + body


def pattern(size, seed=1):
    """Bytes that differ from sector to sector."""
    data = bytearray(size)
    for at in range(size):
        data[at] = (at * 7 + (at >> 8) * 3 + seed) % 251
    return data


class Flash:
    """A slot with the rules of NOR flash: a sector is erased whole, a byte programmed once."""

    def __init__(self, sectors):
        self.data = bytearray(b"\xa5" * sectors * SECTOR)
        self.erases = [0] * sectors
        self.programs = 0
        self.broken = None  # errno that every operation ends in

    def _erase(self, sector):
        self.erases[sector] += 1
        self.data[sector * SECTOR : (sector + 1) * SECTOR] = ERASED * SECTOR

    def writeblocks(self, sector, buf, offset=None):
        if self.broken:
            raise OSError(self.broken)
        if offset is None:
            self._erase(sector)
        at = sector * SECTOR + (offset or 0)
        place = bytes(self.data[at : at + len(buf)])
        assert place == ERASED * len(buf), "programmed without erasing"
        self.data[at : at + len(buf)] = buf
        self.programs += 1

    def readblocks(self, sector, buf, offset=0):
        at = sector * SECTOR + offset
        buf[:] = self.data[at : at + len(buf)]

    def ioctl(self, operation, sector):
        if operation == 4:
            return len(self.erases)
        assert operation == 6
        if self.broken:
            return -22
        self._erase(sector)
        return 0


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self, now=1_000):
        self.now = now
        self.slept = []

    def ticks_ms(self):
        return self.now

    def ticks_add(self, ticks, delta):
        return ticks + delta

    def ticks_diff(self, end, start):
        return end - start

    def now_s(self):
        return 1_700_000_000 + self.now // 1_000

    async def sleep_ms(self, ms):
        self.slept.append(ms)
        self.now += ms


class Link:
    """A session whose cloud is a function: (topic, message) → the (topic, payload)s it sends."""

    def __init__(self, cloud=None, clock=None):
        self.cloud = cloud or (lambda topic, message: ())
        self.clock = clock or Clock()
        self.sinks = {}
        self.sent = []
        self.inbox = []  # what is on its way to the device
        self.held = bool  # as the link's: nothing more is brought meanwhile
        self._coming = None  # pieces of the message that is being brought

    def publish(self, topic, message, retain=False, qos=0):
        self.sent.append((topic, message, qos))
        self.inbox.extend(self.cloud(topic, message) or ())

    async def deliver(self, topic, message, retain=False):
        self.publish(topic, message, retain, 1)

    async def subscribe(self, topic, handler=None, qos=0, limit=8_192):
        for name, sink in ({topic: handler} if handler else topic).items():
            self.sinks[name] = sink if hasattr(sink, "feed") else Whole(sink, limit)

    def unsubscribe(self, topic):
        self.sinks.pop(topic, None)

    def bring(self, topic, payload):
        """Hand a message to its sink as the link does, in pieces of 1,024 B at most."""
        for _ in self._pieces(topic, payload):
            pass

    def _pieces(self, topic, payload):
        for pattern, sink in self.sinks.items():
            if matches(pattern, topic.encode()):
                if sink.begin(topic.encode(), len(payload)) is not False:
                    at = 0
                    while at < len(payload):
                        at += self._piece(sink, payload[at : at + 1_024], at)
                        if at < len(payload):
                            yield
                    sink.end()
                return

    def _piece(self, sink, part, at):
        """Lend or hand over one piece; its head always comes by the link's own buffer."""
        room = sink.room() if at and getattr(sink, "room", None) else None
        if room:
            size = min(len(room), len(part))
            room[:size] = part[:size]
            sink.took(size)
            return size
        sink.feed(bytearray(b"\x22AA=" + part), 4, 4 + len(part))
        return len(part)

    async def wait(self, ready, deadline_ms):
        while not ready():
            if self.held() or not (self._coming or self.inbox):
                self.clock.now += deadline_ms
                return False
            self._coming = self._coming or self._pieces(*self.inbox.pop(0))
            try:
                next(self._coming)
            except StopIteration:
                self._coming = None
        return True


class Sources:
    """What the sources of files share, and what is kept between downloads; `connection` is what
    `http()` gives."""

    def __init__(self, link=None, settings=None, connection=None, name="", times=0):
        self.link, self.settings = link, settings
        self.clock = link and link.clock
        self.http = lambda: connection
        self.name, self.times = name, times
