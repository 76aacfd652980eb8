"""Job executions, read by boto3's client of `iot`. All functions raise what boto3 raises."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from sluice.fleet.status import BAD, JOB_ENDS, Execution

Shape = Mapping[str, Any]

JOBS = 50  # that are looked through for the last one of each thing
PAGES = 20  # of 250 jobs each
REASONS = 100  # executions whose details are asked for at a time, once they have ended
WORKING = 20  # likewise, while they go on
GONE = "ResourceNotFoundException"


def seconds(time: datetime | None) -> float | None:
    """A time of boto3's, since 1970."""
    return time.timestamp() if time else None


def summarised(job: str, thing: str, found: Shape) -> Execution:
    """An execution of a JobExecutionSummary."""
    return Execution(
        job=job,
        thing=thing,
        number=found["executionNumber"],
        status=found["status"],
        queued_at=seconds(found.get("queuedAt")),
        started_at=seconds(found.get("startedAt")),
        changed_at=seconds(found.get("lastUpdatedAt")),
    )


def of_job(iot: Any, job: str) -> Iterator[Execution]:
    """All executions of a job, without details: a call for each 250."""
    pages = iot.get_paginator("list_job_executions_for_job").paginate(jobId=job)
    for page in pages:
        for row in page["executionSummaries"]:
            thing = row["thingArn"].partition(":thing/")[2]
            yield summarised(job, thing, row["jobExecutionSummary"])


def of_thing(iot: Any, thing: str) -> list[Execution]:
    """The executions of a thing, without details: one call, for 250 at most."""
    found = iot.list_job_executions_for_thing(thingName=thing, maxResults=250)
    return [
        summarised(row["jobId"], thing, row["jobExecutionSummary"])
        for row in found["executionSummaries"]
    ]


def detailed(iot: Any, one: Execution) -> Execution:
    """The same execution as it stands now, with its details: one call."""
    found = iot.describe_job_execution(
        jobId=one.job, thingName=one.thing, executionNumber=one.number
    )["execution"]
    return replace(
        summarised(one.job, one.thing, found),
        details=found.get("statusDetails", {}).get("detailsMap", {}),
        version=found["versionNumber"],
    )


def asked(iot: Any, one: Execution) -> Execution:
    """The same with its details; as it is, if it has been deleted meanwhile."""
    try:
        return detailed(iot, one)
    except ClientError as error:
        if error.response["Error"]["Code"] != GONE:
            raise
        return one


def latest(executions: Iterable[Execution]) -> dict[str, Execution]:
    """{thing: its last try} of one job's executions."""
    found: dict[str, Execution] = {}
    for one in executions:
        if one.thing not in found or found[one.thing].number < one.number:
            found[one.thing] = one
    return found


def urgency(one: Execution) -> tuple[bool, float, int]:
    """What makes an execution a thing's last one: it goes on, or it changed last."""
    return one.status == "IN_PROGRESS", one.changed_at or 0, one.number


def summaries(iot: Any) -> tuple[list[dict[str, Any]], bool]:
    """(summaries of all jobs, the newest first, whether there are more): a call for each 250."""
    found: list[dict[str, Any]] = []
    pages = iot.get_paginator("list_jobs").paginate(maxResults=250)
    for number, page in enumerate(pages, 1):
        found += page["jobs"]
        if number == PAGES:
            break
    found.sort(key=lambda job: job["createdAt"], reverse=True)
    return found, number == PAGES and "nextToken" in page


class LastJobs:
    """Each thing's last execution, of the newest jobs; what has ended is read once."""

    def __init__(self, iot: Any) -> None:
        self._iot = iot
        self._jobs: dict[tuple[str, datetime], dict[str, Execution]] = {}  # that have ended
        self._ends: dict[tuple[str, str, int, float | None], Execution] = {}  # with details

    def read(self, things: Iterable[str]) -> dict[str, Execution]:
        """{thing: its last execution}: a call for each 250 jobs, and for each job that is read."""
        found: dict[str, Execution] = {}
        jobs, _ = summaries(self._iot)
        going = [job for job in jobs if job["status"] not in JOB_ENDS]
        over = [job for job in jobs if job["status"] in JOB_ENDS]
        wanted, kept = set(things), {}
        for job in (going + over)[:JOBS]:
            if job["status"] in JOB_ENDS and wanted <= found.keys():
                break
            key = job["jobId"], job["createdAt"]
            executions = self._executions(job)
            if job["status"] in JOB_ENDS and all(one.ended for one in executions.values()):
                kept[key] = executions
            for thing, one in executions.items():
                if thing not in found or urgency(found[thing]) < urgency(one):
                    found[thing] = one
        self._jobs = kept
        return found

    def _executions(self, job: Shape) -> dict[str, Execution]:
        known = self._jobs.get((job["jobId"], job["createdAt"]))
        if known is not None:
            return known
        try:
            return latest(of_job(self._iot, job["jobId"]))
        except ClientError as error:
            if error.response["Error"]["Code"] != GONE:  # deleted since it was listed
                raise
            return {}

    def explained(
        self, found: Mapping[str, Execution], told: Mapping[str, Execution]
    ) -> dict[str, Execution]:
        """The same with the reasons: those that boards `told` themselves cost no call."""
        result, ends, working = dict(found), {}, 0
        for thing, one in found.items():
            if one.status != "IN_PROGRESS" and agree(one, told.get(thing)):
                result[thing] = replace(one, details=told[thing].details)
            elif one.status in BAD:
                key = one.job, thing, one.number, one.changed_at
                if key in self._ends or len(ends.keys() - self._ends.keys()) < REASONS:
                    ends[key] = self._ends.get(key) or asked(self._iot, one)
                    result[thing] = ends[key]
            elif one.status == "IN_PROGRESS" and working < WORKING:
                working += 1
                result[thing] = asked(self._iot, one)
        self._ends = ends
        return result


def agree(one: Execution, told: Execution | None) -> bool:
    """Whether a board told of the same verdict, and why."""
    return bool(
        told and (told.job, told.status) == (one.job, one.status) and told.details.get("reason")
    )
