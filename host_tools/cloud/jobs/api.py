"""The control plane's calls for jobs: make, show, cancel and delete them.

Targets are things and groups of them; how a job reaches them is the matter of `rollout`.
"""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.jobs import tally
from sluice.cloud.jobs.documents import document
from sluice.cloud.jobs.executions import AFTER, Executions
from sluice.cloud.jobs.executions_api import job_row
from sluice.cloud.jobs.life import LIVE
from sluice.cloud.jobs.limits import CONFIGURATION, check
from sluice.cloud.jobs.rollout import Rollouts
from sluice.cloud.jobs.templates_api import TemplateCalls, before_substitution
from sluice.cloud.listing import Listing
from sluice.cloud.message import Message
from sluice.cloud.names import arn, of_arn
from sluice.cloud.refusal import Refusal, exists, invalid, not_found
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.tags import Tags

Parameters = dict[str, Any]
Notices = list[Message]
Publish = Callable[[Notices], None]

TARGETS = 100  # of one job
APART = ("document", "tags")  # members of a request that are kept in places of their own
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
    *("targets", "description", *CONFIGURATION, "schedulingConfig"),
    *("documentParameters", "jobTemplateArn", "namespaceId"),
)
CHANGED = ("description", *CONFIGURATION)  # members that UpdateJob may bring

OF_GROUP = (
    "EXISTS (SELECT 1 FROM json_each(jobs.request, '$.targets') "
    "WHERE value GLOB '*:thinggroup/' || {})"
)
FILTERS = {
    "status": "status = ?",
    "targetSelection": "coalesce(json_extract(request, '$.targetSelection'), 'SNAPSHOT') = ?",
    "thingGroupName": OF_GROUP.format("?"),
    "thingGroupId": OF_GROUP.format("(SELECT name FROM thing_groups WHERE id = ?)"),
    "namespaceId": "id IN (SELECT job FROM job_namespaces WHERE namespace = ?)",
}


