"""The control plane's calls for jobs: make, show, cancel and delete them.

Targets are things; thing groups, schedules, templates and abort criteria are refused rather than
ignored. Rollout rates are kept and shown, and every execution is queued at once.
"""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from host_tools.cloud.bucket import Bucket
from host_tools.cloud.executions import AFTER, Executions, Message
from host_tools.cloud.executions_api import job_row
from host_tools.cloud.jobs import STEP_MINUTES
from host_tools.cloud.names import arn, of_arn
from host_tools.cloud.presign import location
from host_tools.cloud.refusal import Refusal, exists, invalid, not_found

Parameters = dict[str, Any]
Publish = Callable[[list[Message]], None]

DOCUMENT_CHARACTERS = 32_768
RETRIES = 10  # of one execution
REFUSED = ("schedulingConfig", "abortConfig", "jobTemplateArn", "destinationPackageVersions")
COUNTS = {
    "QUEUED": "numberOfQueuedThings",
    "IN_PROGRESS": "numberOfInProgressThings",
    "SUCCEEDED": "numberOfSucceededThings",
    "FAILED": "numberOfFailedThings",
    "REJECTED": "numberOfRejectedThings",
    "CANCELED": "numberOfCanceledThings",
    "TIMED_OUT": "numberOfTimedOutThings",
    "REMOVED": "numberOfRemovedThings",
}


