"""The page by HTTP: its three files, the exchange of its token, and its events. ASGI.

Whoever serves it proves `Host` and `Origin` first, and puts it at PREFIX.
"""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from sluice.cloud.names import JOB, THING
from sluice.page.access import SESSION_S, Access
from sluice.page.live import Live

PREFIX = "/fleet/"
TYPES = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
NAMES = {"thing": THING, "job": JOB}
TOKEN_BYTES = 64  # of a request's body, at most
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """The application, and its address."""

    def __init__(self, live: Callable[[], Live]) -> None:
        """`live` is called once, in the loop that serves."""
        self._make = live
        self._live: Live | None = None
        self._access = Access()
        self._application = Starlette(
            routes=[
                Route(PREFIX.rstrip("/"), self._redirect),
                *(self._file(name) for name in TYPES),
                Route(f"{PREFIX}session", self._session, methods=["GET", "POST"]),
                Route(f"{PREFIX}events", self._events),
                Route(f"{PREFIX}events/{{kind}}/{{name}}", self._events),
            ]
        )

    async def __call__(self, scope: Any, receive: Callable, send: Callable) -> None:
        """ASGI."""

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.encode(), text.encode()) for name, text in HEADERS.items()]
                message = message | {"headers": [*message["headers"], *extra]}
            await send(message)

        await self._application(scope, receive, guarded)

    def address(self, endpoint: str) -> str:
        """Where the page is, with a new token: for its owner's eyes."""
        return f"{endpoint}{PREFIX}#{self._access.token()}"

    def _file(self, name: str) -> Route:
        content = (files("sluice.page") / name).read_bytes()
        path = PREFIX if name == "page.html" else PREFIX + name

        async def give(request: Request) -> Response:
            return Response(content, media_type=TYPES[name])

        return Route(path, give)

    async def _redirect(self, request: Request) -> Response:
        return RedirectResponse(PREFIX, 308)

    async def _session(self, request: Request) -> Response:
        """GET: whether this browser may look. POST: the token for a cookie."""
        if request.method != "POST":
            return Response(status_code=204 if self._admits(request) else 401)
        if "origin" not in request.headers or not _is_own(request):
            return Response("only the page itself may ask", 403)
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > TOKEN_BYTES:
                return Response(status_code=413)
        name = self._access.exchange(body.decode("latin-1"))
        if name is None:
            return Response("the token was used, or is too old", 401)
        answer = Response(status_code=204)
        words = {"path": PREFIX, "max_age": SESSION_S, "httponly": True, "samesite": "strict"}
        answer.set_cookie(_cookie(request), name, **words)
        return answer

    async def _events(self, request: Request) -> Response:
        if not self._admits(request) or not _is_own(request):
            return Response(status_code=401)
        focus = None
        if words := request.path_params:
            pattern = NAMES.get(words["kind"])
            if pattern is None or not pattern.fullmatch(words["name"]):
                return Response(status_code=404)
            focus = words["kind"], words["name"]
        if self._live is None:
            self._live = self._make()
        if self._live.full:
            return Response("too many look at once", 503)
        return StreamingResponse(self._live.watch(focus), media_type="text/event-stream")

    def _admits(self, request: Request) -> bool:
        return self._access.admits(request.cookies.get(_cookie(request), ""))


def _cookie(request: Request) -> str:
    """Its name: cookies of all ports of a machine are in one jar."""
    return f"sluice-{request.url.port or 80}"


def _is_own(request: Request) -> bool:
    """Whether the browser says that the page asks, or an address typed by its user."""
    return request.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
