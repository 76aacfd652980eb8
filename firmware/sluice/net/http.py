"""HTTP/1.1 GET over a socket that never blocks: a bounded head, then the body piece by piece.

    await http.get(url, "bytes=0-65535")    → status; `span` and `size` say what the head said
    await http.readinto(room)               → how many bytes of the body stand there; 0 at its end
    await http.read()                       → the next bytes of the body, lent; empty at its end
    http.close()

One connection is kept while the server keeps it and its answers are read to the end. What the
server says is not trusted: redirects lead only where `download_hosts` allows it. Of an address
only the host is logged, for a presigned one is a key.

Our certificate is for the host that the job names, and only where it is configured; whoever a
redirect leads to is shown none. Where an address was redirected to is remembered until that is
refused: a server of releases would otherwise cost two handshakes for each range.

memory   that of net.lines; an address redirected to
source   RFC 9110, RFC 9112
"""

from micropython import const

from sluice.address import barred, split
from sluice.errors import Fail, OTAError, Retry
from sluice.loading import Scope, plug_in
from sluice.log import Log
from sluice.net.lines import LINE, Head, Lines

_REDIRECT = "sluice.net.redirect"  # loaded when one comes
_REDIRECTS = const(3)

log = Log("http")


class HTTP(Head, Lines):
    """Gets one thing after the other.

    link, clock as net.lines.Lines has them
    hosts       `download_hosts` of config.json
    trust       paths of the CA of the file servers and, for a server that is to be shown them, of
                our certificate and its key
    """

    def __init__(self, link, clock, hosts, trust):
        Lines.__init__(self, link, clock)
        self._hosts = hosts
        self._trust = trust
        self._contexts = [None, None]  # of TLS: for the job's host, for another
        self._origin = self._moved = self._asked = None  # the last: an address apart
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
            with Scope():  # a download is under way
                to, self.fault = plug_in(_REDIRECT, "target")(self.location, at[0], self._hosts)
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
        return self.view[: await self.readinto(self.view)]

    async def readinto(self, room):
        """Put the next bytes of the body to the front of a view; how many, 0 at its end."""
        try:
            return await self._body(room)
        except (OSError, ValueError) as error:
            self._broken(error)
        except OTAError:
            self.close()
            raise

    def close(self):
        """Drop the connection, if there is one."""
        self._left = 0
        self.chunked = False
        self.shut()

    def _broken(self, error):
        """The transport failed. Raises the error of ours for it."""
        self.close()
        raise plug_in("sluice.net.refusals", "named")(error)

    async def _exchange(self, origin, path, span):
        """Send the request, read the head of the answer; once more on a new connection, where
        the server had closed the one that was kept."""
        words = ["GET ", path, " HTTP/1.1\r\nHost: ", origin[3], "\r\nAccept-Encoding: identity"]
        words += ["\r\nRange: ", span, "\r\n\r\n"] if span else ["\r\n\r\n"]
        read = self._left == 0 and not self.chunked  # the last answer, to its end
        fresh = self.sock is None or origin != self._origin or not read
        while True:
            if fresh:
                await self._connect(origin)
            self.status = 0
            try:
                await self.send(words)
                await self._head()
                return
            except (OSError, Retry) as error:
                if fresh or self.status or self.end:
                    raise
                log.d("again", error)
                fresh = True

    async def _connect(self, origin):
        self.close()
        self._origin = origin
        with Scope():  # a download is under way
            context = self._trusting(origin[4]) if origin[0] == "https" else None
            dial = plug_in("sluice.net.connect", "dial")
            self.sock, _ = await dial(origin[1], origin[2], context, self.clock)

    def _trusting(self, away):
        """The TLS context for the job's host or for another, made the first time. Raises Fail."""
        if len(self._trust) == 1:
            away = False  # there is nothing to be kept from anyone
        if self._contexts[away] is None:
            names = self._trust[:1] if away else self._trust
            self._contexts[away] = plug_in("sluice.net.connect", "of_files")(*names)
        return self._contexts[away]

    async def _head(self):
        """Read status and fields; 1xx are passed over."""
        self.budget()
        while self.status < 200:
            self.open(await self.line())
            field = await self.line()
            while field:
                line = await self.line()
                while line[:1] in (b" ", b"\t"):  # a field that goes on in the next line
                    field += line if len(field) < LINE else b""
                    line = await self.line()
                self.take(field)
                field = line
        if self.chunked:
            self.size = None  # whatever else was said
        self._left = 0 if self.chunked or self.status in (204, 304) else self.size

    async def _body(self, room):
        if self.chunked and self._left <= 0:
            await self._chunk()
        if self._left == 0:
            return self._finish()
        left = self._left
        if left is not None and left < len(room):
            room = room[:left]
        size = self.end - self.at
        if size:  # it came with the head; `room` may be the front of the same buffer
            size = min(size, len(room))
            room[:size] = self.view[self.at : self.at + size]
            self.at += size
        else:
            size = await self.more(room)
            self.end = 0
            if not size:
                if left is not None:
                    raise Retry("cut off")
                self.close()
                return 0
        if left is not None:
            self._left = left - size
            if self.chunked and left == size:
                self._left = -1  # an end of line is to follow
        return size

    async def _chunk(self):
        """The size of the next chunk; after the last one, pass over what trails it."""
        self.budget()
        if self._left and await self.line():
            raise Retry("bad chunk")
        size = (await self.line()).partition(b";")[0].strip()
        if not 0 < len(size) <= 16 or not all(c in b"0123456789abcdefABCDEF" for c in size):
            raise Retry("bad chunk")
        self._left = int(size, 16)
        if not self._left:
            self.chunked = False
            while await self.line():
                pass

    def _finish(self):
        """The answer was read to its end; bytes that nobody asked for end the connection."""
        if self.at != self.end or not self.keep:
            self.close()
        return 0
