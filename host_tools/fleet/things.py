"""What is known of all things, as documents of the shape that fleet indexing answers with.

With fleet indexing a call brings 100 things, their shadows and who is connected. Without it each
thing's shadows are asked for one by one. All functions raise what boto3 raises.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

Document = dict[str, Any]

PAGE = 100  # things in an answer of SearchIndex, its most
SEARCHED = 10_000  # things that are read with fleet indexing, which is 100 calls
LISTED = 1_000  # things whose shadows are read one by one: 2 calls each, and 1 for each name
AT_ONCE = 8
UNKNOWN = ("ResourceNotFoundException", "IndexNotReadyException")  # no index, or not yet
OFF = (
    "Fleet indexing is off: the shadow of each thing is read by itself, and nobody knows who is "
    "connected. `aws iot update-indexing-configuration --thing-indexing-configuration "
    "thingIndexingMode=REGISTRY_AND_SHADOW,thingConnectivityIndexingMode=STATUS` turns it on."
)
NOT_READY = "Fleet indexing is not ready: the shadow of each thing is read by itself."
NO_SHADOWS = "Fleet indexing has no shadows in it: the shadow of each thing is read by itself."
NO_CONNECTIVITY = "Fleet indexing has no connectivity in it: nobody knows who is connected."


@dataclass(frozen=True)
class Indexing:
    """What the index of things has in it."""

    things: bool
    shadows: bool
    connectivity: bool


def indexing(iot: Any) -> Indexing:
    """Ask for it: one call."""
    found = iot.get_indexing_configuration().get("thingIndexingConfiguration", {})
    mode = found.get("thingIndexingMode", "OFF")
    status = found.get("thingConnectivityIndexingMode") == "STATUS"
    return Indexing(mode != "OFF", mode == "REGISTRY_AND_SHADOW", status and mode != "OFF")


def documents(iot: Any, data: Any, index: Indexing) -> tuple[list[Document], list[str]]:
    """(a document of each thing, sentences about what they lack)."""
    notes: list[str] = []
    found: list[Document] | None = None
    if index.things:
        try:
            found = list(searched(iot))
        except ClientError as error:
            if error.response["Error"]["Code"] not in UNKNOWN:
                raise
            notes.append(NOT_READY)
    else:
        notes.append(OFF)
    if found is None:
        found = with_shadows(data, list(listed(iot)), notes)
    elif not index.shadows:
        notes.append(NO_SHADOWS)
        found = with_shadows(data, found, notes)
    if index.things and not index.connectivity:
        notes.append(NO_CONNECTIVITY)
        for document in found:
            document.pop("connectivity", None)
    if len(found) >= SEARCHED:
        notes.append(f"The first {SEARCHED:,} things are read, and no more.")
    return found, notes


def searched(iot: Any) -> Iterator[Document]:
    """All things of the index."""
    words = {"queryString": "thingName:*", "maxResults": PAGE}
    for _ in range(SEARCHED // PAGE):
        found = iot.search_index(**words)
        for thing in found.get("things", ()):
            yield thing | {"shadow": parsed(thing.get("shadow"))}
        if not found.get("nextToken"):
            return
        words["nextToken"] = found["nextToken"]


def listed(iot: Any) -> Iterator[Document]:
    """All things of the registry, without shadows."""
    pages = iot.get_paginator("list_things").paginate(
        PaginationConfig={"MaxItems": SEARCHED, "PageSize": 250}
    )
    for page in pages:
        for thing in page["things"]:
            kept = ("thingName", "thingTypeName", "attributes")
            yield {name: thing[name] for name in kept if name in thing}


def with_shadows(data: Any, found: list[Document], notes: list[str]) -> list[Document]:
    """The same with the shadows of the first LISTED."""
    if len(found) > LISTED:
        notes.append(f"The shadows of the first {LISTED:,} things are read, and no more.")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        names = [document["thingName"] for document in found[:LISTED]]
        read = list(pool.map(lambda name: shadows(data, name), names))
    return [
        document | {"shadow": shadow} for document, shadow in zip(found, read, strict=False)
    ] + found[LISTED:]


def shadows(data: Any, thing: str) -> Document:
    """The shadows of a thing, as the index has them; {} of one that has none.

    data    boto3's client of `iot-data`
    """
    try:
        names = data.list_named_shadows_for_thing(thingName=thing)["results"]
    except ClientError as error:
        if error.response["Error"]["Code"] != UNKNOWN[0]:  # deleted since it was listed
            raise
        return {}
    document = shadow(data, thing)
    named = {name: shadow(data, thing, name) for name in names}
    return document | ({"name": named} if named else {})


def shadow(data: Any, thing: str, name: str | None = None) -> Document:
    """One shadow, the classic one unless it has a name; {} where there is none."""
    words = {"thingName": thing} | ({"shadowName": name} if name else {})
    try:
        answer = parsed(data.get_thing_shadow(**words)["payload"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] != UNKNOWN[0]:
            raise
        return {}
    state = answer.get("state")
    metadata = answer.get("metadata")
    return (state if isinstance(state, dict) else {}) | {
        "metadata": metadata if isinstance(metadata, dict) else {}
    }


def parsed(text: str | bytes | None) -> Document:
    """A JSON object; {} of anything else."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def described(iot: Any, thing: str) -> Document:
    """One thing of the registry, and whether it is connected: two calls."""
    found = iot.describe_thing(thingName=thing)
    kept = ("thingName", "thingTypeName", "attributes")
    document = {name: found[name] for name in kept if name in found}
    return document | connectivity(iot, thing)


def connectivity(iot: Any, thing: str) -> Document:
    """Whether a thing is connected, {} where nobody knows: one call."""
    try:
        found = iot.get_thing_connectivity_data(thingName=thing)
    except ClientError as error:
        if error.response["Error"]["Code"] not in UNKNOWN:
            raise
        return {}
    shape = {name: found[name] for name in ("connected", "disconnectReason") if name in found}
    if found.get("timestamp"):
        shape["timestamp"] = int(found["timestamp"].timestamp() * 1000)
    return {"connectivity": shape}
