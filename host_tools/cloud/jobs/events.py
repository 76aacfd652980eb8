"""Events: what the cloud tells of jobs and executions on `$aws/events/…`, to whom it may concern.

They are published only while they are enabled, each kind by its own switch. All are off at first.
An event belongs to the transaction that causes it: where that fails, nothing is told.

Source: the developer guide's page on jobs events. Times within a job are milliseconds there.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from sqlite3 import Row
from typing import Any

from sluice.cloud.jobs import tally
from sluice.cloud.message import Message, compact
from sluice.cloud.names import arn
from sluice.cloud.store import Store

JOB, EXECUTION = "JOB", "JOB_EXECUTION"  # event types
SETTING = "event_configurations"
STATUSES = {  # operation → the status that its message names
    "completed": "COMPLETED",
    "canceled": "CANCELED",
    "deleted": "DELETED",
    "cancellation_in_progress": "CANCELLATION_IN_PROGRESS",
    "deletion_in_progress": "DELETION_IN_PROGRESS",
}
COUNTED = {  # of a job that is completed
    "numberOfCanceledThings": "CANCELED",
    "numberOfRejectedThings": "REJECTED",
    "numberOfFailedThings": "FAILED",
    "numberOfRemovedThings": "REMOVED",
    "numberOfSucceededThings": "SUCCEEDED",
}


class Events:
    """The events of jobs, over the store."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._waiting: list[Message] = []  # of the transaction that runs

    @contextmanager
    def told(self, messages: list[Message]) -> Iterator[None]:
        """Whatever happens within is added to the messages when it is left, unless it fails."""
        try:
            yield
            messages += self._waiting
        finally:
            self._waiting.clear()

    def job(self, identity: str, operation: str) -> None:
        """Something has happened to a job, which is as it is stored now."""
        if not self._enabled(JOB):
            return
        row = self._store.row("SELECT * FROM jobs WHERE id = ?", identity)
        request = json.loads(row["request"])
        body: dict[str, Any] = {"jobId": identity, "status": STATUSES[operation]}
        body["targetSelection"] = request.get("targetSelection", "SNAPSHOT")
        body["targets"] = request["targets"]
        times = {"completedAt": row["completed_at"] if operation == "completed" else None}
        times |= {"createdAt": row["created_at"], "lastUpdatedAt": row["updated_at"]}
        body |= {key: at and int(at * 1000) for key, at in times.items()}
        body |= {"description": request.get("description"), "comment": row["comment"]}
        if operation == "completed":
            found = tally.by_status(self._store, identity)
            counts = {name: found.get(status, 0) for name, status in COUNTED.items()}
            body["jobProcessDetails"] = counts
        self._tell(JOB, f"job/{identity}", operation, body)

    def execution(self, row: Row, status: str, details: dict | None = None) -> None:
        """An execution has ended so, or is deleted; `details` are new ones, if there are any."""
        if not self._enabled(EXECUTION):
            return
        if details is None and row["details"] is not None:
            details = json.loads(row["details"])
        body = {"jobId": row["job"], "thingArn": arn("thing", row["thing"]), "status": status}
        body["statusDetails"] = details
        self._tell(EXECUTION, f"jobExecution/{row['job']}", status.lower(), body)

    def _tell(self, kind: str, topic: str, operation: str, body: dict[str, Any]) -> None:
        head = {"eventType": kind, "eventId": str(uuid.uuid4()), "timestamp": int(self._now())}
        head["operation"] = operation
        body = {key: value for key, value in body.items() if value is not None}
        topic = f"$aws/events/{topic}/{operation}"
        self._waiting.append(Message(topic, compact(head | body), qos=1))

    def _enabled(self, kind: str) -> bool:
        text = self._store.setting(SETTING)
        return text is not None and json.loads(text)["enabled"].get(kind, False)
