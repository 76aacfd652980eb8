"""A query's rows as a list of which only what is asked for is read: a page costs a page."""

from collections.abc import Callable, Iterator, Sequence
from sqlite3 import Row
from typing import Any

from sluice.cloud.store import Store


class Listing(Sequence):
    """The rows of a query in its order, each in the shape that `shape` makes of it.

    Places are counted from the beginning."""

    def __init__(self, store: Store, shape: Callable[[Row], Any], sql: str, *values: Any) -> None:
        self._store = store
        self._shape = shape
        self._sql = sql
        self._values = values

    def __len__(self) -> int:
        query = f"SELECT count(*) AS number FROM ({self._sql})"
        return self._store.row(query, *self._values)["number"]

    def __iter__(self) -> Iterator[Any]:
        return map(self._shape, self._store.rows(self._sql, *self._values))

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            first = place.start or 0
            return self._read(first, -1 if place.stop is None else max(0, place.stop - first))
        found = self._read(place, 1) if place >= 0 else []
        if not found:
            raise IndexError(place)
        return found[0]

    def _read(self, first: int, count: int) -> list[Any]:
        rows = self._store.rows(f"{self._sql} LIMIT ? OFFSET ?", *self._values, count, first)
        return [self._shape(row) for row in rows]
