"""The control plane's calls for one execution, or for a list of them."""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.jobs.executions import AFTER, Executions, JobError
from sluice.cloud.jobs.over_mqtt import details
from sluice.cloud.listing import Listing
from sluice.cloud.message import Message
from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal, invalid, not_found

Parameters = dict[str, Any]
Publish = Callable[[list[Message]], None]

FILTERS = {
    "thingName": "thing = ?",
    "status": "status = ?",
    "jobId": "job = ?",
    "namespaceId": "job IN (SELECT job FROM job_namespaces WHERE namespace = ?)",
}


class ExecutionCalls:
    """Service "iot": executions, seen from the owner's side."""

    def __init__(self, executions: Executions, publish: Publish) -> None:
        self._executions = executions
        self._store = executions.store
        self._publish = publish

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "DescribeJobExecution":      self.describe,
            "ListJobExecutionsForJob":   self.list_for_job,
            "ListJobExecutionsForThing": self.list_for_thing,
            "CancelJobExecution":        self.cancel,
            "DeleteJobExecution":        self.delete,
        }
        # fmt: on

    def _execution(self, given: Parameters) -> Row:
        job_row(self._executions, given)
        try:
            return self._executions.find(
                given["thingName"], given["jobId"], given.get("executionNumber")
            )
        except JobError as error:
            raise Refusal("ResourceNotFoundException", str(error)) from None

    @reads("jobId", "thingName", "executionNumber")
    def describe(self, given: Parameters) -> Parameters:
        row = self._execution(given)
        found = json.loads(row["details"]) if row["details"] else None
        shape = listed(row) | {
            "jobId": row["job"],
            "thingArn": arn("thing", row["thing"]),
            "versionNumber": row["version"],
            "forceCanceled": bool(row["forced"]),
            "approximateSecondsBeforeTimedOut": self._executions.seconds_left(row),
            "statusDetails": {"detailsMap": found} if found else {},
        }
        return {"execution": shape}

    @reads("jobId", "status")
    def list_for_job(self, given: Parameters) -> Parameters:
        job_row(self._executions, given)
        return {"executionSummaries": self._listing(given, ("jobId", "status"), of_thing)}

    @reads("thingName", "status", "jobId", "namespaceId")
    def list_for_thing(self, given: Parameters) -> Parameters:
        filters = ("thingName", "status", "jobId", "namespaceId")
        return {"executionSummaries": self._listing(given, filters, of_job, " DESC")}

    def _listing(
        self,
        given: Parameters,
        filters: tuple[str, ...],
        shape: Callable[[Row], Parameters],
        order: str = "",
    ) -> Listing:
        wanted = [key for key in filters if key in given]
        wheres = " AND ".join(FILTERS[key] for key in wanted)
        query = f"SELECT * FROM executions WHERE {wheres} ORDER BY sequence{order}"
        return Listing(self._store, shape, query, *(given[key] for key in wanted))

    @reads("jobId", "thingName", "force", "expectedVersion", "statusDetails")
    def cancel(self, given: Parameters) -> None:
        force = given.get("force", False)
        try:
            found = details(given)
        except JobError as error:
            raise invalid(str(error)) from None
        with self._executions.change(given["thingName"]) as notices:
            row = self._execution(given)
            if given.get("expectedVersion", row["version"]) != row["version"]:
                text = f"the execution's version is {row['version']}"
                raise Refusal("VersionConflictException", text)
            if row["status"] not in (AFTER if force else ("QUEUED",)):
                text = f"the execution is {row['status']}: it cannot be canceled"
                raise Refusal("InvalidStateTransitionException", text)
            self._executions.move(row, "CANCELED", found, forced=force)
        self._publish(notices)

    @reads("jobId", "thingName", "executionNumber", "force", "namespaceId")
    def delete(self, given: Parameters) -> None:
        with self._executions.change(given["thingName"]) as notices:
            row = self._execution(given)
            if row["status"] in AFTER and not given.get("force"):
                text = f"the execution is {row['status']}: cancel it, or delete it with force"
                raise Refusal("InvalidStateTransitionException", text)
            self._executions.events.execution(row, "DELETED")
            self._store.run("DELETE FROM executions WHERE sequence = ?", row["sequence"])
            self._executions.settle(row["job"])
        self._publish(notices)


def of_thing(row: Row) -> Parameters:
    """An execution among those of its job."""
    return {"thingArn": arn("thing", row["thing"]), "jobExecutionSummary": listed(row)}


def of_job(row: Row) -> Parameters:
    """An execution among those of its thing."""
    return {"jobId": row["job"], "jobExecutionSummary": listed(row)}


def listed(row: Row) -> Parameters:
    """An execution as the control plane lists it."""
    return {
        "status": row["status"],
        "queuedAt": row["queued_at"],
        "startedAt": row["started_at"],
        "lastUpdatedAt": row["updated_at"],
        "executionNumber": row["number"],
        "retryAttempt": row["number"] - 1,
    }


def job_row(executions: Executions, given: Parameters) -> Row:
    """The row of the job that a request means, or a refusal: one of another namespace is not."""
    row = executions.job(given["jobId"])
    if row is None:
        stored = executions.store.rows("SELECT id FROM jobs")
        raise not_found("job", given["jobId"], stored)
    if "namespaceId" in given:
        query = "SELECT 1 FROM job_namespaces WHERE job = ? AND namespace = ?"
        if not executions.store.row(query, row["id"], given["namespaceId"]):
            raise not_found("job", f"{row['id']} of namespace {given['namespaceId']}")
    return row
