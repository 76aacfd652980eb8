"""A file by HTTP, the rest of it in one range: `Range: bytes=first-last` of a presigned address.

The board asks only for what is missing. It compares the server's headers with its request and with
the size in the job, before it takes a byte of the body. What came counts in spans of 64 KiB, so a
connection that is cut off costs one span at most. A server that knows no ranges may send the whole
file when asked from its beginning.

A refusal (400, 401, 403) means that the presigned address has expired. The board asks for the job
again, which brings a fresh address, and the download goes on where it was. An answer that is not
the file (another size, a redirect to where the board may not go) may be the page of a captive
portal, or of a proxy that is starting. Then the board asks again, too. Five of either kind for the
same file in a row are final.

memory   that of the HTTP connection handed in
source   RFC 9110 sections 14 and 15; Amazon S3, "Sharing objects with presigned URLs"
"""

from micropython import const

from sluice.errors import Fail, Retry
from sluice.log import Log

_SECTOR = const(4_096)  # bytes
_SPAN = const(65_536)  # bytes that count at a time, as between two checkpoints; whole sectors
_REFUSALS = const(5)  # in a row, each of an address that was just handed out
_LOOK = const(4_096)  # bytes of a body between two looks at the job

log = Log("http")


class HTTPRange:
    """One file at one address.

    sources  sluice.run.Sources: link; the file that was refused last, and how often in a row;
             http(): a connection, see sluice.net.http
    file     sluice.job.File; `block` is for other sources
    """

    def __init__(self, sources, file, block):
        self._link = sources.link
        self._refused = sources
        self._http = sources.http()
        self._file = file
        self._spare = 0  # bytes at the end of the answer that are not taken
        self._pause_s = 0  # that the server wants to be left alone

    async def fetch(self, image, watch):
        """Fill the image with what it misses; `watch()` is awaited every few KiB.

        raises   Retry when the server is silent or the address is over, Fail when it is of no use
        """
        first = image.missing()
        while first >= 0:
            first -= first % _SECTOR
            last = self._last(image, first)
            try:
                end = await self._ask(first, last)
                await self._take(image, first, end, watch)
            except Retry:
                await self._pause(watch)
                raise
            self._refused.times = 0
            await watch()
            first = image.missing()

    async def measure(self):
        """The size of the file, bytes, for a job that does not say. Raises as `fetch` does."""
        http, url = self._http, self._file.url
        status = await http.get(url, "bytes=0-0")
        if status == 206 and http.span and http.span.endswith(b"/*"):
            status = await http.get(url)  # the server of a range does not know it; of all it may
        if status not in (200, 206) or http.fault:
            raise self._refusal(status)
        total = (http.span or b"").split(b"/")[-1] if status == 206 else b"%d" % (http.size or 0)
        if not total.isdigit() or len(total) > 12:
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
        """The last byte of the range to ask for: up to what is there already."""
        end = image.size
        stop = first + _SECTOR
        while stop < end and not image.has(stop, min(_SECTOR, end - stop)):
            stop += _SECTOR
        return min(stop, end) - 1

    async def _ask(self, first, last):
        """Ask for a range; returns the offset at which the body that comes will end."""
        http = self._http
        status = await http.get(self._file.url, "bytes=%d-%d" % (first, last))
        if http.fault or not (status == 206 or status == 200 and not first):
            raise self._refusal(status)
        end = self._end(first, last) if status == 206 else self._file.size
        if http.size not in (None, end - first):
            raise self._again("file size is not the server's", http.size)
        self._spare = end <= last and end % _SECTOR  # of a part, whole sectors are taken
        if self._spare and end - self._spare <= first:
            raise Fail("wrong Content-Range")
        return end - self._spare

    def _end(self, first, last):
        """The end of the range that comes: of what was asked for, or of its first part."""
        span = self._http.span or b""
        unit, _, rest = span.partition(b" ")
        part, _, total = rest.strip().partition(b"/")
        begin, _, end = part.partition(b"-")
        if unit != b"bytes" or not _numbers(begin, end) or total != b"*" and not _numbers(total):
            log.w("Content-Range", span)
            raise Fail("wrong Content-Range")
        if total != b"*" and int(total) != self._file.size:
            log.w("Content-Range", span)
            raise Fail("file size is not the server's")  # who speaks of ranges is no portal
        end = int(end) + 1
        if int(begin) != first or not first < end <= last + 1:
            log.w("Content-Range", span)
            raise Fail("wrong Content-Range")
        return end

    def _refusal(self, status):
        """The error that an answer without the file is."""
        http = self._http
        if http.fault and status < 400:
            return self._again(*http.fault)
        if status in (400, 401, 403):
            return self._again("address of the file refused: http", status)
        if status == 200:
            return Fail("file server gives no ranges")
        if status == 416:
            return Fail("file is shorter than the job says")
        if status >= 500 or status in (408, 425, 429):
            self._pause_s = http.rest_s
            return Retry("http", status)
        return Fail("http", status)

    def _again(self, reason, *values):
        """Retry; Fail with the reason at the fifth in a row."""
        refused, name = self._refused, self._file.url.partition("?")[0]
        refused.times = refused.times + 1 if refused.name == name else 1
        refused.name = name
        if refused.times < _REFUSALS:
            return Retry(reason, *values)
        refused.times = 0
        return Fail(reason, *values)

    async def _take(self, image, at, end, watch):
        """Take the body, which is at … end of the file, span by span."""
        try:
            await self._spans(image, at, end, watch)
        except (Fail, Retry) as error:
            if self._http.page:  # a captive portal's, of which the length was not said
                raise self._again("file server sent a page:", error.reason, *error.values)
            raise

    async def _spans(self, image, at, end, watch):
        seen = 0
        while at < end:
            stop = min(at + _SPAN, end)
            image.open(at, stop - at)
            while at < stop:
                room = image.room(stop - at)
                if len(room) > stop - at:
                    room = room[: stop - at]
                size = await self._http.readinto(room)
                if not size:
                    raise Retry("cut off")
                image.took(size)
                at += size
                seen += size
                if seen >= _LOOK or image.held():
                    seen = 0
                    await watch()
            image.close(True)
            if image.held():
                await watch()
            if not self._http.page:
                self._refused.times = 0  # the address is good, whatever becomes of the rest
        if self._spare:
            self._http.close()
        elif await self._http.read():
            raise Fail("file is longer than the job says")

    async def _pause(self, watch):
        """What Retry-After asked for, the job being looked at meanwhile."""
        while self._pause_s > 0:
            self._pause_s -= 1
            await self._link.wait(bool, 1_000)
            await watch()


def _numbers(*texts):
    """True for decimal numbers of at most 12 digits each."""
    return all(0 < len(text) <= 12 and text.isdigit() for text in texts)
