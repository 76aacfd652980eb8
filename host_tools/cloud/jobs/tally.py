"""How many of a job's things are where: counted by SQLite, not one by one."""

import json
from collections.abc import Sequence

from sluice.cloud.store import Store

LATEST = """
SELECT status, count(*) AS number FROM (
    SELECT thing, status, max(number) FROM executions WHERE job = ? GROUP BY thing)
GROUP BY status
"""
FAILED = """
SELECT count(*) AS number FROM (
    SELECT DISTINCT thing FROM executions
    WHERE job = ?1 AND status IN (SELECT value FROM json_each(?2))) AS failed
WHERE 'SUCCEEDED' != (
    SELECT status FROM executions WHERE job = ?1 AND thing = failed.thing
    ORDER BY number DESC LIMIT 1)
"""


def by_status(store: Store, job: str) -> dict[str, int]:
    """{status: how many things' latest execution has it}."""
    return {row["status"]: row["number"] for row in store.rows(LATEST, job)}


def notified(store: Store, job: str) -> int:
    """How many things have an execution."""
    query = "SELECT count(DISTINCT thing) AS number FROM executions WHERE job = ?"
    return store.row(query, job)["number"]


def failed(store: Store, job: str, statuses: Sequence[str]) -> int:
    """How many things had an execution that ended so, and have not succeeded since."""
    return store.row(FAILED, job, json.dumps(statuses))["number"]
