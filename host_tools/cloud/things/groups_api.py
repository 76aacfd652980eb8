"""The control plane's calls for thing groups. Dynamic groups, which take a search service, are
not known here.
"""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.names import arn, of_arn
from sluice.cloud.refusal import invalid
from sluice.cloud.tags import Tags
from sluice.cloud.things.groups import Groups
from sluice.cloud.things.things import Things

Parameters = dict[str, Any]


class GroupCalls:
    """Service "iot": thing groups."""

    def __init__(
        self,
        groups: Groups,
        things: Things,
        now: Callable[[], float],
        changed: Callable[..., object] = lambda: None,
    ) -> None:
        self._changed = changed  # what policies of groups give to certificates
        self._groups = groups
        self._things = things
        self._now = now

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateThingGroup":          self.create,
            "DescribeThingGroup":        self.describe,
            "UpdateThingGroup":          self.update,
            "DeleteThingGroup":          self.delete,
            "ListThingGroups":           self.list,
            "ListThingGroupsForThing":   self.list_for_thing,
            "AddThingToThingGroup":      self.add,
            "RemoveThingFromThingGroup": self.remove,
            "ListThingsInThingGroup":    self.things,
        }
        # fmt: on

    @reads("thingGroupName", "parentGroupName", "thingGroupProperties", "tags")
    def create(self, given: Parameters) -> Parameters:
        properties = given.get("thingGroupProperties", {})
        with self._groups.store.transaction():
            row = self._groups.create(
                given["thingGroupName"],
                given.get("parentGroupName"),
                properties.get("thingGroupDescription"),
                properties.get("attributePayload", {}).get("attributes", {}),
                self._now(),
            )
            tags = Tags(self._groups.store)
            tags.put(arn("thinggroup", row["name"]), given.get("tags", ()))
        return group_shape(row)

    @reads("thingGroupName")
    def describe(self, given: Parameters) -> Parameters:
        row = self._groups.get(given["thingGroupName"])
        above = self._groups.path(row["name"])
        return group_shape(row) | {
            "version": row["version"],
            "thingGroupProperties": {
                "thingGroupDescription": row["description"],
                "attributePayload": {"attributes": json.loads(row["attributes"])},
            },
            "thingGroupMetadata": {
                "parentGroupName": row["parent"],
                "rootToParentThingGroups": [named(one["name"]) for one in above],
                "creationDate": row["created_at"],
            },
        }

    @reads("thingGroupName", "thingGroupProperties", "expectedVersion")
    def update(self, given: Parameters) -> Parameters:
        row = self._groups.get(given["thingGroupName"])
        properties = given["thingGroupProperties"]
        payload = properties.get("attributePayload")
        attributes = json.loads(row["attributes"])
        if payload is not None:
            kept = attributes if payload.get("merge") else {}
            merged = kept | payload.get("attributes", {})
            attributes = {key: value for key, value in merged.items() if value != ""}
        description = properties.get("thingGroupDescription", row["description"])
        version = given.get("expectedVersion")
        return {"version": self._groups.update(row["name"], version, description, attributes)}

    @reads("thingGroupName", "expectedVersion")
    def delete(self, given: Parameters) -> None:
        self._groups.delete(given["thingGroupName"], given.get("expectedVersion"))
        self._changed()

    @reads("parentGroup", "namePrefixFilter", "recursive")
    def list(self, given: Parameters) -> Parameters:
        parent = given.get("parentGroup")
        if parent is not None:
            self._groups.get(parent)
        rows = self._groups.store.rows("SELECT * FROM thing_groups ORDER BY name")
        if not given.get("recursive", True):
            rows = [row for row in rows if row["parent"] == parent]
        elif parent is not None:
            below = self._groups.below(parent)
            rows = [row for row in rows if row["name"] in below]
        prefix = given.get("namePrefixFilter", "")
        names = [row["name"] for row in rows if row["name"].startswith(prefix)]
        return {"thingGroups": [named(name) for name in names]}

    @reads("thingName")
    def list_for_thing(self, given: Parameters) -> Parameters:
        self._things.get(given["thingName"])
        names = self._groups.of_thing(given["thingName"])
        return {"thingGroups": [named(name) for name in names]}

    def _pair(self, given: Parameters) -> tuple[str, str]:
        """(group, thing) that a request names, each by name or by ARN."""
        group = identified(given, "thingGroup", "thinggroup")
        thing = identified(given, "thing", "thing")
        return self._groups.get(group)["name"], self._things.get(thing)["name"]

    @reads("thingGroupName", "thingGroupArn", "thingName", "thingArn")
    def add(self, given: Parameters) -> None:
        group, thing = self._pair(given)
        self._groups.add(group, thing)
        self._tell(thing)

    @reads("thingGroupName", "thingGroupArn", "thingName", "thingArn")
    def remove(self, given: Parameters) -> None:
        group, thing = self._pair(given)
        self._groups.remove(group, thing)
        self._tell(thing)

    def _tell(self, thing: str) -> None:
        """Say whose rights have changed, if anybody speaks for the thing."""
        if principals := self._things.principals(thing):
            self._changed(*(row["id"] for row in principals))

    @reads("thingGroupName", "recursive")
    def things(self, given: Parameters) -> Parameters:
        name = self._groups.get(given["thingGroupName"])["name"]
        return {"things": self._groups.things(name, given.get("recursive", False))}


def identified(given: Parameters, member: str, kind: str) -> str:
    """The name in `<member>Name` or `<member>Arn`; a refusal for neither."""
    name = given.get(f"{member}Name") or of_arn(given.get(f"{member}Arn", ""), kind)
    if name is None:
        raise invalid(f"{member}Name or {member}Arn is needed")
    return name


def named(name: str) -> Parameters:
    """A group as lists show it."""
    return {"groupName": name, "groupArn": arn("thinggroup", name)}


def group_shape(row: Row) -> Parameters:
    """The members of a group that several output shapes have."""
    return {
        "thingGroupName": row["name"],
        "thingGroupArn": arn("thinggroup", row["name"]),
        "thingGroupId": row["id"],
    }
