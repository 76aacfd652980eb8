"""The control plane's calls that say which events are published.

The local cloud publishes those of jobs. To enable another kind is refused by name.
"""

import json
from collections.abc import Callable
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.jobs.events import EXECUTION, JOB, SETTING
from sluice.cloud.refusal import invalid
from sluice.cloud.store import Store

Parameters = dict[str, Any]

KINDS = (
    *("THING", "THING_GROUP", "THING_TYPE", "THING_GROUP_MEMBERSHIP", "THING_GROUP_HIERARCHY"),
    *("THING_TYPE_ASSOCIATION", JOB, EXECUTION, "POLICY", "CERTIFICATE", "CA_CERTIFICATE"),
)
PUBLISHED = (JOB, EXECUTION)


class EventCalls:
    """Service "iot": event configurations."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = store.clock(now)

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        return {
            "UpdateEventConfigurations": self.update,
            "DescribeEventConfigurations": self.describe,
        }

    @reads("eventConfigurations")
    def update(self, given: Parameters) -> None:
        wanted = {
            kind: bool(one.get("Enabled"))
            for kind, one in given.get("eventConfigurations", {}).items()
        }
        foreign = [kind for kind, on in wanted.items() if on and kind not in PUBLISHED]
        if foreign:
            raise invalid(f"the local cloud publishes no events of {', '.join(foreign)}")
        with self._store.transaction():
            now, known = self._now(), self._known()
            known["created"] = known.get("created", now)
            known |= {"enabled": known["enabled"] | wanted, "modified": now}
            self._store.remember(SETTING, json.dumps(known))

    @reads()
    def describe(self, given: Parameters) -> Parameters:
        known = self._known()
        enabled = dict.fromkeys(KINDS, False) | known["enabled"]
        return {
            "eventConfigurations": {kind: {"Enabled": on} for kind, on in enabled.items()},
            "creationDate": known.get("created"),
            "lastModifiedDate": known.get("modified"),
        }

    def _known(self) -> Parameters:
        return json.loads(self._store.setting(SETTING) or '{"enabled": {}}')
