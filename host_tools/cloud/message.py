"""What the cloud publishes."""

import json
from dataclasses import dataclass
from typing import Any

ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class Message:
    """One MQTT publication; `block` is the index of the block that it carries, if it does."""

    topic: str
    payload: bytes
    qos: int = 0
    block: int | None = None


def compact(value: Any) -> bytes:
    """JSON as AWS writes it: no spaces, UTF-8. ValueError for what that cannot say."""
    return ENCODER.encode(value).encode()
