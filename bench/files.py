"""A plain file server that knows ranges, for downloads by HTTP through a relay."""

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the range that it asks for of one file."""

    protocol_version = "HTTP/1.1"
    content = b""

    def do_GET(self) -> None:  # noqa: N802
        first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
        self.send_response(206)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.content)}")
        self.end_headers()
        self.wfile.write(self.content[first : last + 1])

    def log_message(self, *words: object) -> None:
        """Nothing is logged."""


@contextmanager
def serving(content: bytes) -> Iterator[int]:
    """A server of that file; its port."""
    handler = type("One", (Handler,), {"content": content})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
