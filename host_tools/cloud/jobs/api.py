"""The control plane's calls for jobs: make, show, cancel and delete them.

Targets are things and groups of them; how a job reaches them is the matter of `rollout`.
"""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from host_tools.cloud.jobs import tally
from host_tools.cloud.jobs.executions import Executions, Message, compact
from host_tools.cloud.jobs.executions_api import job_row
from host_tools.cloud.jobs.life import LIVE
from host_tools.cloud.jobs.limits import check
from host_tools.cloud.jobs.rollout import Rollouts
from host_tools.cloud.names import arn, of_arn
from host_tools.cloud.refusal import Refusal, exists, invalid, not_found
from host_tools.cloud.s3.bucket import Bucket
from host_tools.cloud.s3.presigned import location

Parameters = dict[str, Any]
Notices = list[Message]
Publish = Callable[[Notices], None]

DOCUMENT_CHARACTERS = 32_768
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
SHOWN = (  # members of the request that DescribeJob repeats
    "targets",
    "description",
    "presignedUrlConfig",
    "jobExecutionsRolloutConfig",
    "abortConfig",
    "timeoutConfig",
    "jobExecutionsRetryConfig",
    "schedulingConfig",
    "documentParameters",
)
CHANGED = (  # members that UpdateJob may bring
    "description",
    "presignedUrlConfig",
    "jobExecutionsRolloutConfig",
    "abortConfig",
    "timeoutConfig",
    "jobExecutionsRetryConfig",
)


class JobCalls:
    """Service "iot": making jobs and looking after them."""

    def __init__(self, executions: Executions, bucket: Bucket, publish: Publish) -> None:
        self._executions = executions
        self._store = executions.store
        self._bucket = bucket
        self.publish = publish
        self._rollouts = Rollouts(executions)

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateJob":                 self.create,
            "DescribeJob":               self.describe,
            "GetJobDocument":            self.document,
            "ListJobs":                  self.list,
            "UpdateJob":                 self.update,
            "CancelJob":                 self.cancel,
            "DeleteJob":                 self.delete,
        }
        # fmt: on

    def create(self, given: Parameters) -> Parameters:
        shape, notices = self.make(given)
        self.publish(notices)
        return shape

    def make(self, given: Parameters) -> tuple[Parameters, Notices]:
        """CreateJob without the notices, which are to be published outside any transaction:
        who publishes waits for requests that are being served, and these for the store."""
        name, document = given["jobId"], self._document(given)
        later = given.get("schedulingConfig", {}).get("startTime")
        with self._store.transaction():
            now = self._executions.now()
            check(given, now)
            self._known(given["targets"])
            if self._store.row("SELECT 1 FROM jobs WHERE id = ?", name):
                raise exists("job", name, arn("job", name))
            status = "SCHEDULED" if later else "IN_PROGRESS"
            columns = {"status": status, "created_at": now, "updated_at": now}
            self._store.insert(
                "jobs", id=name, document=document, request=json.dumps(given), **columns
            )
            notices = [] if later else self._rollouts.begin(name)
        shape = {"jobArn": arn("job", name), "jobId": name}
        return shape | {"description": given.get("description")}, notices

    def _known(self, arns: list[str]) -> None:
        """Refuse targets that are no things or groups of this cloud."""
        for text in arns:
            thing, group = of_arn(text, "thing"), of_arn(text, "thinggroup")
            if thing is None and group is None:
                raise invalid(f"{text} is not the ARN of a thing or a thing group")
            if thing and not self._store.row("SELECT 1 FROM things WHERE name = ?", thing):
                raise not_found("thing", thing)
            query = "SELECT 1 FROM thing_groups WHERE name = ?"
            if group and not self._store.row(query, group):
                raise not_found("thing group", group)

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
            compact(parsed)  # as devices get it: neither half a character nor 1e400 can be written
        except (ValueError, RecursionError):
            raise invalid("the job document is not JSON in UTF-8 with finite numbers") from None
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
        shape = job_shape(row) | {key: request.get(key) for key in SHOWN}
        found = tally.by_status(self._store, row["id"])
        counts: Parameters = {name: found.get(status, 0) for status, name in COUNTS.items()}
        waiting = row["status"] == "SCHEDULED" or self._rollouts.waiting(row["id"])
        counts["processingTargets"] = request["targets"] if waiting else None
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

    def update(self, given: Parameters) -> None:
        changes = {key: given[key] for key in CHANGED if key in given}
        with self._store.transaction():
            row = job_row(self._executions, given["jobId"])
            if row["status"] not in LIVE:
                raise invalid(f"job {row['id']} is {row['status']}: it cannot be changed")
            check(changes, self._executions.now())
            self._store.run(
                "UPDATE jobs SET request = ?, updated_at = ? WHERE id = ?",
                json.dumps(json.loads(row["request"]) | changes),
                self._executions.now(),
                row["id"],
            )

    def cancel(self, given: Parameters) -> Parameters:
        with self._store.transaction():
            row = job_row(self._executions, given["jobId"])
            if row["status"] not in LIVE:
                raise invalid(f"job {row['id']} is {row['status']}: it cannot be canceled")
            notices = self._rollouts.cancel(
                row, given.get("force", False), given.get("reasonCode"), given.get("comment")
            )
        self.publish(notices)
        return {"jobArn": arn("job", row["id"]), "jobId": row["id"]}

    def delete(self, given: Parameters) -> None:
        self.publish(self.remove(given))

    def remove(self, given: Parameters) -> Notices:
        """DeleteJob without the notices; see `make`."""
        with self._store.transaction():
            row = job_row(self._executions, given["jobId"])
            if row["status"] in LIVE and not given.get("force"):
                text = f"job {row['id']} is {row['status']}: cancel it, or delete it with force"
                raise Refusal("InvalidStateTransitionException", text)
            things = [execution["thing"] for execution in self._executions.of_job(row["id"])]
            with self._executions.change(*things) as notices:
                self._store.run("DELETE FROM jobs WHERE id = ?", row["id"])
        return notices


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
