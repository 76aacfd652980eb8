"""How the store keeps thing groups: static ones, with groups within groups.

A group has the things that were added to it. Asked recursively, it also has those of the groups
below it. A job sees its target that way.
"""

import json
import uuid
from sqlite3 import Row

from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal, exists, invalid, not_found
from sluice.cloud.store import Store

BELOW = """
WITH RECURSIVE below (name) AS (
    SELECT ?1 UNION SELECT thing_groups.name FROM thing_groups JOIN below ON parent = below.name)
"""
DEPTH = 7  # levels of a hierarchy, the service's quota
GROUPS_OF_A_THING = 10  # likewise


class Groups:
    """The groups of this cloud, over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def known(self, name: str) -> Row | None:
        """The group's row, or None."""
        return self.store.row("SELECT * FROM thing_groups WHERE name = ?", name)

    def get(self, name: str) -> Row:
        """The group's row, or a refusal."""
        found = self.known(name)
        if not found:
            raise not_found("thing group", name)
        return found

    def create(
        self,
        name: str,
        parent: str | None,
        description: str | None,
        attributes: dict[str, str],
        now: float,
    ) -> Row:
        """Add a group. The same again is that group; with other members it is a conflict."""
        wanted = (parent, description, json.dumps(attributes, sort_keys=True))
        with self.store.transaction():
            found = self.known(name)
            if found and (found["parent"], found["description"], found["attributes"]) != wanted:
                raise exists("thing group", name, arn("thinggroup", name))
            if not found:
                if parent is not None and len(self.path(parent)) + 1 >= DEPTH:
                    raise invalid(f"a hierarchy of groups has {DEPTH} levels at most")
                columns = {"parent": parent, "description": description, "attributes": wanted[2]}
                columns |= {"id": str(uuid.uuid4()), "version": 1, "created_at": now}
                self.store.insert("thing_groups", name=name, **columns)
        return self.get(name)

    def path(self, name: str) -> list[Row]:
        """The groups above one, the root first."""
        above: list[Row] = []
        parent = self.get(name)["parent"]
        while parent is not None:
            above.insert(0, self.get(parent))
            parent = above[0]["parent"]
        return above

    def update(self, name: str, version: int | None, description: str, attributes: dict) -> int:
        """Change a group's properties; its new version."""
        row = self._of_version(name, version)
        self.store.run(
            "UPDATE thing_groups SET description = ?, attributes = ?, version = version + 1 "
            "WHERE name = ?",
            description,
            json.dumps(attributes, sort_keys=True),
            name,
        )
        return row["version"] + 1

    def delete(self, name: str, version: int | None) -> None:
        """Remove a group that has none below it; one that is not there is removed already."""
        if not self.known(name):
            return
        self._of_version(name, version)
        if self.store.row("SELECT 1 FROM thing_groups WHERE parent = ?", name):
            raise invalid(f"thing group {name} has groups below it: delete them first")
        self.store.run("DELETE FROM thing_groups WHERE name = ?", name)

    def _of_version(self, name: str, version: int | None) -> Row:
        row = self.get(name)
        if version not in (None, row["version"]):
            raise Refusal("VersionConflictException", f"the group's version is {row['version']}")
        return row

    def below(self, name: str) -> list[str]:
        """The names of the groups below one, at any depth."""
        rows = self.store.rows(f"{BELOW} SELECT name FROM below WHERE name != ?1", name)
        return [row["name"] for row in rows]

    def add(self, group: str, thing: str) -> None:
        """Put a thing into a group; twice is once."""
        with self.store.transaction():
            mine = set(self.of_thing(thing)) | {group}
            if len(mine) > GROUPS_OF_A_THING:
                raise invalid(f"a thing is in {GROUPS_OF_A_THING} groups at most")
            self.store.run("INSERT OR IGNORE INTO group_things VALUES (?, ?)", group, thing)

    def remove(self, group: str, thing: str) -> None:
        """Take a thing out of a group; one that is not in it is out already."""
        self.store.run(
            "DELETE FROM group_things WHERE thing_group = ? AND thing = ?", group, thing
        )

    def things(self, group: str, recursive: bool) -> list[str]:
        """The names of a group's things, with those of the groups below it if asked."""
        if recursive:
            rows = self.store.rows(
                f"{BELOW} SELECT DISTINCT thing FROM group_things "
                "JOIN below ON thing_group = name ORDER BY thing",
                group,
            )
        else:
            query = "SELECT thing FROM group_things WHERE thing_group = ? ORDER BY thing"
            rows = self.store.rows(query, group)
        return [row["thing"] for row in rows]

    def of_thing(self, thing: str) -> list[str]:
        """The names of the groups that a thing is in itself."""
        rows = self.store.rows(
            "SELECT thing_group FROM group_things WHERE thing = ? ORDER BY thing_group", thing
        )
        return [row["thing_group"] for row in rows]
