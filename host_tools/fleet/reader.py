"""Reads how things and jobs stand, by boto3's clients of AWS or of the local cloud."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from sluice.fleet import executions
from sluice.fleet.about import job_told, of_document
from sluice.fleet.clients import Clients
from sluice.fleet.executions import LastJobs, seconds
from sluice.fleet.status import (
    BAD,
    STATUSES,
    Execution,
    FleetStatus,
    JobsStatus,
    JobStatus,
    ThingStatus,
)
from sluice.fleet.things import (
    Document,
    Indexing,
    connectivity,
    described,
    documents,
    indexing,
    parsed,
    shadows,
)

JOBS = 50  # of which the outcomes are read, unless asked for others
FEW = 50  # executions of a job that all are read with details
MANY = 250  # of more, so many of those that went wrong or go on
COUNTS = {status: f"numberOf{status.title().replace('_', '')}Things" for status in STATUSES}


class Reader:
    """Reads; what cannot change any more is remembered, so that reading again costs little.

    For one thread at a time. All methods raise what boto3 raises (`clients.plainly`).
    """

    def __init__(self, cloud: Clients, data: Any) -> None:
        """`data` is boto3's client of `iot-data`: `clients.shadows`."""
        self._iot = cloud.iot
        self._data = data
        self._index: Indexing | None = None
        self._last = LastJobs(cloud.iot)
        self._jobs: dict[tuple[str, float | None], JobStatus] = {}  # that have ended
        self.calls = 0  # so far
        for client in (cloud.iot, data):
            client.meta.events.register("before-call", self._count)

    def _count(self, **about: Any) -> None:
        self.calls += 1

    def fleet(self) -> FleetStatus:
        """All things: with fleet indexing a call for each 100 of them, and a few for jobs."""
        before = self.calls
        found, notes = self._documents()
        told = {one["thingName"]: job for one in found if (job := job_told(one))}
        last = self._last.explained(self._last.read([one["thingName"] for one in found]), told)
        return FleetStatus(
            things=tuple(of_document(one, last.get(one["thingName"])) for one in found),
            notes=tuple(notes),
            calls=self.calls - before,
            read_at=time.time(),
        )

    def things(self) -> FleetStatus:
        """The same without what the cloud knows of jobs."""
        before = self.calls
        found, notes = self._documents()
        shown = tuple(map(of_document, found))
        return FleetStatus(shown, tuple(notes), self.calls - before, time.time())

    def _documents(self) -> tuple[list[Document], list[str]]:
        if self._index is None:
            self._index = indexing(self._iot)
        found, notes = documents(self._iot, self._data, self._index)
        return sorted(found, key=lambda one: one["thingName"]), notes

    def thing(self, name: str) -> ThingStatus:
        """One thing: five calls or six, and one more for each named shadow."""
        document = described(self._iot, name)
        document["shadow"] = shadows(self._data, name)
        found = executions.of_thing(self._iot, name)
        if not found:
            return of_document(document)
        last = max(found, key=executions.urgency)
        return of_document(document, executions.asked(self._iot, last))

    def connection(self, name: str) -> ThingStatus:
        """One thing, of which only the connection is read: one call."""
        return of_document({"thingName": name} | connectivity(self._iot, name))

    def jobs(self, last: int = JOBS) -> JobsStatus:
        """The newest jobs, without documents and executions: a call for each."""
        found, _ = executions.summaries(self._iot)
        kept = {}
        for job in found[:last]:
            key = job["jobId"], seconds(job["createdAt"])
            if one := self._jobs.get(key) or self._outlined(job["jobId"]):
                kept[key] = one
        self._jobs = {key: job for key, job in kept.items() if job.ended}
        return JobsStatus(tuple(kept.values()), max(0, len(found) - last))

    def _outlined(self, name: str) -> JobStatus | None:
        try:
            job = self._iot.describe_job(jobId=name)["job"]
        except ClientError as error:
            if error.response["Error"]["Code"] != executions.GONE:  # deleted since it was listed
                raise
            return None
        details = job.get("jobProcessDetails", {})
        counts = {status: details.get(key, 0) for status, key in COUNTS.items()}
        return outlined(job, counts)

    def job(self, name: str) -> JobStatus:
        """One job, with its document and its executions: three calls, one more for each 250
        executions, and one for each whose details are worth it."""
        job = self._iot.describe_job(jobId=name)["job"]
        document = parsed(self._iot.get_job_document(jobId=name)["document"])
        found = list(executions.of_job(self._iot, name))
        found = [self._explained(one, wanted) for one, wanted in worth(found)]
        found.sort(key=lambda one: (one.thing, one.number))
        return outlined(job, counted(found), document=document, executions=tuple(found))

    def _explained(self, one: Execution, wanted: bool) -> Execution:
        return executions.asked(self._iot, one) if wanted else one


def worth(found: list[Execution]) -> Iterable[tuple[Execution, bool]]:
    """Each execution, and whether its details are worth a call."""
    left = MANY
    for one in found:
        wanted = len(found) <= FEW or (left > 0 and one.status in (*BAD, "IN_PROGRESS"))
        left -= wanted
        yield one, wanted


def counted(found: Iterable[Execution]) -> dict[str, int]:
    """{status: how many things' last try has it}."""
    counts: dict[str, int] = {}
    for one in executions.latest(found).values():
        counts[one.status] = counts.get(one.status, 0) + 1
    return counts


def outlined(job: Mapping[str, Any], counts: Mapping[str, int], **more: Any) -> JobStatus:
    """How a job stands, by boto3's Job."""
    return JobStatus(
        job=job["jobId"],
        status=job["status"],
        outcomes={status: number for status, number in counts.items() if number},
        targets=tuple(job.get("targets", ())),
        continuous=job.get("targetSelection") == "CONTINUOUS",
        comment=job.get("comment", ""),
        description=job.get("description", ""),
        created_at=seconds(job.get("createdAt")),
        changed_at=seconds(job.get("lastUpdatedAt")),
        completed_at=seconds(job.get("completedAt")),
        **more,
    )
