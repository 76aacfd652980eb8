"""An S3-like store of objects: rows in SQLite, bytes in files that are never changed once written.

Every object is a file of its own, written whole under a new name and only then made known, so that
a reader keeps what it began with and a killed process leaves no half object. The file of an object
that is gone stays for a while, for who has just found it. Files that nothing refers to any more
are removed when the next cloud starts.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from sqlite3 import Row
from threading import Lock
from typing import BinaryIO

from sluice.cloud.s3.entries import Entries
from sluice.cloud.state import OWN, owners_file
from sluice.cloud.store import Store

PIECE = 1 << 16  # bytes read or written at once
OPEN = 32  # files that stay open, because they are read block by block
GONE_S = 60  # that the file of an object that is gone stays


@dataclass(frozen=True)
class StoredObject:
    """One version of one object."""

    bucket: str
    key: str
    version: str  # "null" where the bucket is not versioned
    etag: str  # without quotation marks
    size: int
    file: Path
    headers: dict[str, str]
    modified_at: float

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from `offset`."""
        file = opened(self.file)  # nobody closes it meanwhile
        return os.pread(file.fileno(), count, offset)

    def pieces(self, offset: int, count: int) -> Iterator[bytes]:
        """The same, piece by piece. The file is open from now on, whatever becomes of its name."""
        reading = self._pieces(offset, count)
        next(reading)
        return reading

    def _pieces(self, offset: int, count: int) -> Iterator[bytes]:
        with self.file.open("rb") as file:
            file.seek(offset)
            yield b""  # it is open
            while count > 0 and (piece := file.read(min(PIECE, count))):
                count -= len(piece)
                yield piece


@lru_cache(OPEN)
def opened(file: Path) -> BinaryIO:
    """An object's file; it is closed once so many others have been read since."""
    return file.open("rb")


@dataclass(frozen=True)
class Written:
    """A file just written and not yet known as an object."""

    name: str
    etag: str
    size: int


class NoBucket(LookupError):
    """There is no bucket of that name, or not any more."""