class JobCalls:
    """Service "iot": making jobs and looking after them."""

    def __init__(self, executions: Executions, bucket: Bucket, publish: Publish) -> None:
        self._executions = executions
        self._store = executions.store
        self._bucket = bucket
        self._publish = publish

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateJob":                 self.create,
            "DescribeJob":               self.describe,
            "GetJobDocument":            self.document,
            "ListJobs":                  self.list,
            "CancelJob":                 self.cancel,
            "DeleteJob":                 self.delete,
        }
        # fmt: on

    def create(self, given: Parameters) -> Parameters:
        name, now = given["jobId"], self._executions.now()
        for key in REFUSED:
            if given.get(key):
                raise invalid(f"the local cloud does not know {key}")
        check_numbers(given)
        document = self._document(given)
        things = self._targets(given["targets"])
        with self._executions.change(*things) as notices:
            if self._store.row("SELECT 1 FROM jobs WHERE id = ?", name):
                raise exists("job", name, arn("job", name))
            columns = {"status": "IN_PROGRESS", "created_at": now, "updated_at": now}
            self._store.insert(
                "jobs", id=name, document=document, request=json.dumps(given), **columns
            )
            for thing in things:
                self._executions.add(name, thing)
        self._publish(notices)
        shape = {"jobArn": arn("job", name), "jobId": name}
        return shape | {"description": given.get("description")}

    def _targets(self, arns: list[str]) -> list[str]:
        things = []
        for text in dict.fromkeys(arns):
            thing = of_arn(text, "thing")
            if thing is None:
                raise invalid(f"{text} is not a thing's ARN; thing groups are not known here")
            if not self._store.row("SELECT 1 FROM things WHERE name = ?", thing):
                raise not_found("thing", thing)
            things.append(thing)
        return things

    def _document(self, given: Parameters) -> str:
        text, source = given.get("document"), given.get("documentSource")
        if (text is None) == (source is None):
            raise invalid("a job needs document or documentSource, not both")
        if source is not None:
            text = self._read(source)
        for name, value in given.get("documentParameters", {}).items():
            text = text.replace(f"${{aws:iot:parameter:{name}}}", json.dumps(value)[1:-1])
        if len(text) > DOCUMENT_CHARACTERS:
            raise invalid(f"the job document exceeds {DOCUMENT_CHARACTERS} characters")
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            raise invalid("the job document is not JSON") from None
        if not isinstance(parsed, dict):
            raise invalid("the job document is not a JSON object")
        return text

    def _read(self, source: str) -> str:
        """The document that a URL names: read once, now."""
        where = location(source)
        found = self._bucket.find(*where) if where else None
        if found is None:
            raise invalid(f"documentSource {source} is no object of this cloud")
        try:
            return found.read(0, 4 * DOCUMENT_CHARACTERS + 1).decode()
        except UnicodeDecodeError:
            raise invalid("the job document is not UTF-8") from None

    def describe(self, given: Parameters) -> Parameters:
        row = job_row(self._executions, given["jobId"])
        request = json.loads(row["request"])
        shape = job_shape(row) | {
            key: request.get(key)
            for key in (
                "targets",
                "description",
                "presignedUrlConfig",
                "jobExecutionsRolloutConfig",
                "timeoutConfig",
                "jobExecutionsRetryConfig",
                "documentParameters",
            )
        }
        latest = {
            execution["thing"]: execution for execution in self._executions.of_job(row["id"])
        }
        counts = dict.fromkeys(COUNTS.values(), 0)
        for execution in latest.values():
            counts[COUNTS[execution["status"]]] += 1
        shape["jobProcessDetails"] = counts
        return {"job": shape, "documentSource": request.get("documentSource")}

    def document(self, given: Parameters) -> Parameters:
        return {"document": job_row(self._executions, given["jobId"])["document"]}

    def list(self, given: Parameters) -> Parameters:
        rows = self._store.rows("SELECT * FROM jobs ORDER BY created_at DESC, id")
        shapes = [job_shape(row) for row in rows]
        for key in ("status", "targetSelection"):
            if given.get(key):
                shapes = [shape for shape in shapes if shape[key] == given[key]]
        return {"jobs": shapes}

    def cancel(self, given: Parameters) -> Parameters:
        row = job_row(self._executions, given["jobId"])
        if row["status"] != "IN_PROGRESS":
            raise invalid(f"job {row['id']} is {row['status']}: it cannot be canceled")
        force, now = given.get("force", False), self._executions.now()
        chosen = AFTER if force else ("QUEUED",)
        things = [execution["thing"] for execution in self._executions.of_job(row["id"])]
        with self._executions.change(*things) as notices:
            self._store.run(
                "UPDATE jobs SET status = 'CANCELED', force_canceled = ?, reason = ?, "
                "comment = ?, updated_at = ?, completed_at = ? WHERE id = ?",
                int(force),
                given.get("reasonCode"),
                given.get("comment"),
                now,
                now,
                row["id"],
            )
            for execution in self._executions.of_job(row["id"]):
                if execution["status"] in chosen:
                    self._executions.move(execution, "CANCELED", forced=force)
        self._publish(notices)
        return {"jobArn": arn("job", row["id"]), "jobId": row["id"]}

    def delete(self, given: Parameters) -> None:
        row = job_row(self._executions, given["jobId"])
        if row["status"] == "IN_PROGRESS" and not given.get("force"):
            text = f"job {row['id']} is IN_PROGRESS: cancel it, or delete it with force"
            raise Refusal("InvalidStateTransitionException", text)
        things = [execution["thing"] for execution in self._executions.of_job(row["id"])]
        with self._executions.change(*things) as notices:
            self._store.run("DELETE FROM jobs WHERE id = ?", row["id"])
        self._publish(notices)


def check_numbers(given: Parameters) -> None:
    """The limits that the model only tells of in its texts."""
    minutes = given.get("timeoutConfig", {}).get("inProgressTimeoutInMinutes", 1)
    if minutes not in STEP_MINUTES:
        raise invalid(f"inProgressTimeoutInMinutes must be 1 to {STEP_MINUTES[-1]}")
    criteria = given.get("jobExecutionsRetryConfig", {}).get("criteriaList", ())
    if sum(rule["numberOfRetries"] for rule in criteria) > RETRIES:
        raise invalid(f"numberOfRetries must be {RETRIES} at most, of all criteria")


def job_shape(row: Row) -> Parameters:
    """A job, with the members of Job and of JobSummary."""
    request = json.loads(row["request"])
    return {
        "jobArn": arn("job", row["id"]),
        "jobId": row["id"],
        "status": row["status"],
        "targetSelection": request.get("targetSelection", "SNAPSHOT"),
        "forceCanceled": bool(row["force_canceled"]),
        "reasonCode": row["reason"],
        "comment": row["comment"],
        "createdAt": row["created_at"],
        "lastUpdatedAt": row["updated_at"],
        "completedAt": row["completed_at"],
    }
