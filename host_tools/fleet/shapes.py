"""The same as plain data for --json, with AWS's names. Times are ISO 8601, in UTC."""

from datetime import UTC, datetime
from typing import Any

from sluice.fleet.reader import COUNTS
from sluice.fleet.status import Execution, JobStatus, ThingStatus

Shape = dict[str, Any]


def of_execution(one: Execution) -> Shape:
    """A JobExecution of `iot-jobs-data`."""
    return filled(
        {
            "jobId": one.job,
            "thingName": one.thing,
            "executionNumber": one.number,
            "status": one.status,
            "statusDetails": dict(one.details),
            "queuedAt": moment(one.queued_at),
            "startedAt": moment(one.started_at),
            "lastUpdatedAt": moment(one.changed_at),
            "versionNumber": one.version,
        }
    )


def of_job(job: JobStatus) -> Shape:
    """A Job, with its document and its executions where they were read."""
    counts = {COUNTS[status]: number for status, number in job.outcomes.items()}
    shape = {
        "jobId": job.job,
        "status": job.status,
        "targets": list(job.targets),
        "targetSelection": "CONTINUOUS" if job.continuous else "SNAPSHOT",
        "description": job.description or None,
        "comment": job.comment or None,
        "createdAt": moment(job.created_at),
        "lastUpdatedAt": moment(job.changed_at),
        "completedAt": moment(job.completed_at),
        "jobProcessDetails": counts,
        "document": job.document,
    }
    if job.executions is not None:
        shape["executions"] = [of_execution(one) for one in job.executions]
    return filled(shape)


def of_thing(thing: ThingStatus) -> Shape:
    """A ThingDocument of SearchIndex, the shadow parsed, with its last job execution."""
    connectivity = {
        "connected": thing.connected,
        "timestamp": moment(thing.connected_at),
        "disconnectReason": thing.disconnect_reason or None,
    }
    return filled(
        {
            "thingName": thing.thing,
            "thingTypeName": thing.kind or None,
            "thingGroupNames": list(thing.groups),
            "attributes": dict(thing.attributes),
            "connectivity": filled(connectivity),
            "shadow": {"reported": thing.reported},
            "lastSeenAt": moment(thing.seen_at),
            "execution": of_execution(thing.job) if thing.job else None,
        }
    )


def filled(shape: Shape) -> Shape:
    """Without the members that are not known."""
    return {name: value for name, value in shape.items() if value is not None}


def moment(time: float | None) -> str | None:
    """A time since 1970, as text."""
    return datetime.fromtimestamp(time, UTC).isoformat() if time is not None else None
