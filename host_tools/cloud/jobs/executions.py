"""Job executions: states, versions, deadlines and order, and what a change makes AWS publish.

One rule replaces a table of cases. A thing's queue is its unfinished executions, those IN_PROGRESS
before those QUEUED, each class by the time it was queued. When a change alters which executions
are in it, `notify` tells the thing; when it alters which is first, `notify-next` does. So starting
the first is silent, overtaking it is not, and an empty queue is told once. The jobs of a namespace
are a queue of their own, of which only `notify-namespace-…` tells.

Where AWS's behaviour is not known for certain, the stricter reading is taken:
- an update of a finished execution is InvalidStateTransition with its executionState, as is
  documented (one emulator's tests expect TerminalStateReached);
- REJECTED from IN_PROGRESS is refused, as AWS's own agents assume;
- start-next on an execution IN_PROGRESS changes nothing, not even the step timer;
- SUCCEEDED and FAILED straight from QUEUED are accepted: document 002's demo does it.
"""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from sqlite3 import Row
from typing import Any

from sluice.cloud.apart import Apart
from sluice.cloud.jobs.events import Events
from sluice.cloud.jobs.life import is_over, retry_is_left
from sluice.cloud.jobs.shapes import summary
from sluice.cloud.message import Message, compact
from sluice.cloud.store import Store

LISTED = 10  # executions in a list, the developer guide's limit
# fmt: off
AFTER = {  # status → what a device may make of it
    "QUEUED":      ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"),
    "IN_PROGRESS": ("IN_PROGRESS", "SUCCEEDED", "FAILED"),
}
# fmt: on
QUEUE = (
    "SELECT executions.*, (SELECT namespace FROM job_namespaces WHERE job = executions.job) "
    "AS namespace FROM executions WHERE thing = ? AND status IN ('QUEUED', 'IN_PROGRESS') "
    "ORDER BY status != 'IN_PROGRESS', queued_at, sequence"
)
FIND = """
SELECT * FROM executions WHERE thing = ?1 AND job = ?2 AND number = coalesce(?3, number)
    AND (?4 IS NULL OR ?4 = (SELECT namespace FROM job_namespaces WHERE job = ?2))
ORDER BY number DESC LIMIT 1
"""
EXPIRED = (
    "SELECT * FROM executions WHERE status = 'IN_PROGRESS' "
    "AND (job_deadline <= ?1 OR step_deadline <= ?1)"
)


