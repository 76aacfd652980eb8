"""The control plane's calls for policies.

They are kept and not obeyed: what a certificate may do follows from the things it is attached to
(see `things`). A policy has one version here.
"""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from host_tools.cloud.names import arn, of_arn
from host_tools.cloud.refusal import Refusal, exists, not_found
from host_tools.cloud.things.api import certificate_of
from host_tools.cloud.things.things import Things

Parameters = dict[str, Any]

POLICY_CHARACTERS = 2048  # without white space, the service's quota


class PolicyCalls:
    """Service "iot": policies, and what they are attached to: certificates and thing groups."""

    def __init__(self, things: Things, now: Callable[[], float]) -> None:
        self._things = things
        self._store = things.store
        self._now = now

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreatePolicy":          self.create,
            "GetPolicy":             self.get,
            "ListPolicies":          self.list,
            "DeletePolicy":          self.delete,
            "AttachPolicy":          self.attach,
            "DetachPolicy":          self.detach,
            "ListAttachedPolicies":  self.attached,
            "ListTargetsForPolicy":  self.targets,
        }
        # fmt: on

    def create(self, given: Parameters) -> Parameters:
        name, document = given["policyName"], given["policyDocument"]
        try:
            size = len(json.dumps(json.loads(document), separators=(",", ":")))
        except (ValueError, RecursionError):
            text = "the policy document is not JSON"
            raise Refusal("MalformedPolicyException", text) from None
        if size > POLICY_CHARACTERS:
            text = f"the policy has {size} characters, {POLICY_CHARACTERS} are allowed"
            raise Refusal("MalformedPolicyException", text)
        with self._store.transaction():
            if self._store.row("SELECT 1 FROM policies WHERE name = ?", name):
                raise exists("policy", name, arn("policy", name))
            self._store.insert("policies", name=name, document=document)
        shape = {"policyName": name, "policyArn": arn("policy", name)}
        return shape | {"policyDocument": document, "policyVersionId": "1"}

    def _row(self, name: str) -> Row:
        row = self._store.row("SELECT * FROM policies WHERE name = ?", name)
        if row is None:
            raise not_found("policy", name)
        return row

    def get(self, given: Parameters) -> Parameters:
        row = self._row(given["policyName"])
        shape = {"policyName": row["name"], "policyArn": arn("policy", row["name"])}
        return shape | {"policyDocument": row["document"], "defaultVersionId": "1"}

    def list(self, given: Parameters) -> Parameters:
        rows = self._store.rows("SELECT name FROM policies ORDER BY name")
        return {"policies": [listed(row["name"]) for row in rows]}

    def delete(self, given: Parameters) -> None:
        name = self._row(given["policyName"])["name"]
        if self._store.row("SELECT 1 FROM policy_targets WHERE policy = ?", name):
            text = f"policy {name} is attached: detach it first"
            raise Refusal("DeleteConflictException", text)
        self._store.run("DELETE FROM policies WHERE name = ?", name)

    def attach(self, given: Parameters) -> None:
        name, target = self._row(given["policyName"])["name"], given["target"]
        group = of_arn(target, "thinggroup")
        query = "SELECT 1 FROM thing_groups WHERE name = ?"
        if group is None:
            self._things.certificate(certificate_of(target))
        elif not self._store.row(query, group):
            raise not_found("thing group", group)
        self._store.run("INSERT OR IGNORE INTO policy_targets VALUES (?, ?)", name, target)

    def detach(self, given: Parameters) -> None:
        name = self._row(given["policyName"])["name"]
        self._store.run(
            "DELETE FROM policy_targets WHERE policy = ? AND target = ?", name, given["target"]
        )

    def attached(self, given: Parameters) -> Parameters:
        query = "SELECT policy FROM policy_targets WHERE target = ? ORDER BY policy"
        rows = self._store.rows(query, given["target"])
        return {"policies": [listed(row["policy"]) for row in rows]}

    def targets(self, given: Parameters) -> Parameters:
        name = self._row(given["policyName"])["name"]
        query = "SELECT target FROM policy_targets WHERE policy = ? ORDER BY target"
        return {"targets": [row["target"] for row in self._store.rows(query, name)]}


def listed(name: str) -> Parameters:
    """A policy as lists show it."""
    return {"policyName": name, "policyArn": arn("policy", name)}
