"""What certificates may do over MQTT: the policies attached to them, for whoever they connect as.

Mosquitto knows a client by its certificate's common name, and decides by that alone, so that a
certificate has the rights of all that it may connect as: of each of its things under the thing's
own name, and of the client ids that its policies name. An id that only a wildcard allows is known
once it has connected (see `mqtt.presence`). Deny comes before Allow: it is a role of its own, of
the higher priority.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from sqlite3 import Row

from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal
from sluice.cloud.store import Store
from sluice.cloud.things.patterns import Filter, Inexpressible, filters
from sluice.cloud.things.policy import CLIENT, VARIABLE, Context, Grant, matches, read

IDS = 100  # the latest client ids of a certificate that its rights are made for
CLIENT_BYTES = 128  # of a client id, AWS's quota
LOG = logging.getLogger("sluice.cloud")

# The policies of a certificate: its own, and those of its things' groups and of the groups above.
POLICIES = """
WITH RECURSIVE above (name) AS (
    SELECT thing_group FROM group_things JOIN principals USING (thing) WHERE certificate = ?
    UNION SELECT parent FROM thing_groups JOIN above USING (name) WHERE parent IS NOT NULL)
SELECT DISTINCT policies.name, document FROM policies JOIN policy_targets ON policy = policies.name
WHERE target = ? OR target IN (SELECT ? || name FROM above)
ORDER BY policies.name
"""


@dataclass
class Rights:
    """What Mosquitto is told of one certificate."""

    allowed: set[Filter] = field(default_factory=set)
    denied: set[Filter] = field(default_factory=set)


class Access:
    """The rights of all active certificates, from the store as it is now."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> dict[str, Rights]:
        """{common name: rights} of the active certificates."""
        rows = self._store.rows("SELECT * FROM certificates WHERE status = 'ACTIVE'")
        return {row["common_name"]: self.rights(row["id"]) for row in rows}

    def of(self, certificate: str) -> tuple[str, Rights | None]:
        """One certificate's common name and rights; "" and None for one that is deleted."""
        row = self._store.row("SELECT * FROM certificates WHERE id = ?", certificate)
        if row is None:
            return "", None
        return row["common_name"], self.rights(certificate) if row["status"] == "ACTIVE" else None

    def grants(self, certificate: str) -> list[Grant]:
        """What the certificate's policies say."""
        values = (certificate, arn("cert", certificate), arn("thinggroup", ""))
        rows = self._store.rows(POLICIES, *values)
        return [grant for row in rows for grant in _read(row["name"], row["document"])]

    def rights(self, certificate: str) -> Rights:
        """All that the certificate may, under whatever client id it may connect."""
        grants, found = self.grants(certificate), Rights()
        for context in self._contexts(certificate, grants):
            for grant in grants:
                side = found.allowed if grant.allow else found.denied
                side.update(_filters(grant, context))
        return found

    def may_connect(self, certificate: str, client: str) -> bool:
        """Whether the certificate may connect under that client id."""
        active = "SELECT 1 FROM certificates WHERE id = ? AND status = 'ACTIVE'"
        if not self._store.row(active, certificate):
            return False
        grants = self.grants(certificate)
        return any(connects(grants, one) for one in self._as(certificate, client))

    def asks_for(self, certificate: str) -> bool:
        """Whether what the certificate may depends on its client id."""
        names = [grant.name for grant in self.grants(certificate) if grant.action != "iot:Connect"]
        return any(CLIENT in VARIABLE.findall(name) for name in names)

    def _contexts(self, certificate: str, grants: list[Grant]) -> Iterator[Context]:
        """All that the certificate may connect as, as far as it is known."""
        ids = {thing["name"] for thing in self._things(certificate)}
        patterns = [grant.name for grant in grants if grant.action == "iot:Connect"]
        ids |= {name for name in patterns if not VARIABLE.search(name) and not wild(name)}
        seen = "SELECT client FROM sessions WHERE certificate = ? ORDER BY changed_at DESC LIMIT ?"
        ids |= {row["client"] for row in self._store.rows(seen, certificate, IDS)}
        every = [one for client in sorted(ids) for one in self._as(certificate, client)]
        yield from (one for one in every if connects(grants, one))
        if any(wild(name) or CLIENT in VARIABLE.findall(name) for name in patterns):
            yield from self._as(certificate, None)  # ids that are not known yet

    def _as(self, certificate: str, client: str | None) -> Iterator[Context]:
        """Who a client of that id is: the thing of its name, or what it speaks for alone."""
        found = [
            thing
            for thing in self._things(certificate)
            if thing["name"] == client or thing["exclusive"]
        ]
        for thing in found:
            attributes = tuple(json.loads(thing["attributes"]).items())
            yield Context(client, thing["name"], thing["type"], attributes)
        if not found:
            yield Context(client, None, None)

    def _things(self, certificate: str) -> list[Row]:
        return self._store.rows(
            "SELECT things.*, EXISTS (SELECT 1 FROM exclusive_principals AS one WHERE "
            "one.certificate = principals.certificate AND one.thing = principals.thing) "
            "AS exclusive FROM principals JOIN things ON name = thing WHERE certificate = ?",
            certificate,
        )


def wild(name: str) -> bool:
    """Whether a resource's name has wildcards."""
    return "*" in name or "?" in name


def connects(grants: Iterable[Grant], context: Context) -> bool:
    """Whether one may connect as that: a Deny comes first. AWS keeps ids with a `$` before them
    to itself."""
    client = context.client or ""
    if client.startswith("$") or len(client.encode()) > CLIENT_BYTES:
        return False
    rows = [grant for grant in grants if grant.action == "iot:Connect"]
    met = [grant.allow for grant in rows if _meets(grant, context)]
    return bool(met) and all(met)


def _meets(grant: Grant, context: Context) -> bool:
    pattern = context.fill(grant.name)
    return pattern is not None and matches(pattern, context.client or "")


def _filters(grant: Grant, context: Context) -> tuple[Filter, ...]:
    pattern = context.fill(grant.name)
    if pattern is None or any(letter in "+#" for letter in context.client or ""):
        return ()
    try:
        return filters(pattern, grant.action, grant.allow)
    except Inexpressible:
        return ()  # a client id with a wildcard in it


@lru_cache(256)
def _read(name: str, document: str) -> tuple[Grant, ...]:
    """A stored policy; one that an earlier release took, and that cannot be kept to, says so."""
    try:
        return tuple(read(document))
    except Refusal as refusal:
        LOG.warning("policy %s allows nothing: %s", name, refusal)
        return ()


def names_stream(grants: Iterable[Grant], thing: str, stream: str) -> bool:
    """Whether a policy allows a thing to ask for that stream by its own name."""
    context = Context(thing, thing, None)
    for grant in grants:
        pattern = grant.action == "iot:Publish" and grant.allow and context.fill(grant.name)
        if pattern and pattern.startswith(f"$aws/things/{thing}/streams/{stream}/"):
            return True
    return False
