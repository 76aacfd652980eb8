"""What the server knows of a page that it serves beside the cloud: which requests are for it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

PATH = re.compile(r"/fleet(?:/|$)")


class Page(Protocol):
    """An ASGI application that knows its address."""

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """Answer one request."""

    def address(self, endpoint: str) -> str:
        """What its owner opens, who alone may know it."""


def is_for_page(scope: dict[str, Any], headers: Mapping[str, str]) -> bool:
    """Whether a request can be the page's: what is for a bucket of that name is signed."""
    signed = "authorization" in headers or scope["query_string"]
    return not signed and PATH.match(scope["path"]) is not None
