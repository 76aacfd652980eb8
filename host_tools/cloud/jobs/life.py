"""When a job may try again, and when it is over; the store is all they look at.

Source: the developer guide's pages on job configurations and on the states of jobs. A snapshot
job is COMPLETED when every target has been notified and every execution has ended; a continuous
one only after its endTime, if it has one. The number of retries starts anew when a thing comes
back to a group of a continuous job.
"""

import json
from datetime import UTC, datetime
from sqlite3 import Row
from typing import Any

from sluice.cloud.store import Store

LIVE = ("SCHEDULED", "IN_PROGRESS")  # of a job
FAILURES = {  # failureType of a criterion → the statuses it is for; no retry for REJECTED
    "FAILED": ("FAILED",),
    "TIMED_OUT": ("TIMED_OUT",),
    "REJECTED": ("REJECTED",),
    "ALL": ("FAILED", "TIMED_OUT", "REJECTED"),
}
RETRIED = ("FAILED", "TIMED_OUT")
TIME_FORMS = ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
# those since the thing was notified last: in that transaction, so at the very time; by their
# numbers, because a clock may be set back
TRIES = """
SELECT status FROM executions WHERE job = ?1 AND thing = ?2 AND number >= coalesce((
    SELECT min(number) FROM executions JOIN job_targets USING (job, thing)
    WHERE job = ?1 AND thing = ?2 AND queued_at = notified_at), 0)
"""
LEFT = """
SELECT 1 WHERE EXISTS (SELECT 1 FROM executions WHERE job = ?1
                       AND status IN ('QUEUED', 'IN_PROGRESS'))
    OR EXISTS (SELECT 1 FROM job_targets WHERE job = ?1 AND notified_at IS NULL)
"""


def retry_is_left(store: Store, row: Row, status: str) -> bool:
    """Whether the job gives the thing of an execution that ended so another one."""
    if status not in RETRIED:
        return False
    job = store.row("SELECT * FROM jobs WHERE id = ?", row["job"])
    if job["status"] != "IN_PROGRESS":
        return False
    ended = store.rows(TRIES, row["job"], row["thing"])
    criteria = json.loads(job["request"]).get("jobExecutionsRetryConfig", {})
    for rule in criteria.get("criteriaList", ()):
        kinds = [kind for kind in FAILURES[rule["failureType"]] if kind in RETRIED]
        if status in kinds:
            used = sum(one["status"] in kinds for one in ended)
            if used <= rule["numberOfRetries"]:
                return True
    return False


def is_over(store: Store, job: Row, now: float) -> bool:
    """Whether nothing is left to do for a job that is not over yet."""
    if job["status"] != "IN_PROGRESS" or store.row(LEFT, job["id"]):
        return False
    request = json.loads(job["request"])
    end_at = moment(request.get("schedulingConfig", {}), "endTime")
    return request.get("targetSelection") != "CONTINUOUS" or (end_at is not None and now >= end_at)


def moment(schedule: dict[str, Any], key: str) -> float | None:
    """A schedule's time, in seconds since 1970; None without one. ValueError if it is none."""
    text = schedule.get(key)
    if text is None:
        return None
    for form in TIME_FORMS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    raise ValueError(f"{key} {text!r} is not of the form YYYY-MM-DD HH:MM, in UTC")
