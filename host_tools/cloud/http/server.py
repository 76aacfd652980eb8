"""The HTTP server: hands a request to the S3 face or the REST face, and gives its answer.

uvicorn and h11 speak HTTP, and TLS where there is a certificate. Here are the limits, the choice
of the service, and the way to handlers, which are plain functions in a few threads. A connection
that only waits has no thread. Which service is meant is in the signature's scope, because two of
AWS's services share paths. What is not signed, or signed in its query, is for the bucket.
"""

import asyncio
import logging
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from uvicorn import Config, Server

from sluice.cloud.http.connection import Connection
from sluice.cloud.http.origin import Doorkeeper
from sluice.cloud.http.page import Page, is_for_page

LOG = logging.getLogger("sluice.cloud")
THREADS = 32  # requests that are worked on at once
BACKLOG = 128  # connections that wait to be taken
BODY_S = 60  # between two pieces of a body, whoever sends it
BATCH_BYTES = 1 << 18  # of a body, taken at once
LEFT_BYTES = 1 << 18  # of a body that nobody wants, read so that its sender sees the answer
LEFT_S = 2
END_S = 1  # for requests that are worked on when the server stops
END = object()


class BadRequest(ConnectionError):
    """The body makes no sense: it gets 400, and ends its connection."""


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


class Body:
    """The request's body: comes in the loop's thread, is read in a handler's."""

    def __init__(self, receive: Callable[[], Any], headers: Mapping[str, str]) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self.ended = not headers.keys() & {"content-length", "transfer-encoding"}

    async def take(self) -> bytes:
        """The next bytes, b"" at the end; ConnectionError when none come."""
        if self.ended:
            return b""
        try:
            async with asyncio.timeout(BODY_S):
                message = await self._receive()
        except TimeoutError:
            raise BadRequest("the request's body stands still") from None
        if message["type"] != "http.request":
            raise ConnectionError("the request ends too early")
        self.ended = not message["more_body"]
        return message["body"]

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            while not self.ended:
                if piece := asyncio.run_coroutine_threadsafe(self.take(), self._loop).result():
                    return piece
        except CancelledError:
            raise ConnectionError("the server stops") from None
        raise StopIteration

    async def leave(self, awaited: bool) -> bool:
        """Read a little that nobody wants, unless its sender waits for word; whether all is."""
        left = LEFT_BYTES
        try:
            async with asyncio.timeout(LEFT_S):
                while not self.ended and left > 0 and not awaited:
                    left -= len(await self.take())
        except (TimeoutError, ConnectionError):
            pass
        return self.ended


class WebServer:
    """Serves {signing name: handler}; "s3" also takes what carries no signature header.

    address  where it listens; what another host name is asked for is refused
    secure   files of a certificate and its key, for TLS
    page     gets what is asked for below /fleet, by a browser: without a signature or a query
    """

    def __init__(
        self,
        port: int,
        handlers: dict[str, Handler],
        address: str = "127.0.0.1",
        secure: tuple[Path, Path] | None = None,
        page: Page | None = None,
    ) -> None:
        self._handlers = handlers
        self._page = page
        self._doorkeeper = Doorkeeper(address)
        self._scheme = "https" if secure else "http"
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.create_server((address, port), family=family, backlog=BACKLOG)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # an answer is 2 writes
        self.server_address = self._socket.getsockname()
        self._pool = ThreadPoolExecutor(THREADS)
        certificate, key = secure or (None, None)
        self._server = Server(
            Config(
                self._serve,
                http=Connection,
                ws="none",
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                log_level="critical",  # addresses that are keys do not belong into logs
                access_log=False,
                server_header=False,
                headers=[("Server", "sluice")],
                timeout_graceful_shutdown=END_S,
                backlog=BACKLOG,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))

    def start(self) -> None:
        """Serve, in a thread of its own."""
        self._thread.daemon = True
        self._thread.start()

    def stop(self) -> None:
        """End; afterwards no handler runs."""
        self._server.should_exit = True
        self._thread.join()
        self._pool.shutdown()

    @property
    def server_port(self) -> int:
        """The port it listens at."""
        return self.server_address[1]

    @property
    def endpoint(self) -> str:
        """Where it is: an address, so that buckets stay in the path."""
        address, port = self.server_address[:2]
        return f"{self._scheme}://{f'[{address}]' if ':' in address else address}:{port}"

    async def _serve(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        headers = headers_of(scope)
        if self._page and is_for_page(scope, headers) and not self._doorkeeper.refusal(headers):
            await self._page(scope, receive, send)
            return
        body = Body(receive, headers)
        request = asked(scope, headers, body)
        run = asyncio.get_running_loop().run_in_executor
        try:
            answer = await run(self._pool, self._answer, request)
        except BadRequest as error:
            answer = HTTPAnswer(400, {"Connection": "close"}, str(error).encode())
        except ConnectionError:
            return
        if not await body.leave("expect" in request.headers):
            answer.headers["Connection"] = "close"
        await self._tell(answer, send)

    def _answer(self, request: HTTPRequest) -> HTTPAnswer:
        if refusal := self._doorkeeper.refusal(request.headers):
            return HTTPAnswer(403, {"Connection": "close"}, refusal.encode())
        header = request.headers.get("authorization", "")
        scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", header)
        handler = self._handlers.get(scope[1] if scope else "s3")
        if handler is None:
            word = f"service {scope[1]}" if scope else "bucket"
            return HTTPAnswer(501, body=f"no {word} here".encode())
        try:
            return handler(request)
        except ConnectionError:
            raise
        except Exception:  # one bad request must not look like a dead server
            LOG.exception("%s %s", request.method, request.raw_path)
            return HTTPAnswer(500, body=b"the local cloud has a fault; its log tells more")

    async def _tell(self, answer: HTTPAnswer, send: Callable) -> None:
        headers = [
            (name.encode(), text.encode("latin-1")) for name, text in answer.headers.items()
        ]
        if answer.status != 204 and "Transfer-Encoding" not in answer.headers:
            length = len(answer.body) if isinstance(answer.body, bytes) else answer.length
            headers.append((b"Content-Length", str(length).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        try:
            async for piece in self._pieces(answer):
                async with asyncio.timeout(BODY_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (ConnectionError, TimeoutError):
            return  # an answer that is not whole ends its connection
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self, answer: HTTPAnswer) -> AsyncIterator[bytes]:
        if isinstance(answer.body, bytes):
            yield answer.body
            return
        run = asyncio.get_running_loop().run_in_executor
        batches = batched(answer.body)
        while (batch := await run(self._pool, next, batches, END)) is not END:
            for piece in batch:
                yield piece


def batched(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The same pieces, several at once, because each way to a thread and back costs time."""
    batch: list[bytes] = []
    left = BATCH_BYTES
    try:
        for piece in pieces:
            batch.append(piece)
            left -= len(piece)
            if left <= 0:
                yield batch
                batch, left = [], BATCH_BYTES
    except ConnectionError:  # what came before it is sent
        yield batch
        raise
    yield batch


def headers_of(scope: dict[str, Any]) -> dict[str, str]:
    """The headers, names in lower case; several of one name are one, as RFC 9110 says."""
    headers: dict[str, str] = {}
    for raw_name, raw in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def asked(scope: dict[str, Any], headers: dict[str, str], body: Body) -> HTTPRequest:
    """A request as handlers get it."""
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    path = scope["raw_path"].decode("latin-1")
    return HTTPRequest(scope["method"], path or "/", query, headers, body)
