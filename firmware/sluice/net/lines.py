"""What HTTP is spoken over: lines of a connection, and what those of an answer's head say.

The connection never blocks. It is read through one buffer: lines, and what follows them. While it
waits, the MQTT link is turned: it stays alive, and what it brings is heard. What comes is bounded,
and every wait ends.

memory   512 B of buffer for both ways; a line, 2 KiB at most
source   RFC 9110, RFC 9112
"""

from micropython import const

from sluice.errors import Fail, Retry
from sluice.log import Log

_BUFFER = const(512)  # bytes taken from the socket at a time
_HEAD = const(8_192)  # bytes of the lines of a head, at most
LINE = const(2_200)  # bytes of a line that are looked at
_PATIENCE_MS = const(15_000)  # without a byte, and for a whole head
_NAP_MAX_MS = const(32)
_TURN = const(4_096)  # bytes that are read before the others get their turn
_REST_S = const(120)  # of what Retry-After asks for, at most
_FIELDS = (  # that are looked at; a head may have a hundred others
    b"content-length", b"content-range", b"transfer-encoding", b"content-encoding",
    b"content-type", b"connection", b"location", b"retry-after",
)  # fmt: skip

log = Log("http")


class Lines:
    """What HTTP is spoken over.

    link    `turn()` is called while waiting; what it raises ends the transfer
    clock   ticks_ms, ticks_diff, sleep_ms
    sock    the connection, or None
    at      of what was read, the first byte that is not used yet
    end     past the last one
    """

    def __init__(self, link, clock):
        self._link = link
        self.clock = clock
        self.sock = None
        self._buffer = bytearray(_BUFFER)
        self.view = memoryview(self._buffer)
        self.at = self.end = self._turned = 0

    def shut(self):
        """Drop the connection, if there is one."""
        sock, self.sock = self.sock, None
        self.at = self.end = 0
        if sock:
            try:
                sock.close()
            except OSError as error:
                log.d("close", error)

    def budget(self):
        """A head begins: 8 KiB and 15 s for all of its lines."""
        self._budget, self._begin = _HEAD, self.clock.ticks_ms()

    async def send(self, words):
        """Write the parts of a request, gathered in the buffer."""
        self.at = self.end = at = 0
        for data in words:
            data = memoryview(data)
            while data:
                size = min(len(data), _BUFFER - at)
                self.view[at : at + size] = data[:size]
                data, at = data[size:], at + size
                if at == _BUFFER:
                    await self._flush(self.view)
                    at = 0
        await self._flush(self.view[:at])

    async def _flush(self, data):
        """TLS wants an unfinished write repeated as it was."""
        begin, nap_ms = self.clock.ticks_ms(), 0
        while data:
            size = self.sock.write(data)
            if not size:
                nap_ms = await self._nap(begin, nap_ms)
            data = data[size or 0 :]

    async def line(self):
        """A line without its end, of which 2,200 bytes are kept."""
        line = b""
        while True:
            if self.at == self.end and not await self.more():
                raise Retry("file server closed the connection")
            begin, at = self.at, self._buffer.find(b"\n", self.at, self.end)
            if at < 0:
                at = self.end
            self._budget -= min(at + 1, self.end) - begin
            if self._budget < 0:
                raise Fail("head of the file server is too long")
            if len(line) < LINE:
                line += self.view[begin:at]
            self.at = at + 1
            if at < self.end:
                return line.rstrip(b"\r")
            self.at = at
            if self.clock.ticks_diff(self.clock.ticks_ms(), self._begin) > _PATIENCE_MS:
                raise Retry("file server is slow")

    async def more(self, room=None):
        """Have bytes in the buffer, all of which were used, or in that room instead; 0 when the
        server closed."""
        begin, nap_ms = self.clock.ticks_ms(), 0
        room = room or self.view
        if self._turned + len(room) > _TURN:
            self._turned = 0
            self._link.turn()
            await self.clock.sleep_ms(0)
        size = self.sock.readinto(room)
        while size is None:
            nap_ms = await self._nap(begin, nap_ms)
            size = self.sock.readinto(room)
        self._turned += size
        self.at, self.end = 0, size
        return size

    async def _nap(self, begin, nap_ms):
        """Let the others run; the next nap is a little longer. Raises Retry after 15 s."""
        clock = self.clock
        self._link.turn()
        if clock.ticks_diff(clock.ticks_ms(), begin) > _PATIENCE_MS:
            raise Retry("file server is silent")
        await clock.sleep_ms(nap_ms)
        return min(nap_ms + 1, _NAP_MAX_MS)


class Head:
    """The last head; its lines are judged, not read, here.

    status     of three digits
    size       Content-Length, or None when the head does not say
    span       Content-Range in lower case, bytes, or None
    location   of a redirect, bytes, or None
    keep       whether the connection may be used again
    chunked    whether the body comes in chunks
    page       whether the body is said to be HTML
    rest_s     seconds that the server wants to be left alone
    fault      why the body is of no use, a tuple of a reason and its values; None where it is
    """

    def open(self, line):
        """Take the first line. Raises Retry when it is none of HTTP's."""
        words = line.split(None, 2)
        if len(words) < 2 or words[0][:7] != b"HTTP/1." or not _number(words[1], 3):
            raise Retry("file server does not speak HTTP")
        self.status = int(words[1])
        self.keep = words[0] != b"HTTP/1.0"
        self.chunked = self.page = False
        self.rest_s = 0
        self.size = self.span = self.fault = self.location = None

    def take(self, field):
        """Take a field. Raises Retry when it contradicts itself or another."""
        name = field[: max(field.find(b":"), 0)].strip().lower()
        if name not in _FIELDS:
            return
        value = field[field.find(b":") + 1 :].strip()
        word = value.lower()
        if name == b"content-length":
            self.size = _size(value, self.size)
        elif name == b"content-range":
            self.span = word
        elif name == b"transfer-encoding" and word != b"identity":
            self.chunked = word == b"chunked"
            if not self.chunked:
                self.fault = ("transfer coding of the file server",)
        elif name == b"content-encoding" and word not in (b"", b"identity"):
            self.fault = ("content coding of the file server",)
        elif name == b"content-type":
            self.page = word[:9] == b"text/html"
            if word[:20] == b"multipart/byteranges":
                self.fault = ("file server sends several ranges",)
        elif name == b"connection":
            self.keep = self.keep and b"close" not in word
        elif name == b"location":
            self.location = value
        elif name == b"retry-after" and _number(value, 9):
            self.rest_s = min(int(value), _REST_S)


def _size(value, known):
    """Content-Length, which may be said twice if it says the same. Raises Retry."""
    for text in value.split(b","):
        text = text.strip()
        if not _number(text, 12) or known not in (None, int(text)):
            raise Retry("bad Content-Length")
        known = int(text)
    return known


def _number(text, digits):
    """True for so many digits at most, and one at least."""
    return 0 < len(text) <= digits and text.isdigit()
