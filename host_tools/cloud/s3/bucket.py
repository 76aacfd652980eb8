"""An S3-like store of objects: rows in SQLite, bytes in files that are never changed once written.

Every object is a file of its own, written whole under a new name and only then made known, so that
a reader keeps what it began with and a killed process leaves no half object. Files that nothing
refers to any more are removed when the next cloud starts.
"""

import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from sqlite3 import Row
from typing import BinaryIO

from sluice.cloud.s3.entries import Entries
from sluice.cloud.state import OWN
from sluice.cloud.store import Store

PIECE = 1 << 16  # bytes read or written at once
OPEN = 32  # files that stay open, because they are read block by block


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
        return os.pread(opened(self.file).fileno(), count, offset)

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


class Bucket:
    """All buckets of this cloud."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self.entries = Entries(store)
        folder.mkdir(OWN, parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Remove files of no object or upload. Only while no request is being served."""
        rows = self._store.rows(
            "SELECT file FROM objects WHERE file IS NOT NULL UNION SELECT file FROM parts"
        )
        known = {row["file"] for row in rows}
        for file in self._folder.iterdir():
            if file.name not in known:
                file.unlink()

    def create(self, name: str) -> None:
        """Add a bucket; the owner's second time changes nothing."""
        self._store.run(
            "INSERT OR IGNORE INTO buckets (name, created_at) VALUES (?, ?)", name, time.time()
        )

    def known(self, name: str) -> Row | None:
        """A bucket's row, or None."""
        return self._store.row("SELECT * FROM buckets WHERE name = ?", name)

    def names(self) -> list[Row]:
        """All buckets."""
        return self._store.rows("SELECT * FROM buckets ORDER BY name")

    def set_versioning(self, name: str, status: str) -> None:
        """ "Enabled" or "Suspended"."""
        self._store.run("UPDATE buckets SET versioning = ? WHERE name = ?", status, name)

    def remove(self, name: str) -> bool:
        """Remove an empty bucket; False when it is not empty."""
        with self._store.transaction():
            if self._store.row("SELECT 1 FROM objects WHERE bucket = ?", name):
                return False
            self._store.run("DELETE FROM buckets WHERE name = ?", name)
            return True

    def write(self, pieces: Iterable[bytes]) -> Written:
        """Put bytes into a new file, of which nobody knows yet."""
        name = secrets.token_hex(16)
        size, md5 = 0, hashlib.md5(usedforsecurity=False)
        path = self._folder / name
        try:
            with path.open("wb") as file:
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

    def publish(
        self, bucket: str, key: str, written: Written | None, headers: dict[str, str]
    ) -> str:
        """Make a file the object's newest version (None: a delete marker); returns its name."""
        with self._store.transaction():
            row = self.known(bucket)
            version = secrets.token_hex(16) if row["versioning"] == "Enabled" else "null"
            if version == "null":
                self._drop(bucket, key, "null")
            self._store.insert(
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
        row = self._store.row(
            "SELECT * FROM objects WHERE bucket = ? AND key = ? "
            "AND version = coalesce(?, version) ORDER BY sequence DESC LIMIT 1",
            bucket,
            key,
            version,
        )
        return self._object(row) if row and row["file"] else None

    def delete(self, bucket: str, key: str, version: str | None = None) -> str | None:
        """Remove a version, or hide the object; returns the delete marker's version, if any."""
        if version is None and self.known(bucket)["versioning"]:
            return self.publish(bucket, key, None, {})
        self._drop(bucket, key, version or "null")
        return None

    def _drop(self, bucket: str, key: str, version: str) -> None:
        where = "WHERE bucket = ? AND key = ? AND version = ?"
        row = self._store.row(f"SELECT file FROM objects {where}", bucket, key, version)
        self._store.run(f"DELETE FROM objects {where}", bucket, key, version)
        if row and row["file"]:
            (self._folder / row["file"]).unlink(missing_ok=True)

    def is_marker(self, bucket: str, key: str, version: str | None) -> bool:
        """Whether that version, or the newest, is a delete marker."""
        row = self._store.row(
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

    def begin(self, bucket: str, key: str, headers: dict[str, str]) -> str:
        """Start an upload in parts; returns its id."""
        identity = secrets.token_hex(16)
        columns = {"id": identity, "bucket": bucket, "key": key, "headers": json.dumps(headers)}
        self._store.insert("uploads", **columns)
        return identity

    def upload(self, identity: str, bucket: str, key: str) -> Row | None:
        """An upload's row, or None."""
        return self._store.row(
            "SELECT * FROM uploads WHERE id = ? AND bucket = ? AND key = ?", identity, bucket, key
        )

    def add_part(self, identity: str, number: int, written: Written) -> None:
        """Keep a part, in place of an earlier one of that number."""
        self._store.run(
            "INSERT OR REPLACE INTO parts (upload, number, etag, size, file) "
            "VALUES (?, ?, ?, ?, ?)",
            identity,
            number,
            written.etag,
            written.size,
            written.name,
        )

    def complete(self, upload: Row, numbers: list[int]) -> tuple[str, str] | None:
        """Join the parts; returns (version, ETag), or None when one of them is missing."""
        rows = self._store.rows("SELECT * FROM parts WHERE upload = ?", upload["id"])
        parts = {row["number"]: row for row in rows}
        if not numbers or any(number not in parts for number in numbers):
            return None
        chosen = [parts[number] for number in numbers]
        written = self.write(self._joined(chosen))
        digests = b"".join(bytes.fromhex(row["etag"]) for row in chosen)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(chosen)}"
        whole = Written(written.name, etag, written.size)
        headers = json.loads(upload["headers"])
        version = self.publish(upload["bucket"], upload["key"], whole, headers)
        self.abort(upload["id"])
        return version, etag

    def _joined(self, rows: list[Row]) -> Iterator[bytes]:
        for row in rows:
            with (self._folder / row["file"]).open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece

    def abort(self, identity: str) -> None:
        """Forget an upload and its parts."""
        for row in self._store.rows("SELECT file FROM parts WHERE upload = ?", identity):
            (self._folder / row["file"]).unlink(missing_ok=True)
        self._store.run("DELETE FROM uploads WHERE id = ?", identity)
