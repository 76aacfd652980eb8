"""What the head of an HTTP answer says; its lines are judged, not read, here. No I/O.

source   RFC 9110, RFC 9112
"""

from micropython import const

from sluice.errors import Retry

_REST_S = const(120)  # of what Retry-After asks for, at most
_FIELDS = (  # that are looked at; a head may have a hundred others
    b"content-length", b"content-range", b"transfer-encoding", b"content-encoding",
    b"content-type", b"connection", b"location", b"retry-after",
)  # fmt: skip


class Head:
    """The last head.

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
