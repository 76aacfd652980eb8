"""How a job reaches its targets: when it begins and ends, how fast, and when it is given up.

`due` is called again and again; what it needs to know is in the store, so that a restart changes
nothing. Rates, the aborts and the schedule are those of the developer guide's page on job
configurations. What that leaves open is read so:
- a rate holds for every 60 seconds, wherever they begin, not for the minutes of a clock;
- an exponential rate grows once for each time that either of its thresholds is reached again;
- an abort's percentage is of the things notified; a thing counts as failed if an execution of it
  failed and its latest has not succeeded, whether or not a retry is queued;
- endTime without endBehavior is STOP_ROLLOUT: nobody else is notified, what was begun goes on.
"""

import json
from collections.abc import Iterator
from sqlite3 import Row
from typing import Any

from host_tools.cloud.apart import Apart
from host_tools.cloud.jobs.executions import AFTER, Executions, Message
from host_tools.cloud.jobs.life import FAILURES, moment, settle
from host_tools.cloud.names import of_arn
from host_tools.cloud.things.groups import Groups

MOST_PER_MINUTE = 1000  # without a rate of its own
STEPS = 60  # of an exponential rate; it is at its limit long before
# jobs that may need something now: those with a schedule, a criterion, groups, or things waiting
OPEN = """
SELECT * FROM jobs WHERE status = 'SCHEDULED' OR status = 'IN_PROGRESS' AND (
    json_extract(request, '$.schedulingConfig') IS NOT NULL
    OR json_extract(request, '$.abortConfig') IS NOT NULL
    OR json_extract(request, '$.targetSelection') = 'CONTINUOUS'
    OR EXISTS (SELECT 1 FROM job_targets WHERE job = jobs.id AND notified_at IS NULL)
    OR NOT EXISTS (SELECT 1 FROM executions WHERE job = jobs.id
                   AND executions.status IN ('QUEUED', 'IN_PROGRESS')))
"""


