"""How jobs stand, for people: `job list` and `job show`."""

import time
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from sluice.fleet.shown import age, ago, colour, going, labelled, plain_table
from sluice.fleet.status import BAD, Execution, JobsStatus, JobStatus
from sluice.terminal import plain

EXECUTIONS = 50  # rows of `job show`


def outcome(job: JobStatus) -> Text:
    """How a job went, counted."""
    ended = "CANCELED: " if job.status == "CANCELED" and job.outcomes else ""
    well = "green" if set(job.outcomes) == {"SUCCEEDED"} else ""
    style = "red" if job.went_wrong else well
    return Text(ended + plain(job.counted), style)


def targets(job: JobStatus, most: int = 2) -> str:
    """Whom a job is for: the first ones by name."""
    names = job.whom
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def jobs(found: JobsStatus) -> list[Table | str]:
    """`job list`."""
    if not found.jobs:
        return ["no jobs"]
    table = plain_table("JOB*", "AGE*", "FOR", "OUTCOME")
    for job in found.jobs:
        created = age(time.time() - job.created_at) if job.created_at else ""
        table.add_row(Text(job.job), created, Text(targets(job)), outcome(job))
    return [table, *([f"{found.more} earlier ones: --last shows more"] if found.more else ())]


def job(one: JobStatus) -> list[Table | str]:
    """`job show`."""
    rows = {
        "job": one.job,
        "outcome": outcome(one).plain,
        "for": targets(one, 8) + (", and whoever joins" if one.continuous else ""),
        "created": ago(one.created_at),
        "ended": ended(one),
        "comment": one.comment,
        "document": contents(one),
    }
    return [*labelled(rows), *executions(one.executions or ())]


def ended(one: JobStatus) -> str:
    """When a job ended, and how long it took."""
    if not one.completed_at or not one.created_at:
        return ""
    return f"{ago(one.completed_at)}, after {age(one.completed_at - one.created_at)}"


def contents(one: JobStatus) -> str:
    """What a job's document asks for."""
    document = one.document or {}
    update = document.get("afr_ota")
    files = update.get("files") if isinstance(update, dict) else None
    if isinstance(files, list):
        names = [str(file.get("filepath")) for file in files if isinstance(file, dict)]
        return f"an update: {', '.join(names)}"
    operation = document.get("operation")
    if isinstance(operation, str):
        return f"the operation {operation}"
    return f"members {', '.join(document)}" if document else ""


def executions(found: Sequence[Execution]) -> list[Table | str]:
    """A row for each try of each thing, those first that went wrong."""
    if not found:
        return []
    retried = any(one.number > 1 for one in found)
    order = (*BAD, "IN_PROGRESS", "QUEUED")
    rank = {status: place for place, status in enumerate(order)}
    rows = sorted(found, key=lambda one: rank.get(one.status, len(rank)))
    table = plain_table("THING*", *(["TRY*"] if retried else ()), "AGE*", "OUTCOME")
    for one in rows[:EXECUTIONS]:
        changed = age(time.time() - one.changed_at) if one.changed_at else ""
        tried = [str(one.number)] if retried else []
        said = Text(one.verdict + going(one), colour(one.status))
        table.add_row(Text(one.thing), *tried, changed, said)
    left = len(rows) - EXECUTIONS
    return ["", table, *([f"{left} more: --json has all"] if left > 0 else ())]
