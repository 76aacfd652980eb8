"""Members of requests that every service of the cloud takes alike."""

from typing import Any


def whole(value: Any) -> bool:
    """Whether a value is a whole number of JSON, which true is not, and one that SQLite holds."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
