"""The HTTP server: reads a request, hands it to the S3 face or the REST face, writes the answer.

Bound to this machine only, unless it is for boards (see `boards`). Which service is meant is in
the signature's scope, since two of AWS's services share paths; what is not signed, or signed in
its query, is for the bucket.
"""

import logging
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

PIECE = 1 << 16
LOG = logging.getLogger("sluice.cloud")
BODY_S = 60  # a client that says nothing for so long is dropped
LENGTH = re.compile(rb"[0-9]{1,18}")
CHUNK_SIZE = re.compile(rb"[0-9a-fA-F]{1,15}")


class BadRequest(ConnectionError):
    """Where the request ends is not known: it gets 400, and ends its connection."""


@dataclass
class HTTPRequest:
    """One request; the body is read at most once, piece by piece."""

    method: str
    raw_path: str  # still percent-encoded
    query: list[tuple[str, str]]
    headers: dict[str, str]  # names in lower case
    body: Iterator[bytes]
    later_s: int = 0  # seconds from now at which it is judged; a fault makes it more

    def argument(self, name: str) -> str | None:
        """The first value of a query argument, or None."""
        return next((value for key, value in self.query if key == name), None)

    def read(self, limit: int) -> bytes:
        """The whole body; ValueError when it is longer than `limit` bytes."""
        data = bytearray()
        for piece in self.body:
            data += piece
            if len(data) > limit:
                raise ValueError("the request is too long")
        return bytes(data)


@dataclass
class HTTPAnswer:
    """Status, headers and body. A body that is not bytes needs its `length` said, unless the
    headers say that it is chunked; then its pieces, none of them empty, are the chunks."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None


Handler = Callable[[HTTPRequest], HTTPAnswer]


class WebServer(ThreadingHTTPServer):
    """Serves {signing name: handler}; "s3" also takes what carries no signature header."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self, port: int, handlers: dict[str, Handler], address: str = "127.0.0.1"
    ) -> None:
        self.handlers = handlers
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Exchange)

    @property
    def endpoint(self) -> str:
        """Where it is: an address, so that buckets stay in the path."""
        address, port = self.server_address[:2]
        return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none of our business."""


class Exchange(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    server_version = "sluice"
    disable_nagle_algorithm = True  # an answer is two writes
    timeout = BODY_S
    server: WebServer

    def _serve(self) -> None:
        headers = {key.lower(): value for key, value in self.headers.items()}
        try:
            self._answer(self._asked(headers))
        except BadRequest as error:
            self._answer(HTTPAnswer(400, {"Connection": "close"}, str(error).encode()))

    def _asked(self, headers: dict[str, str]) -> HTTPAnswer:
        parts = urlsplit(self.path)
        request = HTTPRequest(
            self.command,
            parts.path or "/",
            parse_qsl(parts.query, keep_blank_values=True),
            headers,
            body(self.rfile, headers),
        )
        scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", headers.get("authorization", ""))
        handler = self.server.handlers.get(scope[1] if scope else "s3")
        if handler is None:
            answer = HTTPAnswer(501, body=f"no service {scope[1]} here".encode())
        else:
            answer = self._handled(handler, request)
        for _ in request.body:  # what the handler did not want; the next request follows it
            pass
        return answer

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = _serve

    def _handled(self, handler: Handler, request: HTTPRequest) -> HTTPAnswer:
        try:
            return handler(request)
        except ConnectionError:
            raise
        except Exception:  # one bad request must not look like a dead server
            LOG.exception("%s %s", request.method, request.raw_path)
            return HTTPAnswer(500, body=b"the local cloud has a fault; its log tells more")

    def _answer(self, answer: HTTPAnswer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        whole = answer.body if isinstance(answer.body, bytes) else None
        chunked = "Transfer-Encoding" in answer.headers
        if answer.status != 204 and not chunked:
            length = answer.length if whole is None else len(whole)
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in (whole,) if whole is not None else answer.body:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: presigned URLs do not belong into logs."""


def body(stream, headers: dict[str, str]) -> Iterator[bytes]:
    """The body's own bytes, whatever wraps them: a length, HTTP chunks, or S3's signed chunks."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        pieces = http_chunks(stream)
    else:
        length = headers.get("content-length", "0").encode("latin-1")
        pieces = counted(stream, size(length, LENGTH, 10))
    if "aws-chunked" in headers.get("content-encoding", "") or headers.get(
        "x-amz-content-sha256", ""
    ).startswith("STREAMING-"):
        return aws_chunks(pieces)
    return pieces


def counted(stream, length: int) -> Iterator[bytes]:
    """`length` bytes of the stream."""
    while length:
        piece = stream.read(min(PIECE, length))
        if not piece:
            raise ConnectionError("the request ends too early")
        length -= len(piece)
        yield piece


def size(text: bytes, form: re.Pattern[bytes], base: int) -> int:
    """A number of bytes as HTTP writes it, which Python reads more into: signs, underscores."""
    if not form.fullmatch(text.strip()):
        raise BadRequest("a length of the request is no number")
    return int(text, base)


def chunk_size(line: bytes) -> int:
    """The size in the line before a chunk; what follows a semicolon is not looked at."""
    return size(line.split(b";")[0], CHUNK_SIZE, 16)


def http_chunks(stream) -> Iterator[bytes]:
    """The bytes of HTTP/1.1 chunks; trailers are skipped."""
    while left := chunk_size(stream.readline(1000)):
        yield from counted(stream, left)
        stream.readline(10)
    while stream.readline(8000).strip():
        pass


def aws_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes within S3's chunks: `size;chunk-signature=…`, CR LF, data, CR LF, …, size 0."""
    buffer = bytearray()

    def fill(enough: Callable[[], bool]) -> None:
        while not enough():
            buffer.extend(next(pieces))

    try:
        while True:
            fill(lambda: b"\r\n" in buffer)
            line, _, rest = bytes(buffer).partition(b"\r\n")
            buffer[:] = rest
            left = chunk_size(line)
            if left == 0:
                break
            while left:
                fill(lambda: len(buffer) > 0)
                piece = bytes(buffer[:left])
                del buffer[:left]
                left -= len(piece)
                yield piece
            fill(lambda: len(buffer) >= 2)
            del buffer[:2]
    except StopIteration:
        raise ConnectionError("the request ends too early") from None
    for _ in pieces:  # checksums in trailers
        pass
