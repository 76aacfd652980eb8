"""A stream service of the test's own, for answers that the local cloud would never give.

The cloud must not answer itself: start it with `SILENT` among its faults.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

from spy import Spy
from stage import Stage

SILENT = {"silence": {"topic": "/streams/"}}
Write = Callable[[dict[str, Any]], bytes]


class Twin(Spy):
    """Answers describe and get for one file; `write` makes a block's message of its members."""

    def __init__(self, stage: Stage, content: bytes, write: Write) -> None:
        self._content = content
        self._write = write
        super().__init__(stage)

    def hear(self, topic: str, body: dict[str, Any]) -> None:
        """Note it, and answer it."""
        super().hear(topic, body)
        stream = topic.rsplit("/", 2)[0]
        if topic.endswith("/describe/json"):
            files = [{"f": 0, "z": len(self._content)}]
            self._answer(f"{stream}/description", {"c": body["c"], "s": 1, "d": "", "r": files})
        elif topic.endswith("/get/json"):
            for index in range(body["o"], body["o"] + body["n"]):
                self._send(stream, body, index)

    def _send(self, stream: str, request: dict[str, Any], index: int) -> None:
        size = request["l"]
        data = self._content[index * size : (index + 1) * size]
        block = {"c": request["c"], "f": request["f"], "l": len(data), "i": index}
        block["p"] = base64.b64encode(data).decode()
        self._client.publish(f"{self._prefix}{stream}/data/json", self._write(block), 0)

    def _answer(self, topic: str, body: dict[str, Any]) -> None:
        self._client.publish(f"{self._prefix}{topic}/json", json.dumps(body), 0)


def payload_first(block: dict[str, Any]) -> bytes:
    """The payload stands before all that tells which block it is."""
    return json.dumps(dict(reversed(block.items()))).encode()


def payload_between(block: dict[str, Any]) -> bytes:
    """File and token stand before the payload, index and length after it."""
    return json.dumps({key: block[key] for key in ("c", "f", "p", "i", "l")}).encode()


def spacious(block: dict[str, Any]) -> bytes:
    """Over many lines that end as on Windows, with members of no meaning to us."""
    text = json.dumps({"x": [1, {"p": "no"}], **block, "y": None}, indent=3)
    return text.replace("\n", "\r\n").encode()


def escaped(block: dict[str, Any]) -> bytes:
    """Slashes escaped, as PHP and some Java libraries do."""
    return json.dumps(block).replace("/", "\\/").encode()


def compact(block: dict[str, Any]) -> bytes:
    """No white space at all."""
    return json.dumps(block, separators=(",", ":")).encode()
