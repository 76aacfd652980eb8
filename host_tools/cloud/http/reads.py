"""Which members of a request a handler reads. What it does not read is refused, by its name,
because a member that is silently passed over promises what does not happen.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

from sluice.cloud.refusal import invalid

Handler = TypeVar("Handler", bound=Callable[..., Any])


def reads(*members: str) -> Callable[[Handler], Handler]:
    """Say what a handler reads: "a" is all within a, "a.b" is b of a and nothing beside it."""

    def mark(handler: Handler) -> Handler:
        handler.members = frozenset(members)  # type: ignore[attr-defined]
        return handler

    return mark


def declared(handler: Callable[..., Any]) -> frozenset[str]:
    """What a handler reads; an AttributeError for one that does not say."""
    return handler.members  # type: ignore[attr-defined]


def refuse_unread(given: Mapping[str, Any], read: Collection[str], operation: str) -> None:
    """Refuse a request with members that nobody reads."""
    if unread := sorted(set(_unread(given, read, ""))):
        raise invalid(f"the local cloud does not know {', '.join(unread)} of {operation}")


def _unread(value: Any, read: Collection[str], path: str) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _unread(item, read, path)
    elif path in read:
        return
    elif isinstance(value, Mapping) and (not path or any(m.startswith(f"{path}.") for m in read)):
        for name, item in value.items():
            yield from _unread(item, read, f"{path}.{name}" if path else name)
    else:
        yield path
