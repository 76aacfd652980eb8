"""The things that a job is for: those it names, and those of its groups and the groups below.

They are found in one statement, so that 10,000 members cost no loop. Each thing is there once, at
the place of the first target that it belongs to.
"""

import json
from sqlite3 import Row
from typing import Any

from sluice.cloud.names import of_arn
from sluice.cloud.store import Store

# ?1 the job, ?2 and ?3 lists of the groups and of the things, with null where it is the other kind
WANTED = """
WITH RECURSIVE below (name, place) AS (
    SELECT value, key FROM json_each(?2) WHERE value IS NOT NULL
    UNION SELECT thing_groups.name, place FROM thing_groups JOIN below ON parent = below.name),
wanted (thing, place) AS (
    SELECT name, key FROM json_each(?3) JOIN things ON name = value
    UNION ALL SELECT thing, place FROM below JOIN group_things ON thing_group = name)
"""
ADD = f"""{WANTED}
INSERT OR IGNORE INTO job_targets (job, thing)
    SELECT ?1, thing FROM wanted GROUP BY thing ORDER BY min(place), thing
"""
GONE = f"""{WANTED}
SELECT thing FROM job_targets WHERE job = ?1 AND thing NOT IN (SELECT thing FROM wanted)
"""
LAST = "SELECT coalesce(max(sequence), 0) AS number FROM job_targets"


class Targets:
    """The targets of jobs, over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, job: Row) -> list[str]:
        """Note the things that a job is for at this moment; returns those that are new."""
        last = self._store.row(LAST)["number"]
        self._store.run(ADD, *named(job))
        query = "SELECT thing FROM job_targets WHERE job = ? AND sequence > ? ORDER BY sequence"
        return [row["thing"] for row in self._store.rows(query, job["id"], last)]

    def gone(self, job: Row) -> list[str]:
        """The things that a job was for and is no longer."""
        return [row["thing"] for row in self._store.rows(GONE, *named(job))]

    def waiting(self, job: str, most: int) -> list[str]:
        """The first of the things that have not been notified yet."""
        query = "SELECT thing FROM job_targets WHERE job = ? AND notified_at IS NULL "
        rows = self._store.rows(f"{query} ORDER BY sequence LIMIT ?", job, most)
        return [row["thing"] for row in rows]


def named(job: Row) -> tuple[str, str, str]:
    """(job, its groups, its things) as WANTED takes them."""
    arns: list[Any] = json.loads(job["request"])["targets"]
    groups, things = ([of_arn(text, kind) for text in arns] for kind in ("thinggroup", "thing"))
    return job["id"], json.dumps(groups), json.dumps(things)