class Rollouts:
    """Jobs on their way, over the executions and their store."""

    def __init__(self, executions: Executions) -> None:
        self._executions = executions
        self._store = executions.store
        self._groups = Groups(executions.store)
        self._apart = Apart()

    def due(self) -> list[Message]:
        """Whatever is to be done by now, for all jobs; returns the notices."""
        notices: list[Message] = []
        for job in self._store.rows(OPEN):
            with self._apart(f"job {job['id']}"):
                notices += self._due(job["id"])
        return notices

    def _due(self, identity: str) -> list[Message]:
        with self._store.transaction():
            job = self._executions.job(identity)  # another thread may have changed it
            return [] if job is None else list(self._advance(job))

    def _advance(self, job: Row) -> Iterator[Message]:
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
            yield from self._members(job)
            yield from self._notify(job)
            yield from self._abort(job)
            settle(self._store, job["id"], now)

    def begin(self, identity: str) -> list[Message]:
        """Choose a job's things and notify the first of them, as its rate allows."""
        job = self._executions.job(identity)
        for thing in self.targets(job):
            self._store.insert("job_targets", job=identity, thing=thing)
        notices = self._notify(job)
        settle(self._store, identity, self._executions.now())
        return notices

    def targets(self, job: Row) -> list[str]:
        """The names of the things that a job is for at this moment, each once."""
        names: dict[str, None] = {}
        for text in json.loads(job["request"])["targets"]:
            thing, group = of_arn(text, "thing"), of_arn(text, "thinggroup")
            members = [thing] if thing else self._groups.things(group, recursive=True)
            names |= dict.fromkeys(members)
        return [name for name in names if self._known(name)]

    def _known(self, thing: str) -> bool:
        return self._store.row("SELECT 1 FROM things WHERE name = ?", thing) is not None

    def waiting(self, job: str) -> list[str]:
        """The things that have not been notified yet, in their order."""
        query = "SELECT thing FROM job_targets WHERE job = ? AND notified_at IS NULL "
        return [row["thing"] for row in self._store.rows(f"{query} ORDER BY sequence", job)]

    def _notify(self, job: Row) -> list[Message]:
        """Queue executions for as many of the waiting things as may be told now."""
        waiting = self.waiting(job["id"])
        if not waiting:
            return []
        recent = self._store.row(
            "SELECT count(*) AS number FROM job_targets WHERE job = ? AND notified_at > ?",
            job["id"],
            self._executions.now() - 60,
        )
        chosen = waiting[: max(0, self._per_minute(job) - recent["number"])]
        return self._queue(job["id"], chosen)

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

    def _per_minute(self, job: Row) -> int:
        config = asked(job, "jobExecutionsRolloutConfig")
        most, growth = (
            config.get("maximumPerMinute", MOST_PER_MINUTE),
            config.get("exponentialRate"),
        )
        if not growth:
            return most
        latest = latest_statuses(self._store.rows(STATUSES, job["id"]))
        reached = {
            "numberOfNotifiedThings": len(latest),
            "numberOfSucceededThings": sum(seen[-1] == "SUCCEEDED" for seen in latest.values()),
        }
        criteria = growth["rateIncreaseCriteria"]
        steps = max((reached[key] // criteria[key] for key in criteria), default=0)
        rate = growth["baseRatePerMinute"] * growth["incrementFactor"] ** min(steps, STEPS)
        return int(min(most, rate))

    def _members(self, job: Row) -> Iterator[Message]:
        """Follow a continuous job's groups: newcomers are notified at once, leavers let go."""
        if json.loads(job["request"]).get("targetSelection") != "CONTINUOUS":
            return
        rows = self._store.rows("SELECT thing FROM job_targets WHERE job = ?", job["id"])
        had, wanted = [row["thing"] for row in rows], self.targets(job)
        for thing in set(had) - set(wanted):
            yield from self._let_go(job["id"], thing)
        newcomers = [thing for thing in wanted if thing not in had]
        for thing in newcomers:
            self._store.insert("job_targets", job=job["id"], thing=thing)
        yield from self._queue(job["id"], newcomers)

    def _let_go(self, job: str, thing: str) -> list[Message]:
        with self._executions.change(thing) as notices:
            for row in self._executions.of_job(job):
                if row["thing"] == thing and row["status"] in AFTER:
                    self._executions.move(row, "REMOVED")
            self._store.run("DELETE FROM job_targets WHERE job = ? AND thing = ?", job, thing)
        return notices

    def _abort(self, job: Row) -> list[Message]:
        """Cancel a job that meets one of its criteria."""
        criteria = asked(job, "abortConfig").get("criteriaList", ())
        latest = latest_statuses(self._store.rows(STATUSES, job["id"])) if criteria else {}
        for rule in criteria:
            kinds = FAILURES[rule["failureType"]]
            failed = sum(
                seen[-1] != "SUCCEEDED" and any(status in kinds for status in seen)
                for seen in latest.values()
            )
            share = 100 * failed / len(latest) if latest else 0
            enough = len(latest) >= rule["minNumberOfExecutedThings"]
            if enough and failed and share >= rule["thresholdPercentage"]:
                text = f"aborted: {failed} of {len(latest)} things {' or '.join(kinds)}"
                return self.cancel(job, comment=text)
        return []

    def _end(self, job: Row, behaviour: str) -> list[Message]:
        """What a schedule's end does."""
        if behaviour != "STOP_ROLLOUT":
            return self.cancel(job, force=behaviour == "FORCE_CANCEL", comment="endTime reached")
        self._store.run("DELETE FROM job_targets WHERE job = ? AND notified_at IS NULL", job["id"])
        settle(self._store, job["id"], self._executions.now())
        return []

    def cancel(
        self, job: Row, force: bool = False, reason: str | None = None, comment: str | None = None
    ) -> list[Message]:
        """Cancel a job: what waits and what is QUEUED; with force what is IN_PROGRESS, too.
        Within the transaction that the job was read in."""
        now, rows = self._executions.now(), self._executions.of_job(job["id"])
        with self._executions.change(*(row["thing"] for row in rows)) as notices:
            self._store.run(
                "UPDATE jobs SET status = 'CANCELED', force_canceled = ?, reason = ?, "
                "comment = ?, updated_at = ?, completed_at = ? WHERE id = ?",
                *(int(force), reason, comment, now, now, job["id"]),
            )
            self._store.run(
                "DELETE FROM job_targets WHERE job = ? AND notified_at IS NULL", job["id"]
            )
            for row in rows:
                if row["status"] in (AFTER if force else ("QUEUED",)):
                    self._executions.move(row, "CANCELED", forced=force)
        return notices


STATUSES = "SELECT thing, status FROM executions WHERE job = ? ORDER BY sequence"


def asked(job: Row, key: str) -> dict[str, Any]:
    """A member of the request that made a job, {} without it."""
    return json.loads(job["request"]).get(key) or {}


def latest_statuses(rows: list[Row]) -> dict[str, list[str]]:
    """{thing: the statuses of its executions, the latest last}."""
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["thing"], []).append(row["status"])
    return found
