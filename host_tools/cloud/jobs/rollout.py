"""How a job reaches its targets: when it begins and ends, and when it is given up.

`due` is called again and again, and looks at the jobs that `looks` tells of. What it needs to know
is in the store, so that a restart changes nothing. How fast a job goes is the matter of `pace`.
The aborts and the schedule are those of the developer guide's page on job configurations. What
that leaves open is read so:
- an abort's percentage is of the things notified; a thing counts as failed if an execution of it
  failed and its latest has not succeeded, whether or not a retry is queued;
- endTime without endBehavior is STOP_ROLLOUT: nobody else is notified, what was begun goes on.
"""

import json
from collections.abc import Iterator
from sqlite3 import Row
from typing import Any

from sluice.cloud.apart import Apart
from sluice.cloud.jobs import tally
from sluice.cloud.jobs.executions import AFTER, Executions
from sluice.cloud.jobs.life import FAILURES, LIVE, moment
from sluice.cloud.jobs.pace import Pace
from sluice.cloud.jobs.targets import Targets
from sluice.cloud.message import Message

UNFINISHED = (
    "SELECT * FROM executions WHERE job = ? "
    "AND status IN (SELECT value FROM json_each(?)) ORDER BY sequence"
)


class Rollouts:
    """Jobs on their way, over the executions and their store."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions
        self._store = executions.store
        self._targets = Targets(executions.store)
        self._apart = Apart()

    def due(self) -> list[Message]:
        """Whatever is to be done by now, for all jobs; returns the notices."""
        notices: list[Message] = []
        query = "SELECT job FROM job_looks WHERE at <= ? ORDER BY job"
        for look in self._store.rows(query, self._executions.now()):
            with self._apart(f"job {look['job']}"):
                notices += self._look(look["job"])
        return notices

    def _look(self, identity: str) -> list[Message]:
        with self._executions.change() as notices:
            look = self._store.row("SELECT * FROM job_looks WHERE job = ?", identity)
            job = self._executions.job(identity)  # another thread may have changed it
            if job is not None and job["status"] in LIVE:
                notices += self._advance(job, bool(look and look["members"]))
            self._look_again(identity)
        return notices

    def _look_again(self, identity: str) -> None:
        """Note when a job that was just looked at needs it again if nothing of it changes."""
        job = self._executions.job(identity)
        times = self._times(job) if job is not None and job["status"] in LIVE else []
        self._store.run("DELETE FROM job_looks WHERE job = ?", identity)
        if times:
            self._store.insert("job_looks", job=identity, at=min(times), members=0)

    def _times(self, job: Row) -> list[float]:
        now, schedule = self._executions.now(), asked(job, "schedulingConfig")
        if job["status"] == "SCHEDULED":
            return [moment(schedule, "startTime") or now]
        end_at = moment(schedule, "endTime")
        times = [] if end_at is None or now >= end_at else [end_at]
        if self._targets.waiting(job["id"], 1):
            times.append(Pace(self._store, job, now).next_at())
        return times

    def _advance(self, job: Row, members: bool) -> Iterator[Message]:
        now, schedule = self._executions.now(), asked(job, "schedulingConfig")
        end_at = moment(schedule, "endTime")
        if job["status"] == "SCHEDULED" and now >= (moment(schedule, "startTime") or 0):
            self._store.run(
                "UPDATE jobs SET status = 'IN_PROGRESS', updated_at = ? WHERE id = ?",
                now,
                job["id"],
            )
            yield from self.begin(job["id"])
        elif job["status"] == "IN_PROGRESS" and end_at is not None and now >= end_at:
            yield from self._end(job, schedule.get("endBehavior", "STOP_ROLLOUT"))
        elif job["status"] == "IN_PROGRESS":
            if members:
                yield from self.follow(job)
            yield from self._notify(job)
            yield from self._abort(job)
            self._executions.settle(job["id"])

    def begin(self, identity: str) -> list[Message]:
        """Choose a job's things and notify the first of them, as its rate allows."""
        job = self._executions.job(identity)
        with self._executions.change() as notices:
            self._targets.add(job)
            notices += self._notify(job)
            self._executions.settle(identity)
        return notices

    def waiting(self, job: str) -> bool:
        """Whether there are things that have not been notified yet."""
        return bool(self._targets.waiting(job, 1))

    def _notify(self, job: Row) -> list[Message]:
        """Queue executions for as many of the waiting things as may be told now."""
        if not self.waiting(job["id"]):
            return []
        allowed = Pace(self._store, job, self._executions.now()).allowed()
        return self._queue(job["id"], self._targets.waiting(job["id"], allowed))

    def _queue(self, job: str, things: list[str]) -> list[Message]:
        with self._executions.change(*things) as notices:
            for thing in things:
                latest = self._store.row(
                    "SELECT max(number) AS number FROM executions WHERE job = ? AND thing = ?",
                    job,
                    thing,
                )
                self._executions.add(job, thing, (latest["number"] or 0) + 1)
                self._store.run(
                    "UPDATE job_targets SET notified_at = ? WHERE job = ? AND thing = ?",
                    self._executions.now(),
                    job,
                    thing,
                )
        return notices

    def follow(self, job: Row) -> Iterator[Message]:
        """Follow a continuous job's groups: newcomers are notified at once, leavers let go."""
        if json.loads(job["request"]).get("targetSelection") != "CONTINUOUS":
            return
        for thing in self._targets.gone(job):
            yield from self._let_go(job["id"], thing)
        yield from self._queue(job["id"], self._targets.add(job))

    def _let_go(self, job: str, thing: str) -> list[Message]:
        query = "SELECT * FROM executions WHERE job = ? AND thing = ? ORDER BY number"
        with self._executions.change(thing) as notices:
            for row in self._store.rows(query, job, thing):
                if row["status"] in AFTER:
                    self._executions.move(row, "REMOVED")
            self._store.run("DELETE FROM job_targets WHERE job = ? AND thing = ?", job, thing)
        return notices

    def _abort(self, job: Row) -> list[Message]:
        """Cancel a job that meets one of its criteria."""
        for rule in asked(job, "abortConfig").get("criteriaList", ()):
            kinds = FAILURES[rule["failureType"]]
            failed = tally.failed(self._store, job["id"], kinds)
            told = tally.notified(self._store, job["id"]) if failed else 0
            enough = told >= rule["minNumberOfExecutedThings"]
            if failed and enough and 100 * failed >= rule["thresholdPercentage"] * told:
                text = f"aborted: {failed} of {told} things {' or '.join(kinds)}"
                return self.cancel(job, comment=text)
        return []

    def _end(self, job: Row, behaviour: str) -> list[Message]:
        """What a schedule's end does."""
        if behaviour != "STOP_ROLLOUT":
            return self.cancel(job, force=behaviour == "FORCE_CANCEL", comment="endTime reached")
        self._store.run("DELETE FROM job_targets WHERE job = ? AND notified_at IS NULL", job["id"])
        self._executions.settle(job["id"])
        return []

    def cancel(
        self, job: Row, force: bool = False, reason: str | None = None, comment: str | None = None
    ) -> list[Message]:
        """Cancel a job: what waits and what is QUEUED; with force what is IN_PROGRESS, too.
        Within the transaction that the job was read in."""
        now, statuses = self._executions.now(), tuple(AFTER) if force else ("QUEUED",)
        rows = self._store.rows(UNFINISHED, job["id"], json.dumps(statuses))
        with self._executions.change(*(row["thing"] for row in rows)) as notices:
            self._store.run(
                "UPDATE jobs SET status = 'CANCELED', force_canceled = ?, reason = ?, "
                "comment = ?, updated_at = ?, completed_at = ? WHERE id = ?",
                *(int(force), reason, comment, now, now, job["id"]),
            )
            self._executions.events.job(job["id"], "cancellation_in_progress")
            self._store.run(
                "DELETE FROM job_targets WHERE job = ? AND notified_at IS NULL", job["id"]
            )
            for row in rows:
                self._executions.move(row, "CANCELED", forced=force)
            self._executions.events.job(job["id"], "canceled")
        return notices


def asked(job: Row, key: str) -> dict[str, Any]:
    """A member of the request that made a job, {} without it."""
    return json.loads(job["request"]).get(key) or {}
