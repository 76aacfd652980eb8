"""What goes wrong on purpose when a board fetches a file; the rules are those of `faults`.

Only GETs without a signature header are hit, which boards send and boto3 does not.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from threading import Lock
from urllib.parse import quote, urlencode

from sluice.cloud.faults import Faults, Rule
from sluice.cloud.http.server import Handler, HTTPAnswer, HTTPRequest

REDIRECTED = "sluice-redirected"  # query argument of an address that was redirected to
REDIRECT = 307
CHUNK = 1000  # bytes, of a chunk whose rule names no size


class HTTPFaults:
    """A handler between the web server and another handler."""

    def __init__(self, faults: Faults, handler: Handler) -> None:
        self._faults = faults
        self._handler = handler
        self._counting = Lock()  # each connection has a thread

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        """The one entry."""
        if request.method != "GET" or "authorization" in request.headers:
            return self._handler(request)
        return self._instead(request) or self._spoilt(request)

    def _hit(self, name: str, request: HTTPRequest) -> Rule | None:
        with self._counting:
            return self._faults.hit_path(name, request.raw_path)

    def _instead(self, request: HTTPRequest) -> HTTPAnswer | None:
        """What to answer without looking for the file; None to look."""
        if (rule := self._hit("fail_http", request)) is not None:
            return HTTPAnswer(rule.get("code", 503), body=b"failed by a fault of the local cloud")
        name = "redirect" if request.argument(REDIRECTED) is None else "redirect_again"
        if (rule := self._hit(name, request)) is not None:
            return HTTPAnswer(rule.get("code", REDIRECT), {"Location": elsewhere(request, rule)})
        return None

    def _spoilt(self, request: HTTPRequest) -> HTTPAnswer:
        query = [pair for pair in request.query if pair[0] != REDIRECTED]
        wanted = replace(request, query=query)
        if (rule := self._hit("age_url", request)) is not None:
            wanted = replace(wanted, later_s=rule.get("s", 0))
        if self._hit("ignore_range", request) is not None:
            kept = {name: text for name, text in request.headers.items() if name != "range"}
            wanted = replace(wanted, headers=kept)
        answer = self._handler(wanted)
        for name, spoil in SPOILT.items():
            if (rule := self._hit(name, request)) is not None:
                spoil(answer, rule)
        return answer


def elsewhere(request: HTTPRequest, rule: Rule) -> str:
    """The same address, marked as redirected to; on another host if the rule names one."""
    host = rule.get("to") or f"http://{request.headers.get('host', '')}"
    query = urlencode([*request.query, (REDIRECTED, "1")], quote_via=quote)
    return f"{host}{request.raw_path}?{query}"


def shift_range(answer: HTTPAnswer, rule: Rule) -> None:
    """Say that the bytes are others than they are: one further on."""
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    if rest:
        span, _, size = rest.partition("/")
        first, _, last = span.partition("-")
        answer.headers["Content-Range"] = f"{unit} {int(first) + 1}-{int(last) + 1}/{size}"


def cut_body(answer: HTTPAnswer, rule: Rule) -> None:
    """End the connection in the middle of the body."""
    if answer.length is None:
        answer.length = len(answer.body)
    answer.body = cut(pieces_of(answer), rule.get("after", answer.length // 2))


def chunk_body(answer: HTTPAnswer, rule: Rule) -> None:
    """Send the body in HTTP chunks, and no length."""
    answer.headers["Transfer-Encoding"] = "chunked"
    answer.body = sliced(pieces_of(answer), rule.get("size", CHUNK))


def close_after(answer: HTTPAnswer, rule: Rule) -> None:
    """End the connection after the answer, and say so."""
    answer.headers["Connection"] = "close"


SPOILT: dict[str, Callable[[HTTPAnswer, Rule], None]] = {
    "shift_range": shift_range,
    "cut_body": cut_body,
    "chunk_body": chunk_body,
    "close_after": close_after,
}


def pieces_of(answer: HTTPAnswer) -> Iterable[bytes]:
    """A body as pieces, whichever it was."""
    return (answer.body,) if isinstance(answer.body, bytes) else answer.body


def cut(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The first `count` bytes, and then the end of everything."""
    for piece in pieces:
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            break
    raise ConnectionAbortedError


def sliced(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of at most `size`, which is at least 1."""
    for piece in pieces:
        for start in range(0, len(piece), max(1, size)):
            yield piece[start : start + max(1, size)]
