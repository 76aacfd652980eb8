"""HTTP/1.1 GET over a socket that never blocks: a bounded head, then the body piece by piece.

    await http.get(url, "bytes=0-65535")    → status; `span` and `size` say what the head said
    await http.read()                       → the next bytes of the body, lent; empty at its end
    http.close()

One connection is kept while the server keeps it and its answers are read to the end. While it
waits, the MQTT link is turned: it stays alive, and what it brings is heard. What the server says
is not trusted: heads are bounded, redirects lead only where `download_hosts` allows it, every wait
ends. Of an address only the host is logged, for a presigned one is a key.

Our certificate is for the host that the job names, and only where it is configured; whoever a
redirect leads to is shown none. Where an address was redirected to is remembered until that is
refused: a server of releases would otherwise cost two handshakes for each range.

memory   512 B of buffer for both ways; a line of a head, of 2 KiB at most, while it is read; an
         address that was redirected to
source   RFC 9110, RFC 9112
"""

from micropython import const

from net.head import Head
from ota.address import barred, split
from ota.errors import Fail, OTAError, Retry
from ota.loading import let_go, plug_in
from ota.log import Log

_BUFFER = const(512)  # bytes taken from the socket at a time
_HEAD = const(8_192)  # bytes of a head, at most
_LINE = const(2_200)  # bytes of a line that are looked at
_REDIRECTS = const(3)
_PATIENCE_MS = const(15_000)  # without a byte, and for a whole head
_NAP_MAX_MS = const(32)
_TURNS = const(7)  # reads less one before the others get their turn; a power of two less one

log = Log("http")


