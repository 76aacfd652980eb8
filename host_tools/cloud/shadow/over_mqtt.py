"""Device Shadow over MQTT, classic and named, and the same operations for its HTTPS twin.

Requests come on `$aws/things/T/shadow/<operation>` or `…/shadow/name/N/<operation>`; answers go to
the same topic with `/accepted` or `/rejected`, whose code is a number here. An accepted update is
followed by `/update/delta`, when desired and reported differ, and by `/update/documents`. All go
out at QoS 1: Mosquitto lowers that to what a client subscribed with.

Where AWS's behaviour is not known for certain:
- versions go on after a shadow was deleted, for ever (AWS remembers them for some time);
- a delta is told after every accepted update that leaves a difference, whichever half changed;
- the first document's `previous` is an empty one of version 0;
- members of a request that are not in the guide are ignored, unless they are within `state`.
"""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.message import Message, compact
from sluice.cloud.names import SHADOW
from sluice.cloud.shadow.document import (
    SECTIONS,
    Document,
    ShadowError,
    check_size,
    chosen,
    difference,
    filled,
    merged,
    parse,
    stamped,
    take_state,
    take_token,
    take_version,
)
from sluice.cloud.store import Store

Answers = list[tuple[str, Document]]  # (topic's last levels, body), the accepted one first

EMPTY: Document = {"state": {}, "metadata": {}}


class Shadows:
    """All things' shadows; the classic one has the name ""."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self.store = store
        self._now = store.clock(now)
        self._operations: dict[str, Callable[[str, str, Document], Answers]] = {
            "get": self._get,
            "update": self._update,
            "delete": self._delete,
        }

    def handle(self, thing: str, levels: list[str], payload: bytes) -> list[Message]:
        """Answer a publication; `levels` is what follows "shadow" in its topic."""
        named = len(levels) == 3 and levels[0] == "name"
        operation = levels[-1]
        if operation not in self._operations or not (named or len(levels) == 1):
            return []  # an answer's topic, or none of this service: AWS says nothing either
        name = levels[1] if named else ""
        try:
            if named and not SHADOW.fullmatch(name):
                raise ShadowError(400, f"Invalid shadow name: '{name}'")
            return self.ask(operation, thing, name, payload)
        except ShadowError as error:
            body = {"code": error.code, "message": str(error)} | self._stamp(echo(payload))
            return [message(thing, name, f"{operation}/rejected", body)]

    def ask(self, operation: str, thing: str, name: str, payload: bytes) -> list[Message]:
        """Run one operation; the first message is its answer. Raises ShadowError."""
        request = parse(payload)
        token = take_token(request)
        with self.store.transaction():
            if not self.store.row("SELECT 1 FROM things WHERE name = ?", thing):
                raise ShadowError(404, "Thing not found")
            answers = self._operations[operation](thing, name, request)
            stamp = self._stamp(token)
        return [message(thing, name, suffix, body | stamp) for suffix, body in answers]

    def names(self, thing: str) -> list[str]:
        """The named shadows that a thing has, in order."""
        rows = self.store.rows(
            "SELECT name FROM shadows WHERE thing = ? AND name != '' AND NOT deleted "
            "ORDER BY name",
            thing,
        )
        return [row["name"] for row in rows]

    def _stamp(self, token: str | None) -> dict[str, Any]:
        stamp: dict[str, Any] = {"timestamp": int(self._now())}
        return stamp if token is None else stamp | {"clientToken": token}

    def _row(self, thing: str, name: str) -> Row | None:
        return self.store.row("SELECT * FROM shadows WHERE thing = ? AND name = ?", thing, name)

    def _present(self, thing: str, name: str) -> Row:
        row = self._row(thing, name)
        if row is None or row["deleted"]:
            full = f"{thing}~{name}" if name else thing
            raise ShadowError(404, f"No shadow exists with name: '{full}'")
        return row

    def _get(self, thing: str, name: str, request: Document) -> Answers:
        row = self._present(thing, name)
        shape = shown(row)
        left = delta(shape["state"])
        if left:
            shape["state"]["delta"] = left
        return [("get/accepted", shape)]

    def _update(self, thing: str, name: str, request: Document) -> Answers:
        wanted, state = take_version(request), take_state(request)
        row = self._row(thing, name)
        version = row["version"] if row else 0
        match_version(wanted, version)
        old = shown(row) if row else EMPTY | {"version": 0}
        now = int(self._now())
        change = dict.fromkeys(SECTIONS) if state is None else state
        left = filled(merged(old["state"], change))
        metadata = stamped(old["metadata"], old["state"], change, now)
        kept = {name: metadata[name] for name in left}
        new = {"state": left, "metadata": kept, "version": version + 1}
        check_size(new["state"])
        self._write(thing, name, new)
        accepted = {"state": state, "metadata": stamped(None, None, change, now)}
        answers: Answers = [("update/accepted", accepted | {"version": new["version"]})]
        if left := delta(new["state"]):
            body = {"state": left, "metadata": chosen(new["metadata"]["desired"], left)}
            answers.append(("update/delta", body | {"version": new["version"]}))
        return [*answers, ("update/documents", {"previous": old, "current": new})]

    def _write(self, thing: str, name: str, document: Document) -> None:
        texts = (json.dumps(document["state"]), json.dumps(document["metadata"]))
        self.store.run(
            "INSERT OR REPLACE INTO shadows (thing, name, state, metadata, version, deleted) "
            "VALUES (?, ?, ?, ?, ?, 0)",
            thing,
            name,
            *texts,
            document["version"],
        )

    def _delete(self, thing: str, name: str, request: Document) -> Answers:
        row = self._present(thing, name)
        match_version(take_version(request), row["version"])
        self.store.run(
            "UPDATE shadows SET deleted = 1, state = '{}', metadata = '{}' "
            "WHERE thing = ? AND name = ?",
            thing,
            name,
        )
        return [("delete/accepted", {"version": row["version"]})]


def message(thing: str, name: str, suffix: str, body: Document) -> Message:
    """A publication about a shadow."""
    where = f"shadow/name/{name}" if name else "shadow"
    return Message(f"$aws/things/{thing}/{where}/{suffix}", compact(body), qos=1)


def shown(row: Row) -> Document:
    """A stored document: state, metadata and version."""
    state, metadata = json.loads(row["state"]), json.loads(row["metadata"])
    return {"state": filled(state), "metadata": filled(metadata), "version": row["version"]}


def delta(state: Document) -> Document:
    """What is desired and not reported."""
    return difference(state.get("desired", {}), state.get("reported", {}))


def match_version(wanted: int | None, version: int) -> None:
    """Refuse a request made for another version."""
    if wanted is not None and wanted != version:
        raise ShadowError(409, "Version conflict")


def echo(payload: bytes) -> str | None:
    """The token to repeat in a refusal: none, if it is what is refused."""
    try:
        return take_token(parse(payload))
    except ShadowError:
        return None
