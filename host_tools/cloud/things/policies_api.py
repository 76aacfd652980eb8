"""The control plane's calls for policies. What the default version of an attached policy says is
in force over MQTT when the call that changes it returns (see `rights`).
"""

from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.listing import Listing
from sluice.cloud.names import arn, of_arn
from sluice.cloud.refusal import Refusal, exists, not_found
from sluice.cloud.tags import Tags
from sluice.cloud.things.api import certificate_of
from sluice.cloud.things.policy import read
from sluice.cloud.things.things import Things

Parameters = dict[str, Any]

VERSIONS = 5  # of a policy, the service's quota
# The policies of a group and of those above it.
ABOVE = """
WITH RECURSIVE above (name) AS (
    SELECT ? UNION SELECT parent FROM thing_groups JOIN above USING (name)
    WHERE parent IS NOT NULL)
SELECT DISTINCT policy FROM policy_targets WHERE target IN (SELECT ? || name FROM above)
ORDER BY policy
"""
LATEST = "SELECT max(number) AS number FROM policy_versions WHERE policy = ?"


class PolicyCalls:
    """Service "iot": policies, and what they are attached to: certificates and thing groups.
    `changed` is called when rights may have changed, with the certificate if it is only one."""

    def __init__(
        self, things: Things, now: Callable[[], float], changed: Callable[..., object]
    ) -> None:
        self._things = things
        self._store = things.store
        self._now = now
        self._changed = changed

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreatePolicy":            self.create,
            "GetPolicy":               self.get,
            "ListPolicies":            self.list,
            "DeletePolicy":            self.delete,
            "CreatePolicyVersion":     self.create_version,
            "GetPolicyVersion":        self.get_version,
            "ListPolicyVersions":      self.versions,
            "DeletePolicyVersion":     self.delete_version,
            "SetDefaultPolicyVersion": self.set_default,
            "AttachPolicy":            self.attach,
            "DetachPolicy":            self.detach,
            "ListAttachedPolicies":    self.attached,
            "ListTargetsForPolicy":    self.targets,
        }
        # fmt: on

    @reads("policyName", "policyDocument", "tags")
    def create(self, given: Parameters) -> Parameters:
        name, document = given["policyName"], given["policyDocument"]
        read(document)
        with self._store.transaction():
            if self._store.row("SELECT 1 FROM policies WHERE name = ?", name):
                raise exists("policy", name, arn("policy", name))
            self._things.add_policy(name, document, self._now())
            Tags(self._store).put(arn("policy", name), given.get("tags", ()))
        shape = {"policyName": name, "policyArn": arn("policy", name)}
        return shape | {"policyDocument": document, "policyVersionId": "1"}

    def _row(self, name: str) -> Row:
        row = self._store.row("SELECT * FROM policies WHERE name = ?", name)
        if row is None:
            raise not_found("policy", name)
        return row

    @reads("policyName")
    def get(self, given: Parameters) -> Parameters:
        name = self._row(given["policyName"])["name"]
        query = "SELECT * FROM policy_versions WHERE policy = ? AND is_default"
        row = self._store.row(query, name)
        shape = {"policyName": name, "policyArn": arn("policy", name)} | self._dates(row)
        return shape | {
            "policyDocument": row["document"],
            "defaultVersionId": str(row["number"]),
        }

    def _dates(self, version: Row) -> Parameters:
        name, since = version["policy"], version["created_at"]
        first = self._store.row(
            "SELECT min(created_at) AS at FROM policy_versions WHERE policy = ?", name
        )
        return {
            "creationDate": first["at"],
            "lastModifiedDate": since,
            "generationId": str(version["number"]),
        }

    @reads("ascendingOrder")
    def list(self, given: Parameters) -> Parameters:
        order = "ASC" if given.get("ascendingOrder", True) else "DESC"
        query = f"SELECT name FROM policies ORDER BY name {order}"
        return {"policies": Listing(self._store, lambda row: listed(row["name"]), query)}

    def _count(self, name: str) -> int:
        query = "SELECT count(*) AS count FROM policy_versions WHERE policy = ?"
        return self._store.row(query, name)["count"]

    @reads("policyName")
    def delete(self, given: Parameters) -> None:
        name = self._row(given["policyName"])["name"]
        if self._store.row("SELECT 1 FROM policy_targets WHERE policy = ?", name):
            text = f"policy {name} is attached: detach it first"
            raise Refusal("DeleteConflictException", text)
        if self._count(name) > 1:
            text = f"policy {name} has more versions than its default one: delete them first"
            raise Refusal("DeleteConflictException", text)
        self._store.run("DELETE FROM policies WHERE name = ?", name)

    @reads("policyName", "policyDocument", "setAsDefault")
    def create_version(self, given: Parameters) -> Parameters:
        document, chosen = given["policyDocument"], given.get("setAsDefault", False)
        read(document)
        with self._store.transaction():
            name = self._row(given["policyName"])["name"]
            if self._count(name) >= VERSIONS:
                text = f"policy {name} has {VERSIONS} versions: delete one first"
                raise Refusal("VersionsLimitExceededException", text)
            number = self._store.row(LATEST, name)["number"] + 1
            columns = {"document": document, "is_default": 0, "created_at": self._now()}
            self._store.insert("policy_versions", policy=name, number=number, **columns)
            if chosen:
                self._choose(name, number)
        if chosen:
            self._changed()
        shape = {"policyArn": arn("policy", name), "policyDocument": document}
        return shape | {"policyVersionId": str(number), "isDefaultVersion": chosen}

    def _choose(self, name: str, number: int) -> None:
        """Make a version the default one."""
        choose = "UPDATE policy_versions SET is_default = (number = ?) WHERE policy = ?"
        self._store.run(choose, number, name)
        self._store.run(
            "UPDATE policies SET document = (SELECT document FROM policy_versions "
            "WHERE policy = name AND is_default) WHERE name = ?",
            name,
        )

    def _version(self, given: Parameters) -> Row:
        name, text = self._row(given["policyName"])["name"], given["policyVersionId"]
        query = "SELECT * FROM policy_versions WHERE policy = ? AND number = ?"
        row = self._store.row(query, name, int(text)) if text.isdecimal() else None
        if row is None:
            raise not_found("version", f"{text} of policy {name}")
        return row

    @reads("policyName", "policyVersionId")
    def get_version(self, given: Parameters) -> Parameters:
        row = self._version(given)
        shape = {"policyName": row["policy"], "policyArn": arn("policy", row["policy"])}
        shape |= self._dates(row) | {"policyDocument": row["document"]}
        return shape | version_shape(row) | {"policyVersionId": str(row["number"])}

    @reads("policyName")
    def versions(self, given: Parameters) -> Parameters:
        name = self._row(given["policyName"])["name"]
        query = "SELECT * FROM policy_versions WHERE policy = ? ORDER BY number DESC"
        shapes = [version_shape(row) for row in self._store.rows(query, name)]
        return {"policyVersions": shapes}

    @reads("policyName", "policyVersionId")
    def delete_version(self, given: Parameters) -> None:
        row = self._version(given)
        if row["is_default"]:
            text = f"version {row['number']} of policy {row['policy']} is the default one"
            raise Refusal("DeleteConflictException", text)
        values = row["policy"], row["number"]
        self._store.run("DELETE FROM policy_versions WHERE policy = ? AND number = ?", *values)

    @reads("policyName", "policyVersionId")
    def set_default(self, given: Parameters) -> None:
        with self._store.transaction():
            row = self._version(given)
            self._choose(row["policy"], row["number"])
        self._changed()

    @reads("policyName", "target")
    def attach(self, given: Parameters) -> None:
        name, target = self._row(given["policyName"])["name"], given["target"]
        group = of_arn(target, "thinggroup")
        query = "SELECT 1 FROM thing_groups WHERE name = ?"
        if group is None:
            self._things.certificate(certificate_of(target))
        elif not self._store.row(query, group):
            raise not_found("thing group", group)
        self._store.run("INSERT OR IGNORE INTO policy_targets VALUES (?, ?)", name, spelt(target))
        self._tell(target)

    @reads("policyName", "target")
    def detach(self, given: Parameters) -> None:
        name, target = self._row(given["policyName"])["name"], given["target"]
        delete = "DELETE FROM policy_targets WHERE policy = ? AND target = ?"
        self._store.run(delete, name, spelt(target))
        self._tell(target)

    def _tell(self, target: str) -> None:
        """Say whose rights have changed."""
        certificate = of_arn(target, "cert")
        self._changed(*([certificate] if certificate else []))

    @reads("target", "recursive")
    def attached(self, given: Parameters) -> Parameters:
        query = "SELECT policy FROM policy_targets WHERE target = ? ORDER BY policy"
        values: tuple[str, ...] = (spelt(given["target"]),)
        group = of_arn(values[0], "thinggroup")
        if group and given.get("recursive"):
            query, values = ABOVE, (group, arn("thinggroup", ""))
        return {"policies": [listed(row["policy"]) for row in self._store.rows(query, *values)]}

    @reads("policyName")
    def targets(self, given: Parameters) -> Parameters:
        name = self._row(given["policyName"])["name"]
        query = "SELECT target FROM policy_targets WHERE policy = ? ORDER BY target"
        return {"targets": Listing(self._store, lambda row: row["target"], query, name)}


def spelt(target: str) -> str:
    """A target's ARN with this cloud's own account and region, which are those of the store."""
    for kind in ("cert", "thinggroup"):
        if name := of_arn(target, kind):
            return arn(kind, name)
    return target


def listed(name: str) -> Parameters:
    """A policy as lists show it."""
    return {"policyName": name, "policyArn": arn("policy", name)}


def version_shape(row: Row) -> Parameters:
    """A version as lists show it."""
    shape = {"versionId": str(row["number"]), "isDefaultVersion": bool(row["is_default"])}
    return shape | {"createDate": row["created_at"]}
