"""Requests to the page, as they are on the wire."""

from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

from patience import FUSE_S


class Visitor:
    """A browser without a screen; it keeps its cookie, and all connections until it is closed."""

    def __init__(self, endpoint: str) -> None:
        self._netloc = urlsplit(endpoint).netloc
        self.origin = endpoint
        self.cookie = ""
        self._open: list[HTTPConnection | HTTPResponse] = []

    def ask(self, path: str, method: str = "GET", body: str = "", **headers: str) -> HTTPResponse:
        line = HTTPConnection(self._netloc, timeout=FUSE_S)
        said = {name.replace("_", "-"): text for name, text in headers.items() if text}
        if self.cookie:
            said.setdefault("Cookie", self.cookie)
        self._open.append(line)
        line.request(method, path, body or None, said)
        self._open.append(answer := line.getresponse())
        return answer

    def enter(self, address: str, **headers: str) -> HTTPResponse:
        token = urlsplit(address).fragment
        said = {"Origin": self.origin} | headers
        answer = self.ask("/fleet/session", "POST", token, **said)
        self.cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return answer

    def close(self) -> None:
        for one in self._open:
            one.close()
