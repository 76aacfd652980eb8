"""A file by HTTP, in spans of 64 KiB: `Range: bytes=first-last` from a presigned address.

Only what is missing is asked for, and what the server says it sends is compared with what was
asked and with the size that the job says, before a byte of it is taken. A span counts once it is
whole. A server that knows no ranges may send the whole file when asked from its beginning.

A refusal (400, 401, 403) means that the address is over, as presigned ones are after a while: the
job is asked for again, which brings a fresh one, and the download goes on where it was. Five
refusals of the same file in a row are final.

memory   that of the HTTP connection handed in
source   RFC 9110 sections 14 and 15; Amazon S3, "Sharing objects with presigned URLs"
"""

from micropython import const

from ota.errors import Fail, Retry
from ota.log import Log

_SECTOR = const(4_096)  # bytes
_SPAN = const(65_536)  # bytes of a request; a multiple of the sector
_REFUSALS = const(5)  # in a row, each of an address that was just handed out
_PIECES = const(7)  # pieces of a body less one between two looks at the job; a power of 2 less one

log = Log("http")


class HTTPRange:
    """One file at one address.

    tools    history: list of two, kept between downloads: the file that was refused last, and how
             often in a row; http: a function, () → a connection, see net.http
    file     ota.job.File; `block` is for other sources
    """

    def __init__(self, tools, file, block):
        self._refused, http = tools[3:]
        self._http = http()
        self._file = file
        self._rest = b""  # what was read and belongs to the next span

    async def fetch(self, image, watch):
        """Fill the image with what it misses; `watch()` is awaited every few KiB.

        raises   Retry when the server is silent or the address is over, Fail when it is of no use
        """
        first = image.missing()
        while first >= 0:
            first -= first % _SECTOR
            last = self._last(image, first)
            end = await self._ask(first, last)
            await self._take(image, first, end, watch)
            self._refused[1] = 0
            await watch()
            first = image.missing()

    async def measure(self):
        """The size of the file, bytes, for a job that does not say. Raises as `fetch` does."""
        http = self._http
        status = await http.get(self._file.url, "bytes=0-0")
        total = (http.span or b"").split(b"/")[-1] if status == 206 else b"%d" % (http.size or 0)
        if status not in (200, 206):
            raise self._refusal(status)
        if not total.isdigit():
            raise Fail("file server does not tell the size")
        if status == 206:
            await http.read()  # the one byte, and its end
            await http.read()
        else:
            http.close()
        return int(total)

    async def close(self):
        """Drop the connection, and what it was made of: a stale reference to this is not to keep
        that in the heap, too, when the signature needs the room."""
        http, self._http = self._http, None
        if http:
            http.close()

    def _last(self, image, first):
        """The last byte of the span to ask for: up to what is there already."""
        end = min(first + _SPAN, image.size)
        stop = first + _SECTOR
        while stop < end and not image.has(stop, min(_SECTOR, end - stop)):
            stop += _SECTOR
        return min(stop, end) - 1

    async def _ask(self, first, last):
        """Ask for a span; returns the offset at which the body that comes will end."""
        http, size = self._http, self._file.size
        status = await http.get(self._file.url, "bytes=%d-%d" % (first, last))
        if status == 206:
            end = last + 1
            if http.span != b"bytes %d-%d/%d" % (first, last, size):
                log.w("Content-Range", http.span)
                right = http.span and http.span.endswith(b"/%d" % size)
                raise Fail("wrong Content-Range" if right else "file size is not the server's")
        elif status == 200 and not first:
            end = size
        else:
            raise self._refusal(status)
        if http.size not in (None, end - first):
            raise Fail("file size is not the server's", http.size)
        return end

    def _refusal(self, status):
        """The error that an answer without the file is."""
        refused, name = self._refused, self._file.url.partition("?")[0]
        if status in (400, 401, 403):
            refused[1] = refused[1] + 1 if refused[0] == name else 1
            refused[0] = name
            if refused[1] < _REFUSALS:
                return Retry("http", status)
            refused[1] = 0
            return Fail("address of the file refused: http", status)
        if status == 200:
            return Fail("file server gives no ranges")
        if status == 416:
            return Fail("file is shorter than the job says")
        return (Retry if status >= 500 or status in (408, 429) else Fail)("http", status)

    async def _take(self, image, at, end, watch):
        """Take the body, which is at … end of the file, span by span."""
        pieces = 0
        while at < end:
            stop = min(at + _SPAN, end)
            image.open(at, stop - at)
            while at < stop:
                data = await self._next()
                image.write(data[: stop - at])
                self._rest = data[stop - at :]
                at += len(data) - len(self._rest)
                pieces += 1
                if not pieces & _PIECES:
                    await watch()
            image.close(True)
        if self._rest or await self._http.read():
            raise Fail("file is longer than the job says")

    async def _next(self):
        data = self._rest or await self._http.read()
        if not data:
            raise Retry("cut off")
        return data