class JobError(Exception):
    """A refused request: a code of the Jobs service, a sentence, the execution if it helps."""

    def __init__(self, code: str, message: str, state: Row | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.state = state


class Executions:
    """What may happen to executions, over the store.

    now     returns seconds since 1970; within a transaction it is asked once
    expand  turns a stored document (text) into the one a device is given; called per request
    """

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        expand: Callable[[Row], str] = lambda job: job["document"],
    ) -> None:
        self.store = store
        self.now = store.clock(now)
        self.expand = expand
        self.events = Events(store, self.now)
        self._apart = Apart()

    def queue(self, thing: str, namespace: str | None = None) -> list[Row]:
        """A thing's unfinished executions; the first is the one that is "next"."""
        return within(namespace, self.store.rows(QUEUE, thing))

    def find(
        self, thing: str, job: str, number: int | None = None, namespace: str | None = None
    ) -> Row:
        """An execution of that number, else the latest; JobError if there is none."""
        found = self.store.row(FIND, thing, job, number, namespace)
        if not found:
            raise JobError("ResourceNotFound", f"no execution of job {job} for thing {thing}")
        return found

    def job(self, identity: str) -> Row | None:
        """A job's row; None if there is none of that id."""
        return self.store.row("SELECT * FROM jobs WHERE id = ?", identity)

    def of_job(self, identity: str) -> list[Row]:
        """All executions of a job, retries included, in the order they were queued."""
        return self.store.rows(
            "SELECT * FROM executions WHERE job = ? ORDER BY sequence", identity
        )

    def document(self, execution: Row) -> str:
        """The document's text as its thing is to see it."""
        return self.expand(self.job(execution["job"]))

    def seconds_left(self, execution: Row) -> int | None:
        """Whole seconds to the nearer deadline, one less at once (capture: 599 of ten minutes)."""
        limits = [execution[key] for key in ("job_deadline", "step_deadline") if execution[key]]
        if execution["status"] != "IN_PROGRESS" or not limits:
            return None
        return max(0, math.ceil(min(limits) - self.now()) - 1)

    @contextmanager
    def change(self, *things: str) -> Iterator[list[Message]]:
        """A transaction. When it is left, the list holds the notices and the events that it
        caused."""
        notices: list[Message] = []
        with self.store.transaction(), self.events.told(notices):
            before = {thing: self.store.rows(QUEUE, thing) for thing in dict.fromkeys(things)}
            yield notices
            for thing, old in before.items():
                new = self.store.rows(QUEUE, thing)
                for namespace in dict.fromkeys(row["namespace"] for row in (*old, *new)):
                    queues = within(namespace, old), within(namespace, new)
                    notices += self._notices(thing, namespace, *queues)

    def _notices(
        self, thing: str, namespace: str | None, old: list[Row], new: list[Row]
    ) -> Iterator[Message]:
        was, now = ([(row["job"], row["number"]) for row in rows] for rows in (old, new))
        prefix = f"$aws/things/{thing}/jobs"
        if set(was) != set(now):
            jobs: dict[str, list] = {}
            for row in new[:LISTED]:
                jobs.setdefault(row["status"], []).append(summary(row))
            suffix = "notify" if namespace is None else f"notify-namespace-{namespace}"
            yield Message(f"{prefix}/{suffix}", compact(self._stamped(jobs=jobs)), qos=1)
        if namespace is None and was[:1] != now[:1]:
            body = self._stamped()
            if new:
                body["execution"] = self.shown(new[0])
            yield Message(f"{prefix}/notify-next", compact(body), qos=1)

    def _stamped(self, **members: Any) -> dict[str, Any]:
        return {"timestamp": int(self.now()), **members}

    def shown(self, row: Row, document: bool = True) -> dict[str, Any]:
        """A JobExecution as MQTT carries it: no thing name, the document as an object."""
        shape: dict[str, Any] = {"jobId": row["job"], "status": row["status"]}
        if row["details"] is not None:
            shape["statusDetails"] = json.loads(row["details"])
        shape |= summary(row)
        left = self.seconds_left(row)
        if left is not None:
            shape["approximateSecondsBeforeTimedOut"] = left
        if document:
            shape["jobDocument"] = json.loads(self.document(row))
        return shape

    def add(self, job: str, thing: str, number: int = 1) -> None:
        """Queue an execution."""
        now = self.now()
        columns = {"job": job, "thing": thing, "number": number, "status": "QUEUED", "version": 1}
        self.store.insert("executions", **columns, queued_at=now, updated_at=now)

    def start_next(self, thing: str, details: dict | None, step_minutes: int | None) -> Row | None:
        """The thing's first execution, IN_PROGRESS from now on; None when the queue is empty."""
        queue = self.queue(thing)
        if not queue or queue[0]["status"] == "IN_PROGRESS":
            return queue[0] if queue else None
        return self.move(queue[0], "IN_PROGRESS", details, step_minutes)

    def update(
        self,
        row: Row,
        status: str,
        details: dict | None = None,
        step_minutes: int | None = None,
        expected: int | None = None,
    ) -> Row:
        """What a device reports; JobError if it may not. -1 minutes stop the step timer."""
        if row["status"] not in AFTER:
            text = f"job execution is {row['status']}: it cannot be changed any more"
            raise JobError("InvalidStateTransition", text, row)
        if expected is not None and expected != row["version"]:
            text = f"Expected version {expected} but found version {row['version']}"
            raise JobError("VersionMismatch", text, row)
        if status not in AFTER[row["status"]]:
            text = f"cannot transition from {row['status']} to {status}"
            raise JobError("InvalidStateTransition", text, row)
        return self.move(row, status, details, step_minutes)

    def move(
        self,
        row: Row,
        status: str,
        details: dict | None = None,
        step_minutes: int | None = None,
        forced: bool = False,
    ) -> Row:
        """Set the status, whoever says so: one version more, timers, retries and the job's end."""
        now = self.now()
        columns = {"status": status, "version": row["version"] + 1, "updated_at": now}
        columns["forced"] = int(forced)
        if details is not None:
            columns["details"] = json.dumps(details)
        if status == "IN_PROGRESS":
            columns |= self._timers(row, now, step_minutes)
        else:
            columns |= {"job_deadline": None, "step_deadline": None}
        names = ", ".join(f"{name} = ?" for name in columns)
        values = (*columns.values(), row["sequence"])
        self.store.run(f"UPDATE executions SET {names} WHERE sequence = ?", *values)
        if status not in AFTER:
            self.events.execution(row, status, details)
            if retry_is_left(self.store, row, status):
                self.add(row["job"], row["thing"], row["number"] + 1)
            self.settle(row["job"])
        return self.store.row("SELECT * FROM executions WHERE sequence = ?", row["sequence"])

    def settle(self, job: str) -> None:
        """Complete a job of which nothing is left to do."""
        now = self.now()
        if is_over(self.store, self.job(job), now):
            self.store.run(
                "UPDATE jobs SET status = 'COMPLETED', updated_at = ?, completed_at = ? "
                "WHERE id = ?",
                *(now, now, job),
            )
            self.events.job(job, "completed")

    def _timers(self, row: Row, now: float, step_minutes: int | None) -> dict[str, float | None]:
        timers: dict[str, float | None] = {}
        if row["status"] == "QUEUED":
            timers["started_at"] = now
            request = json.loads(self.job(row["job"])["request"])
            minutes = request.get("timeoutConfig", {}).get("inProgressTimeoutInMinutes")
            timers["job_deadline"] = now + 60 * minutes if minutes else None
        if step_minutes is not None:
            timers["step_deadline"] = now + 60 * step_minutes if step_minutes > 0 else None
        return timers

    def expire(self) -> list[Message]:
        """Time out what has passed a deadline; returns the notices."""
        notices: list[Message] = []
        due = self.store.rows(EXPIRED, self.now())
        for thing in dict.fromkeys(row["thing"] for row in due):
            with self._apart(f"deadlines of {thing}"):
                notices += self._expire(thing)
        return notices

    def _expire(self, thing: str) -> list[Message]:
        with self.change(thing) as notices:
            for row in self.store.rows(f"{EXPIRED} AND thing = ?2", self.now(), thing):
                self.move(row, "TIMED_OUT")
        return notices


def within(namespace: str | None, rows: list[Row]) -> list[Row]:
    """The executions of a queue whose jobs have that namespace, or none."""
    return [row for row in rows if row["namespace"] == namespace]
