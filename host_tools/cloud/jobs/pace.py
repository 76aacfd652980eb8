"""How many things a job may notify now, and when it may notify others.

Source: the developer guide's page on job configurations. What that leaves open is read so:
- a rate holds for every 60 seconds, wherever they begin;
- an exponential rate's minutes are counted from the first thing that was notified. At the end of
  each, the rate grows by one step if a threshold was reached for the next time by then. So it
  never grows by two steps within a minute, and an abort has a minute to act.
"""

import json
from sqlite3 import Row
from typing import Any

from sluice.cloud.store import Store

MOST_PER_MINUTE = 1000  # without a rate of its own
MINUTE_S = 60
REACHED = {  # criterion → how many reached it in each minute since ?2
    "numberOfNotifiedThings": "SELECT cast((notified_at - ?2) / 60 AS INTEGER) AS minute, "
    "count(*) AS number FROM job_targets WHERE job = ?1 AND notified_at IS NOT NULL GROUP BY 1",
    "numberOfSucceededThings": "SELECT cast((updated_at - ?2) / 60 AS INTEGER) AS minute, "
    "count(DISTINCT thing) AS number FROM executions "
    "WHERE job = ?1 AND status = 'SUCCEEDED' GROUP BY 1",
}
FIRST = "SELECT min(notified_at) AS at FROM job_targets WHERE job = ? AND notified_at > ?"
RECENT = "SELECT count(*) AS number FROM job_targets WHERE job = ? AND notified_at > ?"


class Pace:
    """The rate of one job at a moment."""

    def __init__(self, store: Store, job: Row, now: float) -> None:
        self._store = store
        self._job = job["id"]
        self._now = now
        self._config = json.loads(job["request"]).get("jobExecutionsRolloutConfig") or {}
        self._begin = store.row(FIRST, self._job, 0)["at"]  # None before the first

    def allowed(self) -> int:
        """How many things may be notified now."""
        recent = self._store.row(RECENT, self._job, self._now - MINUTE_S)["number"]
        return max(0, self._per_minute() - recent)

    def next_at(self) -> float:
        """When there may be others: one of the last minute is older, or the rate has grown."""
        first = self._store.row(FIRST, self._job, self._now - MINUTE_S)["at"]
        times = [] if first is None else [first + MINUTE_S]
        if self._begin is not None and self._config.get("exponentialRate"):
            times.append(self._begin + MINUTE_S * (self._minutes() + 1))
        return min(times, default=self._now)

    def _minutes(self) -> int:
        """How many whole minutes have passed since the first was notified."""
        return 0 if self._begin is None else int((self._now - self._begin) // MINUTE_S)

    def _per_minute(self) -> int:
        most = self._config.get("maximumPerMinute", MOST_PER_MINUTE)
        growth = self._config.get("exponentialRate")
        return int(min(most, self._grown(growth, most))) if growth else most

    def _grown(self, growth: dict[str, Any], most: int) -> float:
        """The rate after the steps of all minutes that have passed; `most` ends the reckoning."""
        rate, steps = growth["baseRatePerMinute"], 0
        criteria = growth["rateIncreaseCriteria"]
        reached = {key: self._by_minute(key) for key in criteria}
        totals = dict.fromkeys(criteria, 0)
        for minute in range(self._minutes()):
            for key in criteria:
                totals[key] += reached[key].get(minute, 0)
            if rate >= most:
                break
            if any(totals[key] >= (steps + 1) * criteria[key] for key in criteria):
                steps += 1
                rate = growth["baseRatePerMinute"] * growth["incrementFactor"] ** steps
        return rate

    def _by_minute(self, criterion: str) -> dict[int, int]:
        """{minute: how many things reached the criterion in it}."""
        rows = self._store.rows(REACHED[criterion], self._job, self._begin or 0)
        return {row["minute"]: row["number"] for row in rows}