class HTTP(Head):
    """Gets one thing after the other.

    link        `turn()` is called while waiting; what it raises ends the transfer
    clock       ticks_ms, ticks_diff, sleep_ms
    hosts       `download_hosts` of config.json
    trust       paths of the CA of the file servers and, for a server that is to be shown them, of
                our certificate and its key
    """

    def __init__(self, link, clock, hosts, trust):
        self._link = link
        self._clock = clock
        self._hosts = hosts
        self._trust = trust
        self._contexts = [None, None]  # of TLS: for the job's host, for another
        self._sock = self._origin = self._moved = self._asked = None  # the last: an address apart
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._at = self._end = self._turns = 0
        self._left = 0  # bytes of the body, or of its chunk, still to come; None: until the end
        self.chunked = False
        self.status = 0

    async def get(self, url, span=None):
        """The status that an address, or a span of it, "bytes=first-last", is answered with.

        A redirect that is not followed is one, too: `fault` says why. Raises Fail where barred.
        """
        if self._asked is None or url != self._asked[0]:
            words = barred(url, self._hosts)
            if words:
                raise Fail(*words)
            self._asked = (url,) + split(url)
        moved, self._moved = self._moved, None
        home = self._asked[1][:3]
        if moved and moved[0] == url:
            if await self._ask(moved[1], span, home) in (200, 206):
                self._moved = moved
                return self.status
            self.close()
        at, hops = self._asked, 0
        while await self._ask(at, span, home) in (301, 302, 303, 307, 308):
            self.close()  # what comes with it is not wanted
            if hops == _REDIRECTS:
                self.fault = ("too many redirects",)
                return self.status
            to, self.fault = plug_in("net.redirect", "target")(self.location, at[0], self._hosts)
            let_go("net.redirect")
            if self.fault:
                return self.status
            at = (to,) + split(to)
            hops += 1
        if hops:
            self._moved = (url, at)
        return self.status

    async def _ask(self, target, span, home):
        """One request, and the head of its answer; returns the status."""
        url, origin, start = target
        away = origin[:3] != home
        # The address is not copied: it may be of 2 KiB, and that is what may be left.
        path = memoryview(url)[start:] if start < len(url) else "/"
        try:
            await self._exchange(origin + (away,), path, span)
        except (OSError, ValueError) as error:
            self._broken(error)
        except OTAError:
            self.close()
            raise
        return self.status

    async def read(self):
        """The next bytes of the body, a view good until the next call; empty at its end."""
        try:
            return await self._piece()
        except (OSError, ValueError) as error:
            self._broken(error)
        except OTAError:
            self.close()
            raise

    def close(self):
        """Drop the connection, if there is one."""
        sock, self._sock = self._sock, None
        self._at = self._end = self._left = 0
        self.chunked = False
        if sock:
            try:
                sock.close()
            except OSError as error:
                log.d("close", error)

    def _broken(self, error):
        """The transport failed. Raises the error of ours for it."""
        self.close()
        raise plug_in("net.refusals", "named")(error)

    async def _exchange(self, origin, path, span):
        """Send the request, read the head of the answer; once more on a new connection, where
        the server had closed the one that was kept."""
        words = ["GET ", path, " HTTP/1.1\r\nHost: ", origin[3], "\r\nAccept-Encoding: identity"]
        words += ["\r\nRange: ", span, "\r\n\r\n"] if span else ["\r\n\r\n"]
        read = self._left == 0 and not self.chunked  # the last answer, to its end
        fresh = self._sock is None or origin != self._origin or not read
        while True:
            if fresh:
                await self._connect(origin)
            self.status = 0
            try:
                await self._send(words)
                self._begin = self._clock.ticks_ms()
                await self._head()
                return
            except (OSError, Retry) as error:
                if fresh or self.status or self._end:
                    raise
                log.d("again", error)
                fresh = True

    async def _connect(self, origin):
        self.close()
        self._origin = origin
        try:
            context = self._trusting(origin[4]) if origin[0] == "https" else None
            dial = plug_in("net.tcp", "dial")
            self._sock = await dial(origin[1], origin[2], context, self._clock)
        finally:
            let_go("net.tcp", "net.tls")

    def _trusting(self, away):
        """The TLS context for the job's host or for another, made the first time. Raises Fail."""
        if len(self._trust) == 1:
            away = False  # there is nothing to be kept from anyone
        if self._contexts[away] is None:
            names = self._trust[:1] if away else self._trust
            self._contexts[away] = plug_in("net.tls", "of_files")(*names)
        return self._contexts[away]

    async def _send(self, words):
        """Write the parts of a request, gathered in the buffer."""
        self._at = self._end = at = 0
        for data in words:
            data = memoryview(data)
            while data:
                size = min(len(data), _BUFFER - at)
                self._view[at : at + size] = data[:size]
                data, at = data[size:], at + size
                if at == _BUFFER:
                    await self._flush(self._view)
                    at = 0
        await self._flush(self._view[:at])

    async def _flush(self, data):
        """TLS wants an unfinished write repeated as it was."""
        begin, nap_ms = self._clock.ticks_ms(), 0
        while data:
            size = self._sock.write(data)
            if not size:
                nap_ms = await self._nap(begin, nap_ms)
            data = data[size or 0 :]

    async def _head(self):
        """Read status and fields; 1xx are passed over."""
        self._budget = _HEAD
        while self.status < 200:
            self.open(await self._line())
            field = await self._line()
            while field:
                line = await self._line()
                while line[:1] in (b" ", b"\t"):  # a field that goes on in the next line
                    field += line if len(field) < _LINE else b""
                    line = await self._line()
                self.take(field)
                field = line
        if self.chunked:
            self.size = None  # whatever else was said
        self._left = 0 if self.chunked or self.status in (204, 304) else self.size

    async def _line(self):
        """A line without its end, of which 2,200 bytes are kept."""
        line = b""
        while True:
            if self._at == self._end and not await self._more():
                raise Retry("file server closed the connection")
            begin, at = self._at, self._buffer.find(b"\n", self._at, self._end)
            if at < 0:
                at = self._end
            self._budget -= min(at + 1, self._end) - begin
            if self._budget < 0:
                raise Fail("head of the file server is too long")
            if len(line) < _LINE:
                line += self._view[begin:at]
            self._at = at + 1
            if at < self._end:
                return line.rstrip(b"\r")
            self._at = at
            if self._clock.ticks_diff(self._clock.ticks_ms(), self._begin) > _PATIENCE_MS:
                raise Retry("file server is slow")

    async def _piece(self):
        if self.chunked and self._left <= 0:
            await self._chunk()
        if self._left == 0:
            return self._finish()
        if self._at == self._end and not await self._more():
            if self._left is not None:
                raise Retry("cut off")
            self.close()
            return b""
        at, stop = self._at, self._end
        if self._left is not None:
            stop = min(stop, at + self._left)
            self._left -= stop - at
            if self.chunked and not self._left:
                self._left = -1  # an end of line is to follow
        self._at = stop
        return self._view[at:stop]

    async def _chunk(self):
        """The size of the next chunk; after the last one, pass over what trails it."""
        self._budget, self._begin = _HEAD, self._clock.ticks_ms()
        if self._left and await self._line():
            raise Retry("bad chunk")
        size = (await self._line()).partition(b";")[0].strip()
        if not 0 < len(size) <= 16 or not all(c in b"0123456789abcdefABCDEF" for c in size):
            raise Retry("bad chunk")
        self._left = int(size, 16)
        if not self._left:
            self.chunked = False
            while await self._line():
                pass

    def _finish(self):
        """The answer was read to its end; bytes that nobody asked for end the connection."""
        if self._at != self._end or not self.keep:
            self.close()
        return b""

    async def _more(self):
        """Have bytes in the buffer, all of which were used; 0 when the server closed."""
        begin, nap_ms = self._clock.ticks_ms(), 0
        self._turns += 1
        if not self._turns & _TURNS:
            self._link.turn()
            await self._clock.sleep_ms(0)
        size = self._sock.readinto(self._buffer)
        while size is None:
            nap_ms = await self._nap(begin, nap_ms)
            size = self._sock.readinto(self._buffer)
        self._at, self._end = 0, size
        return size

    async def _nap(self, begin, nap_ms):
        """Let the others run; the next nap is a little longer. Raises Retry after 15 s."""
        clock = self._clock
        self._link.turn()
        if clock.ticks_diff(clock.ticks_ms(), begin) > _PATIENCE_MS:
            raise Retry("file server is silent")
        await clock.sleep_ms(nap_ms)
        return min(nap_ms + 1, _NAP_MAX_MS)
