"""What a bucket holds, line by line: objects, versions of them, and markers of deletion."""

from dataclasses import dataclass
from sqlite3 import Row

from sluice.cloud.store import Store


@dataclass(frozen=True)
class Entry:
    """A line of a listing: a version of an object, or the marker that it was deleted."""

    key: str
    version: str
    etag: str | None  # None: a delete marker
    size: int
    modified_at: float
    latest: bool


class Entries:
    """All lines of all buckets."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def newest(self, bucket: str, prefix: str = "", after: str = "") -> list[Entry]:
        """The objects of a bucket whose keys come after that one, by key."""
        rows = self._store.rows(
            "SELECT *, max(sequence) AS newest FROM objects "
            "WHERE bucket = ? AND substr(key, 1, ?) = ? AND key > ? GROUP BY key ORDER BY key",
            bucket,
            len(prefix),
            prefix,
            after,
        )
        return [entry(row) for row in rows if row["file"]]

    def versions(
        self, bucket: str, prefix: str = "", after: str = "", version: str = ""
    ) -> list[Entry]:
        """All versions, by key and the newest first, after that key, or after a version of it."""
        rows = self._store.rows(
            "SELECT *, max(sequence) OVER (PARTITION BY key) AS newest FROM objects "
            "WHERE bucket = ? AND substr(key, 1, ?) = ? AND key >= ? ORDER BY key, sequence DESC",
            bucket,
            len(prefix),
            prefix,
            after,
        )
        told = after if after or version else None
        if version:
            names = [row["version"] for row in rows if row["key"] == after]
            skipped = names.index(version) + 1 if version in names else len(names)
            return [entry(row) for row in rows[skipped:]]
        return [entry(row) for row in rows if row["key"] != told]


def entry(row: Row) -> Entry:
    """A row as a listing tells it."""
    about = (row[name] for name in ("key", "version", "etag", "size", "modified_at"))
    return Entry(*about, row["sequence"] == row["newest"])
