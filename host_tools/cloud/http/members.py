"""Members of requests that every service of the cloud takes alike."""

from typing import Any

TOKEN_BYTES = 64
MARK = "\ufeff"  # before a text, by some editors: RFC 8259 lets a reader of JSON pass over it


def whole(value: Any) -> bool:
    """Whether a value is a whole number of JSON, which true is not, and one that SQLite holds."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def is_token(value: Any) -> bool:
    """Whether a value is a client token: short enough, and text: JSON can spell half a character.

    AWS states no limit of its length; its own agents keep to this one.
    """
    try:
        return isinstance(value, str) and len(value.encode()) <= TOKEN_BYTES
    except UnicodeEncodeError:
        return False
