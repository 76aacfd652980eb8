"""Members of requests that every service of the cloud takes alike."""

import json
from typing import Any

from sluice.cloud.message import compact

TOKEN_BYTES = 64
MARK = "\ufeff"  # before a text, by some editors: RFC 8259 lets a reader of JSON pass over it


def read_json(payload: bytes) -> Any:
    """The value of a text of JSON in UTF-8; ValueError for what is none, or what nobody can be
    told again: NaN, 1e400, half a character."""
    try:
        value = json.loads(payload.decode().removeprefix(MARK))
        compact(value)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    return value


def whole(value: Any) -> bool:
    """Whether a value is a whole number of JSON, which true is not, and one that SQLite holds."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def is_token(value: Any) -> bool:
    """Whether a value is a client token: text, and short enough.

    AWS states no limit of its length; its own agents keep to this one.
    """
    return isinstance(value, str) and len(value.encode()) <= TOKEN_BYTES
