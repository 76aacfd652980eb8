"""Uploads in parts, as the store keeps them: each part is a file that is no object yet.

What another request has ended meanwhile is found out in the transaction that would go on with it.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from sqlite3 import Row

from sluice.cloud.s3.bucket import Bucket, Written
from sluice.cloud.s3.wording import S3Error
from sluice.cloud.store import Store

LEAST_BYTES = 5 << 20  # of a part, unless it is the last


@dataclass(frozen=True)
class Part:
    """A part as its sender names it when the upload is complete."""

    number: int
    etag: str


@dataclass(frozen=True)
class Completed:
    """The object that an upload has become."""

    version: str
    etag: str


class Parts:
    """All uploads that are not complete."""

    def __init__(self, store: Store, bucket: Bucket) -> None:
        self._store = store
        self._bucket = bucket

    def begin(self, bucket: str, key: str, headers: dict[str, str]) -> str:
        """Start an upload; returns its id."""
        identity = secrets.token_hex(16)
        columns = {"id": identity, "bucket": bucket, "key": key, "headers": json.dumps(headers)}
        self._store.insert("uploads", **columns)
        return identity

    def upload(self, identity: str, bucket: str, key: str) -> Row:
        """An upload's row; S3Error when there is none."""
        row = self._store.row(
            "SELECT * FROM uploads WHERE id = ? AND bucket = ? AND key = ?", identity, bucket, key
        )
        if row is None:
            raise S3Error("NoSuchUpload", "no such upload")
        return row

    def add(self, upload: Row, number: int, written: Written) -> None:
        """Keep a part, in place of an earlier one of that number."""
        columns = {"upload": upload["id"], "number": number, "etag": written.etag}
        columns |= {"size": written.size, "file": written.name}
        where = "WHERE upload = ? AND number = ?"
        with self._bucket.unless_refused(written), self._store.transaction():
            self._still(upload)
            earlier = self._store.rows(f"SELECT * FROM parts {where}", upload["id"], number)
            self._store.run(f"DELETE FROM parts {where}", upload["id"], number)
            self._store.insert("parts", **columns)
        self._forget(earlier)

    def complete(self, upload: Row, wanted: list[Part]) -> Completed:
        """Join the parts; S3Error when they are not those that were sent."""
        rows = self._chosen(upload, wanted)
        written = self._bucket.write(self._joined(rows))
        digests = b"".join(bytes.fromhex(row["etag"]) for row in rows)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(rows)}"
        whole = Written(written.name, etag, written.size)
        headers = json.loads(upload["headers"])
        with self._bucket.unless_refused(whole), self._store.transaction():
            self._still(upload)
            version = self._bucket.publish(upload["bucket"], upload["key"], whole, headers)
            self.abort(upload)
        return Completed(version, etag)

    def _still(self, upload: Row) -> None:
        """Return if the upload is still under way."""
        self.upload(upload["id"], upload["bucket"], upload["key"])

    def _chosen(self, upload: Row, wanted: list[Part]) -> list[Row]:
        numbers = [part.number for part in wanted]
        if not numbers:
            raise S3Error("MalformedXML", "an upload has a part at least")
        if any(one >= other for one, other in pairwise(numbers)):
            raise S3Error("InvalidPartOrder", "the parts are not in the order of their numbers")
        rows = self._store.rows("SELECT * FROM parts WHERE upload = ?", upload["id"])
        sent = {(row["number"], row["etag"]): row for row in rows}
        chosen = [sent.get((part.number, part.etag)) for part in wanted]
        if None in chosen:
            raise S3Error("InvalidPart", "a part is missing, or is another by now")
        if any(row["size"] < LEAST_BYTES for row in chosen[:-1]):
            raise S3Error("EntityTooSmall", f"only the last part is below {LEAST_BYTES} bytes")
        return chosen

    def _joined(self, rows: list[Row]) -> Iterator[bytes]:
        for row in rows:
            yield from self._bucket.bytes_of(row["file"])

    def abort(self, upload: Row) -> None:
        """Forget an upload and its parts."""
        with self._store.transaction():
            rows = self._store.rows("SELECT file FROM parts WHERE upload = ?", upload["id"])
            self._store.run("DELETE FROM uploads WHERE id = ?", upload["id"])
        self._forget(rows)

    def _forget(self, rows: list[Row]) -> None:
        for row in rows:
            self._bucket.forget(row["file"])
