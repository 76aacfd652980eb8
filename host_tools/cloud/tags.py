"""Tags: keys with values on whatever an ARN names. They go with what they are on.

Source: the developer guide's page on tagging: which resources take tags, and how many.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.names import arn, of_arn
from sluice.cloud.refusal import Refusal, invalid, not_found
from sluice.cloud.store import TAGGED, Store

Parameters = dict[str, Any]

MOST = 50  # on one resource
RESERVED = "aws:"  # a key of AWS's own begins so


class Tags:
    """The tags of all resources, over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, resource: str, tags: Iterable[Parameters]) -> None:
        """Set tags, given as the models have them; others stay."""
        wanted = [(tag["Key"], tag.get("Value", "")) for tag in tags]
        if len(dict(wanted)) != len(wanted):
            raise invalid("a tag's key occurs twice")
        for key, value in wanted:
            if key.lower().startswith(RESERVED):
                raise invalid(f"a tag's key cannot begin with {RESERVED}")
            self._store.run("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", resource, key, value)
        if len(self.of(resource)) > MOST:
            raise Refusal("LimitExceededException", f"a resource has {MOST} tags at most")

    def remove(self, resource: str, keys: Iterable[str]) -> None:
        """Take tags away; one that is not there is away already."""
        for key in keys:
            self._store.run("DELETE FROM tags WHERE resource = ? AND key = ?", resource, key)

    def of(self, resource: str) -> list[Parameters]:
        """A resource's tags, by key."""
        rows = self._store.rows("SELECT * FROM tags WHERE resource = ? ORDER BY key", resource)
        return [{"Key": row["key"], "Value": row["value"]} for row in rows]


class TagCalls:
    """Service "iot": the calls for tags."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tags = Tags(store)

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "TagResource":         self.tag,
            "UntagResource":       self.untag,
            "ListTagsForResource": self.list,
        }
        # fmt: on

    @reads("resourceArn", "tags")
    def tag(self, given: Parameters) -> None:
        with self._store.transaction():
            self._tags.put(self._known(given["resourceArn"]), given["tags"])

    @reads("resourceArn", "tagKeys")
    def untag(self, given: Parameters) -> None:
        self._tags.remove(self._known(given["resourceArn"]), given["tagKeys"])

    @reads("resourceArn")
    def list(self, given: Parameters) -> Parameters:
        return {"tags": self._tags.of(self._known(given["resourceArn"]))}

    def _known(self, text: str) -> str:
        """The ARN of a resource that is there and takes tags, as this cloud writes it."""
        for kind, (table, column) in TAGGED.items():
            name = of_arn(text, kind)
            if name is None:
                continue
            if not self._store.row(f"SELECT 1 FROM {table} WHERE {column} = ?", name):
                raise not_found(kind, name)
            return arn(kind, name)
        raise invalid(f"{text} takes no tags: only {', '.join(TAGGED)} do")
