"""The control plane's calls for job templates, and what a job takes from one.

A job takes from its template whatever its own request does not say. A request for a job of a
managed template brings that template's parameters; no other job may have parameters.
"""

import json
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.jobs.documents import document
from sluice.cloud.jobs.executions import Executions
from sluice.cloud.jobs.limits import CONFIGURATION, check
from sluice.cloud.jobs.managed import ENVIRONMENTS, TEMPLATES, VERSION, Managed
from sluice.cloud.listing import Listing
from sluice.cloud.names import arn, of_arn
from sluice.cloud.refusal import Refusal, invalid, not_found
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.tags import Tags

Parameters = dict[str, Any]

KEPT = ("documentSource", *CONFIGURATION)  # of a job's request, besides its document
KIND = "jobtemplate"  # in an ARN


class TemplateCalls:
    """Service "iot": job templates, and what jobs take from them."""

    def __init__(self, executions: Executions, bucket: Bucket) -> None:
        self._executions = executions
        self._store = executions.store
        self._bucket = bucket
        self._tags = Tags(executions.store)

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "CreateJobTemplate":          self.create,
            "DescribeJobTemplate":        self.describe,
            "ListJobTemplates":           self.list,
            "DeleteJobTemplate":          self.delete,
            "ListManagedJobTemplates":    self.list_managed,
            "DescribeManagedJobTemplate": self.describe_managed,
        }
        # fmt: on

    @reads("jobTemplateId", "jobArn", "document", "description", "tags", *KEPT)
    def create(self, given: Parameters) -> Parameters:
        name = given["jobTemplateId"]
        with self._store.transaction():
            now = self._executions.now()
            if self._find(name):
                raise Refusal("ConflictException", f"job template {name} exists already")
            base, text = self._of_job(given) if "jobArn" in given else ({}, None)
            wanted = base | given
            check(wanted, now)
            if text is None:
                text = document(self._bucket, given)
            request = {key: wanted[key] for key in (*KEPT, "description") if key in wanted}
            columns = {"document": text, "request": json.dumps(request), "created_at": now}
            self._store.insert("job_templates", id=name, **columns)
            self._tags.put(arn(KIND, name), given.get("tags", ()))
        return {"jobTemplateArn": arn(KIND, name), "jobTemplateId": name}

    def _of_job(self, given: Parameters) -> tuple[Parameters, str]:
        """What a template takes from the job that it is made of: configuration, document."""
        if "document" in given or "documentSource" in given:
            raise invalid("a job template has its document from jobArn or of its own, not both")
        job = self._executions.job(of_arn(given["jobArn"], "job") or "")
        if job is None:
            raise not_found("job", given["jobArn"])
        request = json.loads(job["request"])
        return {key: request[key] for key in KEPT if key in request}, job["document"]

    def _find(self, name: str) -> Row | None:
        return self._store.row("SELECT * FROM job_templates WHERE id = ?", name)

    def _get(self, name: str) -> Row:
        row = self._find(name)
        if row is None:
            raise not_found("job template", name)
        return row

    @reads("jobTemplateId")
    def describe(self, given: Parameters) -> Parameters:
        row = self._get(given["jobTemplateId"])
        return json.loads(row["request"]) | summary(row) | {"document": row["document"]}

    @reads()
    def list(self, given: Parameters) -> Parameters:
        query = "SELECT * FROM job_templates ORDER BY created_at DESC, id"
        return {"jobTemplates": Listing(self._store, summary, query)}

    @reads("jobTemplateId")
    def delete(self, given: Parameters) -> None:
        self._get(given["jobTemplateId"])
        self._store.run("DELETE FROM job_templates WHERE id = ?", given["jobTemplateId"])

    @reads("templateName")
    def list_managed(self, given: Parameters) -> Parameters:
        wanted = given.get("templateName")
        chosen = [one for one in TEMPLATES.values() if wanted in (None, one.name)]
        return {"managedJobTemplates": [managed_summary(one) for one in chosen]}

    @reads("templateName", "templateVersion")
    def describe_managed(self, given: Parameters) -> Parameters:
        found = managed(given["templateName"], given.get("templateVersion", VERSION))
        parameters = [one.shape() for one in found.parameters]
        shape = {"documentParameters": parameters, "document": found.document}
        return managed_summary(found) | shape

    def filled(self, given: Parameters) -> Parameters:
        """A request for a job with what its template adds; any other, as it is."""
        if "jobTemplateArn" not in given:
            if given.get("documentParameters"):
                raise invalid("documentParameters need the jobTemplateArn of a managed template")
            return given
        if "document" in given or "documentSource" in given:
            raise invalid("a job has its document from jobTemplateArn or of its own, not both")
        name = of_arn(given["jobTemplateArn"], KIND)
        if name is None:
            raise invalid(f"{given['jobTemplateArn']} is not the ARN of a job template")
        if ":" in name:
            found = managed(*name.split(":", 1))
            text = found.filled(given.get("documentParameters", {}))
            return {"description": found.description} | given | {"document": text}
        if given.get("documentParameters"):
            raise invalid("documentParameters are for managed templates only")
        row = self._get(name)
        request = json.loads(row["request"])
        request.pop("documentSource", None)  # it was read when the template was made
        return request | given | {"document": row["document"]}


def before_substitution(job: Row) -> str:
    """A job's document with the placeholders of its managed template, if it has one."""
    name = of_arn(json.loads(job["request"]).get("jobTemplateArn", ""), KIND) or ""
    return managed(*name.split(":", 1)).document if ":" in name else job["document"]


def managed(name: str, version: str) -> Managed:
    """A template of AWS's; a Refusal when there is none."""
    if name not in TEMPLATES or version != VERSION:
        raise not_found("managed job template", f"{name}:{version}")
    return TEMPLATES[name]


def summary(row: Row) -> Parameters:
    """A template as lists show it."""
    return {
        "jobTemplateArn": arn(KIND, row["id"]),
        "jobTemplateId": row["id"],
        "description": json.loads(row["request"])["description"],
        "createdAt": row["created_at"],
    }


def managed_summary(one: Managed) -> Parameters:
    """A template of AWS's as lists show it."""
    return {
        "templateArn": one.arn,
        "templateName": one.name,
        "description": one.description,
        "environments": ENVIRONMENTS,
        "templateVersion": VERSION,
    }
