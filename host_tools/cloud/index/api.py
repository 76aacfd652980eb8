"""SearchIndex, over what the store has at the moment: things, groups, shadows and sessions.

On AWS the index follows some moments later, and is off until UpdateIndexingConfiguration turns it
on. Here it is on, with all named shadows.
"""

import base64
import json
from collections.abc import Callable, Iterator
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.index.query import Term, parse
from sluice.cloud.names import THING
from sluice.cloud.refusal import Refusal, invalid, not_found
from sluice.cloud.shadow.over_mqtt import delta, shown
from sluice.cloud.store import Store

Parameters = dict[str, Any]
Document = dict[str, Any]

INDEX = "AWS_Things"
VERSION = "2017-09-30"  # of the query language
PAGE = 100  # things in an answer, at most
READ = 250  # things that are read at a time
SLICE = """
SELECT things.*, sessions.connected, sessions.reason, sessions.socket, sessions.changed_at
FROM things LEFT JOIN sessions ON client = name
WHERE name > ? ORDER BY name LIMIT ?
"""
CONFIGURATION = {
    "thingIndexingConfiguration": {
        "thingIndexingMode": "REGISTRY_AND_SHADOW",
        "thingConnectivityIndexingMode": "STATUS",
        "deviceDefenderIndexingMode": "OFF",
        "namedShadowIndexingMode": "ON",
    },
    "thingGroupIndexingConfiguration": {"thingGroupIndexingMode": "OFF"},
}


class IndexCalls:
    """Service "iot": searching the things."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        return {
            "SearchIndex": self.search,
            "GetIndexingConfiguration": self.configuration,
        }

    @reads()
    def configuration(self, given: Parameters) -> Parameters:
        return CONFIGURATION

    @reads("indexName", "queryString", "queryVersion", "maxResults", "nextToken")
    def search(self, given: Parameters) -> Parameters:
        if given.get("indexName", INDEX) != INDEX:
            raise not_found("index", given["indexName"])
        if given.get("queryVersion", VERSION) != VERSION:
            raise invalid(f"the local cloud knows queryVersion {VERSION} only")
        most = given.get("maxResults", PAGE)
        if most > PAGE:
            raise invalid(f"maxResults is {PAGE} at most")
        terms = parse(given["queryString"])
        after = begin(given["nextToken"]) if "nextToken" in given else ""
        found: list[Document] = []
        for document in self._matching(terms, after):
            if len(found) == most:
                return {"things": found, "nextToken": token(found[-1]["thingName"])}
            found.append(document | {"shadow": text(document["shadow"])})
        return {"things": found}

    def _matching(self, terms: list[Term], after: str) -> Iterator[Document]:
        for document in self._documents(after):
            if all(term.matches(document) for term in terms):
                yield document

    def _documents(self, after: str) -> Iterator[Document]:
        """Things by name, a few at a time, with all that is indexed of them."""
        while rows := self._store.rows(SLICE, after, READ):
            bounds = after, rows[-1]["name"]
            shadows = self._by_thing("shadows", "thing > ? AND thing <= ? AND NOT deleted", bounds)
            groups = self._by_thing("group_things", "thing > ? AND thing <= ?", bounds)
            for row in rows:
                document = of_registry(row)
                document["thingGroupNames"] = [
                    found["thing_group"] for found in groups.get(row["name"], ())
                ]
                document["shadow"] = together(shadows.get(row["name"], []))
                yield document
            after = rows[-1]["name"]

    def _by_thing(self, table: str, where: str, bounds: tuple[str, str]) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self._store.rows(f"SELECT * FROM {table} WHERE {where}", *bounds):
            found.setdefault(row["thing"], []).append(row)
        return found


def of_registry(row: Row) -> Document:
    """A thing's document, of the registry and of its connection."""
    connectivity: Document = {"connected": bool(row["connected"])}
    if row["changed_at"] is not None:
        socket = json.loads(row["socket"])
        connectivity |= {
            "timestamp": int(row["changed_at"] * 1000),
            "disconnectReason": row["reason"] or None,
            "clientId": row["name"],
            "keepAliveDuration": socket.get("keepAliveDuration"),
            "cleanSession": socket.get("cleanSession"),
        }
    return {
        "thingName": row["name"],
        "thingId": row["id"],
        "thingTypeName": row["type"],
        "attributes": json.loads(row["attributes"]),
        "connectivity": connectivity,
    }


def together(rows: list[Row]) -> Document:
    """All shadows of a thing: the classic one's members, and the others below "name"."""
    classic: Document = {}
    named: Document = {}
    for row in rows:
        shape = shown(row)
        document = shape["state"] | {
            "metadata": shape["metadata"],
            "version": shape["version"],
            "hasDelta": bool(delta(shape["state"])),
        }
        if row["name"]:
            named[row["name"]] = document
        else:
            classic = document
    return classic | ({"name": named} if named else {})


def text(document: Document) -> str | None:
    """The shadow as an answer carries it."""
    return json.dumps(document) if document else None


def token(name: str) -> str:
    """Where the next page begins: after that thing."""
    return base64.b64encode(name.encode()).decode()


def begin(given: str) -> str:
    """The thing that a token means; a Refusal for one that was not given."""
    try:
        name = base64.b64decode(given, validate=True).decode()
    except ValueError:
        name = ""
    if not THING.fullmatch(name):
        raise Refusal("InvalidRequestException", "the token is none that was given")
    return name
