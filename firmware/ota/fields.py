"""Reading a job document, of which nothing is trusted."""

from ota.errors import Refuse


def field(document, key, kind, low=None, high=None, default=None):
    """One checked member of a job document.

    low, high   bounds of an int, or of the length of a str or list
    default     returned when the key is absent or null; without it the key must be there
    raises      Refuse("job document", key)
    """
    value = document.get(key)
    if value is None and default is not None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool) and kind is not bool:
        raise Refuse("job document lacks or misstates", key)
    measure = value if kind is int else len(value) if kind in (str, list) else low
    if low is not None and not low <= measure <= high:
        raise Refuse("job document is out of bounds at", key)
    return value