class JobCalls:
    """Service "iot": making jobs and looking after them."""

    def __init__(self, executions: Executions, bucket: Bucket, publish: Publish) -> None:
        self._executions = executions
        self._store = executions.store
        self._bucket = bucket
        self.publish = publish
        self._rollouts = Rollouts(executions)
        self._templates = TemplateCalls(executions, bucket)
        self._tags = Tags(executions.store)

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateJob":                 self.create,
            "DescribeJob":               self.describe,
            "GetJobDocument":            self.document,
            "ListJobs":                  self.list,
            "UpdateJob":                 self.update,
            "AssociateTargetsWithJob":   self.associate,
            "CancelJob":                 self.cancel,
            "DeleteJob":                 self.delete,
        }
        # fmt: on

    @reads("jobId", *SHOWN, "documentSource", "document", "targetSelection", "tags")
    def create(self, given: Parameters) -> Parameters:
        shape, notices = self.make(given)
        self.publish(notices)
        return shape

    def make(self, given: Parameters) -> tuple[Parameters, Notices]:
        """CreateJob without the notices, which are to be published outside any transaction:
        who publishes waits for requests that are being served, and these for the store."""
        name, given = given["jobId"], self._templates.filled(given)
        text = document(self._bucket, given)
        later = given.get("schedulingConfig", {}).get("startTime")
        with self._store.transaction():
            now = self._executions.now()
            check(given, now)
            self._known(given["targets"])
            if self._store.row("SELECT 1 FROM jobs WHERE id = ?", name):
                raise exists("job", name, arn("job", name))
            status = "SCHEDULED" if later else "IN_PROGRESS"
            columns = {"status": status, "created_at": now, "updated_at": now}
            request = {key: value for key, value in given.items() if key not in APART}
            self._store.insert(
                "jobs", id=name, document=text, request=json.dumps(request), **columns
            )
            if "namespaceId" in given:
                self._store.insert("job_namespaces", job=name, namespace=given["namespaceId"])
            self._tags.put(arn("job", name), given.get("tags", ()))
            notices = [] if later else self._rollouts.begin(name)
        return identified(name, given), notices

    def _known(self, arns: list[str]) -> None:
        """Refuse targets that are no things or groups of this cloud."""
        for text in arns:
            thing, group = of_arn(text, "thing"), of_arn(text, "thinggroup")
            if thing is None and group is None:
                raise invalid(f"{text} is not the ARN of a thing or a thing group")
            if thing and not self._store.row("SELECT 1 FROM things WHERE name = ?", thing):
                raise not_found("thing", thing, self._store.rows("SELECT name FROM things"))
            query = "SELECT 1 FROM thing_groups WHERE name = ?"
            if group and not self._store.row(query, group):
                raise not_found("thing group", group)

    @reads("jobId")
    def describe(self, given: Parameters) -> Parameters:
        row = job_row(self._executions, given)
        request = json.loads(row["request"])
        shape = job_shape(row) | {key: request.get(key) for key in SHOWN}
        found = tally.by_status(self._store, row["id"])
        counts: Parameters = {name: found.get(status, 0) for status, name in COUNTS.items()}
        waiting = row["status"] == "SCHEDULED" or self._rollouts.waiting(row["id"])
        counts["processingTargets"] = request["targets"] if waiting else None
        shape["jobProcessDetails"] = counts
        return {"job": shape, "documentSource": request.get("documentSource")}

    @reads("jobId", "beforeSubstitution")
    def document(self, given: Parameters) -> Parameters:
        row = job_row(self._executions, given)
        if given.get("beforeSubstitution"):
            return {"document": before_substitution(row)}
        return {"document": row["document"]}

    @reads("status", "targetSelection", "thingGroupName", "thingGroupId", "namespaceId")
    def list(self, given: Parameters) -> Parameters:
        wanted = [key for key in FILTERS if key in given]
        wheres = "".join(f" AND {FILTERS[key]}" for key in wanted)
        query = f"SELECT * FROM jobs WHERE 1{wheres} ORDER BY created_at DESC, id"
        for key, column in (("thingGroupName", "name"), ("thingGroupId", "id")):
            found = f"SELECT 1 FROM thing_groups WHERE {column} = ?"
            if key in given and not self._store.row(found, given[key]):
                raise not_found("thing group", given[key])
        values = [given[key] for key in wanted]
        return {"jobs": Listing(self._store, job_shape, query, *values)}

    @reads("jobId", *CHANGED, "namespaceId")
    def update(self, given: Parameters) -> None:
        changes = {key: given[key] for key in CHANGED if key in given}
        with self._store.transaction():
            row = job_row(self._executions, given)
            if row["status"] not in LIVE:
                raise invalid(f"job {row['id']} is {row['status']}: it cannot be changed")
            check(changes, self._executions.now())
            self._store.run(
                "UPDATE jobs SET request = ?, updated_at = ? WHERE id = ?",
                json.dumps(json.loads(row["request"]) | changes),
                self._executions.now(),
                row["id"],
            )

    @reads("jobId", "reasonCode", "comment", "force")
    def cancel(self, given: Parameters) -> Parameters:
        with self._store.transaction():
            row = job_row(self._executions, given)
            if row["status"] not in LIVE:
                raise invalid(f"job {row['id']} is {row['status']}: it cannot be canceled")
            notices = self._rollouts.cancel(
                row, given.get("force", False), given.get("reasonCode"), given.get("comment")
            )
        self.publish(notices)
        return identified(row["id"], json.loads(row["request"]))

    @reads("jobId", "targets", "comment", "namespaceId")
    def associate(self, given: Parameters) -> Parameters:
        """More groups for a continuous job."""
        with self._executions.change() as notices:
            row = job_row(self._executions, given)
            request = json.loads(row["request"])
            if row["status"] != "IN_PROGRESS" or request.get("targetSelection") != "CONTINUOUS":
                raise invalid(f"job {row['id']} is no CONTINUOUS job IN_PROGRESS")
            if others := [text for text in given["targets"] if not of_arn(text, "thinggroup")]:
                raise invalid(f"{', '.join(others)}: only thing groups can be associated")
            self._known(given["targets"])
            request["targets"] = list(dict.fromkeys(request["targets"] + given["targets"]))
            if len(request["targets"]) > TARGETS:
                text = f"a job has {TARGETS} targets at most"
                raise Refusal("LimitExceededException", text)
            self._store.run(
                "UPDATE jobs SET request = ?, comment = coalesce(?, comment), updated_at = ? "
                "WHERE id = ?",
                *(json.dumps(request), given.get("comment"), self._executions.now(), row["id"]),
            )
            notices += self._rollouts.follow(self._executions.job(row["id"]))
        self.publish(notices)
        return identified(row["id"], request)

    @reads("jobId", "force", "namespaceId")
    def delete(self, given: Parameters) -> None:
        self.publish(self.remove(given))

    def remove(self, given: Parameters) -> Notices:
        """DeleteJob without the notices; see `make`."""
        with self._store.transaction():
            row = job_row(self._executions, given)
            if row["status"] in LIVE and not given.get("force"):
                text = f"job {row['id']} is {row['status']}: cancel it, or delete it with force"
                raise Refusal("InvalidStateTransitionException", text)
            query = f"SELECT thing FROM executions WHERE job = ? AND status IN {tuple(AFTER)}"
            things = [found["thing"] for found in self._store.rows(query, row["id"])]
            with self._executions.change(*things) as notices:
                for operation in ("deletion_in_progress", "deleted"):
                    self._executions.events.job(row["id"], operation)
                self._store.run("DELETE FROM jobs WHERE id = ?", row["id"])
        return notices


def identified(name: str, request: Parameters) -> Parameters:
    """What the calls that change a job answer."""
    shape = {"jobArn": arn("job", name), "jobId": name}
    return shape | {"description": request.get("description")}


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