class Bucket:
    """All buckets of this cloud. `now` counts seconds."""

    def __init__(
        self, store: Store, folder: Path, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.store = store
        self._folder = folder
        self._now = now
        self._gone: dict[str, float] = {}  # files, and since when
        self._lock = Lock()  # over these
        self.entries = Entries(store)
        folder.mkdir(OWN, parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Remove files of no object or upload. Only while no request is being served."""
        rows = self.store.rows(
            "SELECT file FROM objects WHERE file IS NOT NULL UNION SELECT file FROM parts"
        )
        known = {row["file"] for row in rows}
        for file in self._folder.iterdir():
            if file.name not in known:
                file.unlink()

    def create(self, name: str) -> None:
        """Add a bucket; the owner's second time changes nothing."""
        self.store.run(
            "INSERT OR IGNORE INTO buckets (name, created_at) VALUES (?, ?)", name, time.time()
        )

    def known(self, name: str) -> Row | None:
        """A bucket's row, or None."""
        return self.store.row("SELECT * FROM buckets WHERE name = ?", name)

    def names(self) -> list[Row]:
        """All buckets."""
        return self.store.rows("SELECT * FROM buckets ORDER BY name")

    def set_versioning(self, name: str, status: str) -> None:
        """ "Enabled" or "Suspended"."""
        self.store.run("UPDATE buckets SET versioning = ? WHERE name = ?", status, name)

    def remove(self, name: str) -> bool:
        """Remove an empty bucket; False when it is not empty."""
        with self.store.transaction():
            if self.store.row("SELECT 1 FROM objects WHERE bucket = ?", name):
                return False
            self.store.run("DELETE FROM buckets WHERE name = ?", name)
            return True

    def write(self, pieces: Iterable[bytes]) -> Written:
        """Put bytes into a new file, of which nobody knows yet."""
        name = secrets.token_hex(16)
        size, md5 = 0, hashlib.md5(usedforsecurity=False)
        path = self._folder / name
        try:
            with owners_file(path) as file:
                for piece in pieces:
                    file.write(piece)
                    md5.update(piece)
                    size += len(piece)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Written(name, md5.hexdigest(), size)

    def discard(self, written: Written) -> None:
        """Forget a file that did not become an object."""
        (self._folder / written.name).unlink(missing_ok=True)

    @contextmanager
    def unless_refused(self, written: Written | None) -> Iterator[None]:
        """Discard a file if what is done with it within is refused."""
        try:
            yield
        except BaseException:
            if written:
                self.discard(written)
            raise

    def forget(self, name: str) -> None:
        """Remove a file of nothing that is known any more, once nobody has just found it."""
        with self._lock:
            now = self._now()
            self._gone[name] = now
            for old in [one for one, since in self._gone.items() if since <= now - GONE_S]:
                del self._gone[old]
                (self._folder / old).unlink(missing_ok=True)

    def bytes_of(self, name: str) -> Iterator[bytes]:
        """What is in a file, piece by piece."""
        with (self._folder / name).open("rb") as file:
            while piece := file.read(PIECE):
                yield piece

    def publish(
        self, bucket: str, key: str, written: Written | None, headers: dict[str, str]
    ) -> str:
        """Make a file the object's newest version (None: a delete marker); returns its name.
        NoBucket if there is none any more."""
        with self.unless_refused(written), self.store.transaction():
            versioning = self._versioning(bucket)
            version = secrets.token_hex(16) if versioning == "Enabled" else "null"
            if version == "null":
                self._drop(bucket, key, "null")
            self.store.insert(
                "objects",
                bucket=bucket,
                key=key,
                version=version,
                etag=written.etag if written else None,
                size=written.size if written else 0,
                file=written.name if written else None,
                headers=json.dumps(headers),
                modified_at=time.time(),
            )
        return version

    def find(self, bucket: str, key: str, version: str | None = None) -> StoredObject | None:
        """An object's version, the newest without one; None if it is not there or deleted."""
        row = self.store.row(
            "SELECT * FROM objects WHERE bucket = ? AND key = ? "
            "AND version = coalesce(?, version) ORDER BY sequence DESC LIMIT 1",
            bucket,
            key,
            version,
        )
        return self._object(row) if row and row["file"] else None

    def delete(self, bucket: str, key: str, version: str | None = None) -> str | None:
        """Remove a version, or hide the object; returns the delete marker's version, if any."""
        with self.store.transaction():
            if version is None and self._versioning(bucket):
                return self.publish(bucket, key, None, {})
            self._drop(bucket, key, version or "null")
            return None

    def _versioning(self, bucket: str) -> str | None:
        row = self.known(bucket)
        if row is None:
            raise NoBucket(bucket)
        return row["versioning"]

    def _drop(self, bucket: str, key: str, version: str) -> None:
        where = "WHERE bucket = ? AND key = ? AND version = ?"
        row = self.store.row(f"SELECT file FROM objects {where}", bucket, key, version)
        self.store.run(f"DELETE FROM objects {where}", bucket, key, version)
        if row and row["file"]:
            self.forget(row["file"])

    def is_marker(self, bucket: str, key: str, version: str | None) -> bool:
        """Whether that version, or the newest, is a delete marker."""
        row = self.store.row(
            "SELECT file FROM objects WHERE bucket = ? AND key = ? "
            "AND version = coalesce(?, version) ORDER BY sequence DESC LIMIT 1",
            bucket,
            key,
            version,
        )
        return row is not None and row["file"] is None

    def _object(self, row: Row) -> StoredObject:
        return StoredObject(
            row["bucket"],
            row["key"],
            row["version"],
            row["etag"],
            row["size"],
            self._folder / row["file"],
            json.loads(row["headers"]),
            row["modified_at"],
        )
