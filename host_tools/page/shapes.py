"""How things and jobs stand, as the page gets it: JSON of bounded size.

Texts stay as they are, clipped: the page puts them in as text. They may be anybody's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sluice.fleet.failures import newest_first
from sluice.fleet.status import (
    STATUSES,
    Execution,
    FleetStatus,
    JobStatus,
    ThingStatus,
    progress,
)
from sluice.page.history import Course
from sluice.page.sectors import Filling, step, written
from sluice.page.slots import slots

THINGS = 1_000  # on the page; those that something happens to come first
JOBS = 50
EXECUTIONS = 500  # of one job
LINES = 40  # of a log, and of other lists
TEXT = 256  # characters


def clip(value: Any) -> str:
    """A text of bounded length."""
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def texts(values: Iterable[Any]) -> list[str]:
    """The last of some texts."""
    return [clip(value) for value in list(values)[-LINES:]]


def pairs(values: Mapping[str, Any]) -> list[list[str]]:
    """Names and values, as lists because their order is meant."""
    return [[clip(name), clip(value)] for name, value in list(values.items())[:LINES]]


def shown(fleet: FleetStatus) -> list[ThingStatus]:
    """The things that the page has room for: the ones that something happens to come first."""

    def calm(thing: ThingStatus) -> tuple[bool, bool]:
        return not thing.failed, thing.job is None or thing.job.ended

    if len(fleet.things) <= THINGS:
        return list(fleet.things)
    return sorted(fleet.things, key=calm)[:THINGS]


def index(
    fleet: FleetStatus, jobs: Sequence[JobStatus], name: str, where: str = ""
) -> dict[str, Any]:
    """Which things and jobs there are, and what people should know of that.

    where   the options that say which cloud is meant, for commands to type
    """
    things = shown(fleet)
    notes = texts(fleet.notes)
    if len(things) < len(fleet.things):
        notes.append(f"{len(things):,} of {len(fleet.things):,} things are shown.")
    return {
        "name": clip(name),
        "where": where,
        "things": sorted(one.thing for one in things),
        "jobs": [one.job for one in jobs[:JOBS]],
        "notes": notes,
    }


def execution(one: Execution) -> dict[str, Any]:
    """What became of a job on a thing."""
    came = progress(one.details)
    return {
        "job": one.job,
        "thing": one.thing,
        "status": clip(one.status),
        "step": step(one),
        "reason": clip(one.reason),
        "done": came.done if came else None,
        "total": came.total if came else None,
        "changedAt": one.changed_at,
    }


def thing(one: ThingStatus) -> dict[str, Any]:
    """A thing in the list."""
    return {
        "name": one.thing,
        "groups": texts(one.groups),
        "connected": one.connected,
        "connectedAt": one.connected_at,
        "toldAt": one.last_told_at,
        "board": clip(one.board),
        "image": clip(one.image),
        "agent": clip(one.agent),
        "app": clip(one.app),
        "appState": clip(one.app_state),
        "slot": clip(one.slot),
        "trial": one.trial is True,
        "failed": one.failed,
        "job": execution(one.job) if one.job else None,
    }


def job(one: JobStatus) -> dict[str, Any]:
    """A job in the list."""
    return {
        "name": one.job,
        "status": clip(one.status),
        "outcomes": [[s, one.outcomes[s]] for s in STATUSES if one.outcomes.get(s)],
        "counted": clip(one.counted),
        "ended": one.ended,
        "wentWrong": one.went_wrong,
        "targets": texts(one.whom),
        "createdAt": one.created_at,
    }


def thing_details(one: ThingStatus, course: Course, brought: Filling | None) -> dict[str, Any]:
    """A thing that somebody looks at closely."""
    filling = one.job and filled(one, course, brought)
    return thing(one) | {
        "kind": clip(one.kind),
        "attributes": pairs(one.attributes),
        "disconnectReason": clip(one.disconnect_reason),
        "micropython": clip(one.micropython),
        "trees": clip(one.trees),
        "rssi": one.rssi,
        "reset": clip(one.reset),
        "failures": failures(one),
        "log": texts(one.log),
        "settings": pairs(one.settings),
        "heap": list(course.heap),
        "heapAt": course.heap_at,
        "speed": speeds(course, brought),
        "filling": filling,
        "slots": [clipped(asdict(slot)) for slot in slots(one, course, filling)],
    }


def failures(one: ThingStatus) -> list[list[Any]]:
    """When each was, and what failed: the newest first."""
    return [[at, clip(text)] for at, text in newest_first(one.failures[-LINES:])]


def clipped(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its texts clipped."""
    return {key: clip(one) if isinstance(one, str) else one for key, one in shape.items()}


def speeds(course: Course, brought: Filling | None) -> list[list[float]]:
    """Bytes a second over time; without a known size there is nothing to say."""
    size = brought.size if brought else None
    return [[at, round(share * size)] for at, share in course.speed] if size else []


def filled(one: ThingStatus, course: Course, brought: Filling | None) -> dict[str, Any] | None:
    """What its last job fills, and how much of that is there; None when it brings nothing."""
    if one.job is None or brought is None:
        return None
    runs = one.job.status == "SUCCEEDED" or step(one.job) == "trying"
    return {
        "kind": brought.kind,
        "size": brought.size,
        "runs": runs,
        **written(one.job, course.progress, brought),
    }


def job_details(one: JobStatus, brought: Filling | None) -> dict[str, Any]:
    """A job that somebody looks at closely."""
    rows = sorted(one.executions or (), key=lambda row: (row.status == "SUCCEEDED", row.thing))
    return job(one) | {
        "description": clip(one.description),
        "comment": clip(one.comment),
        "continuous": one.continuous,
        "changedAt": one.changed_at,
        "completedAt": one.completed_at,
        "kind": brought.kind if brought else "",
        "size": brought.size if brought else None,
        "executions": [execution(row) for row in rows[:EXECUTIONS]],
        "more": max(0, len(rows) - EXECUTIONS),
    }
