"""The control plane's calls for streams.

A file's ETag is kept when the stream is made, so that an object replaced later is noticed.
"""

import json
import time
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.names import arn
from sluice.cloud.refusal import exists, invalid, not_found
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.store import Store
from sluice.cloud.streams.over_mqtt import FILE_BYTES
from sluice.cloud.tags import Tags

Parameters = dict[str, Any]


class StreamCalls:
    """Streams as the control plane makes and changes them."""

    def __init__(self, store: Store, bucket: Bucket, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._bucket = bucket
        self._now = store.clock(now)

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateStream":   self.create,
            "DescribeStream": self.describe,
            "UpdateStream":   self.update,
            "ListStreams":    self.list,
            "DeleteStream":   self.delete,
        }
        # fmt: on

    @reads("streamId", "description", "files", "roleArn", "tags")
    def create(self, given: Parameters) -> Parameters:
        name, now = given["streamId"], self._now()
        files = json.dumps(self._files(given["files"]))
        with self._store.transaction():
            if self._find(name):
                raise exists("stream", name, arn("stream", name))
            columns = {"version": 1, "description": given.get("description"), "files": files}
            columns |= {"role": given["roleArn"], "created_at": now, "updated_at": now}
            self._store.insert("streams", id=name, **columns)
            Tags(self._store).put(arn("stream", name), given.get("tags", ()))
        return self._shape(self._get(name))

    def _files(self, files: list[Parameters]) -> list[Parameters]:
        """The files with the ETag each has now; a Refusal for one that cannot be streamed."""
        if len({entry.get("fileId") for entry in files}) != len(files) or not files:
            raise invalid("a stream has 1 to 50 files, each with an id of its own")
        return [self._file(entry) for entry in files]

    def _file(self, entry: Parameters) -> Parameters:
        where = entry.get("s3Location", {})
        if entry.get("fileId") is None or not where.get("bucket") or not where.get("key"):
            raise invalid("a stream's file needs fileId, s3Location.bucket and s3Location.key")
        found = self._bucket.find(where["bucket"], where["key"], where.get("version"))
        if found is None:
            raise not_found("object", f"{where['bucket']}/{where['key']}")
        if found.size > FILE_BYTES:
            raise invalid(f"{where['key']} is {found.size} bytes, a stream takes {FILE_BYTES}")
        return {"fileId": entry["fileId"], "s3Location": where, "etag": found.etag}

    def _find(self, name: str) -> Row | None:
        return self._store.row("SELECT * FROM streams WHERE id = ?", name)

    def _get(self, name: str) -> Row:
        row = self._find(name)
        if row is None:
            raise not_found("stream", name)
        return row

    def _shape(self, row: Row) -> Parameters:
        return {
            "streamId": row["id"],
            "streamArn": arn("stream", row["id"]),
            "streamVersion": row["version"],
            "description": row["description"],
            "files": json.loads(row["files"]),
            "createdAt": row["created_at"],
            "lastUpdatedAt": row["updated_at"],
            "roleArn": row["role"],
        }

    @reads("streamId")
    def describe(self, given: Parameters) -> Parameters:
        return {"streamInfo": self._shape(self._get(given["streamId"]))}

    @reads("streamId", "description", "files", "roleArn")
    def update(self, given: Parameters) -> Parameters:
        row = self._get(given["streamId"])
        files = json.dumps(self._files(given["files"])) if "files" in given else row["files"]
        self._store.run(
            "UPDATE streams SET version = version + 1, description = ?, files = ?, role = ?, "
            "updated_at = ? WHERE id = ?",
            given.get("description", row["description"]),
            files,
            given.get("roleArn", row["role"]),
            self._now(),
            row["id"],
        )
        return self._shape(self._get(row["id"]))

    @reads("ascendingOrder")
    def list(self, given: Parameters) -> Parameters:
        order = "ASC" if given.get("ascendingOrder") else "DESC"
        rows = self._store.rows(f"SELECT * FROM streams ORDER BY created_at {order}, id {order}")
        return {"streams": [self._shape(row) for row in rows]}

    @reads("streamId")
    def delete(self, given: Parameters) -> None:
        self._get(given["streamId"])
        self._store.run("DELETE FROM streams WHERE id = ?", given["streamId"])
