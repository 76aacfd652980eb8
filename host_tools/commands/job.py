"""Create, list, show and cancel jobs of a local cloud or of AWS.

A job's document is checked against host_tools/documents/job.schema.json, the standard of what
boards understand; with --any it is not, and what a board makes of it is the board's matter.
"""

import argparse
import json
import sys
import uuid
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sluice.cloud.names import check_job
from sluice.cloud.state import State
from sluice.documents import check
from sluice.errors import SluiceError
from sluice.fleet import settings, targets
from sluice.fleet.clients import UNTRIED, Clients, clients, plainly
from sluice.fleet.provision import listed

KEPT = (  # a board on trial hears of it, and judges the image all the same
    "a board that has booted the new image already keeps it if it is healthy: "
    "its shadow and `sluice doctor` tell what runs"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    rows = parser.add_subparsers(metavar="ACTION", required=True)
    row = _anywhere(rows, "create", create, "give things something to do; prints the job's id")
    targets.arguments(row)
    row.add_argument("--document", type=Path, required=True, metavar="FILE", help="JSON")
    row.add_argument("--id", help="default: one of its own")
    row.add_argument(
        "--any", action="store_true", help="any JSON object: do not check the document"
    )
    settings.arguments(row)
    row = _anywhere(rows, "list", show_all, "show all jobs")
    row.add_argument("--json", action="store_true", help="as JSON")
    row = _anywhere(rows, "show", show, "show a job and its executions")
    row.add_argument("id", metavar="ID", help="of the job")
    row.add_argument("--json", action="store_true", help="as JSON")
    row = _anywhere(rows, "cancel", cancel, "cancel what is queued, with --force what runs too")
    row.add_argument("id", metavar="ID", help="of the job")
    row.add_argument("--force", action="store_true", help="what runs, too")


def _anywhere(rows: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    row = rows.add_parser(name, help=text, epilog=UNTRIED)
    where = row.add_mutually_exclusive_group(required=True)
    where.add_argument("--state", type=Path, metavar="DIR", help="of the local cloud")
    where.add_argument("--aws", action="store_true", help="with your own AWS settings")
    row.add_argument("--endpoint-url", metavar="URL", help="AWS's calls go there, with --aws")
    row.set_defaults(run=run)
    return row


def reach(args: argparse.Namespace) -> Clients:
    """The clients of whichever cloud is meant."""
    if args.endpoint_url and not args.aws:
        raise SluiceError("--endpoint-url is for --aws")
    return clients(None, args.endpoint_url) if args.aws else clients(State(args.state))


def create(args: argparse.Namespace) -> None:
    """`job create`."""
    wanted, asked = targets.targets(args), settings.settings(args)
    name = check_job(args.id or f"job-{uuid.uuid4().hex[:12]}")
    document = read_document(args.document)
    cloud = reach(args)
    with plainly():
        arns = targets.arns(cloud.iot, wanted)
        if not args.any:
            check_document(args.document, document)
        cloud.iot.create_job(jobId=name, targets=arns, document=document, **asked)
    print(name)


def read_document(file: Path) -> str:
    """A job document's text, if it is a JSON object."""
    try:
        text = file.read_text()
        document = json.loads(text)
    except OSError as error:
        raise SluiceError(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise SluiceError(f"{file} is not JSON") from None
    if not isinstance(document, dict):
        raise SluiceError(f"{file} is not a JSON object")
    try:
        json.dumps(document, allow_nan=False)
    except ValueError:
        raise SluiceError(f"{file} has a number that is not finite") from None
    return text


def check_document(file: Path, text: str) -> None:
    """Refuse a document that no board understands."""
    try:
        check(json.loads(text))
    except SluiceError as error:
        raise SluiceError(f"{file}: {error} (--any sends it all the same)") from None


def show_all(args: argparse.Namespace) -> None:
    """`job list`."""
    with plainly():
        rows = [
            {"job": job["jobId"], "status": job["status"], "created": job["createdAt"].isoformat()}
            for job in listed(reach(args).iot, "list_jobs", "jobs")
        ]
    if args.json:
        print(json.dumps(rows))
    for row in () if args.json else rows:
        print(f"{row['job']:64} {row['status']:12} {row['created']}")


def show(args: argparse.Namespace) -> None:
    """`job show`."""
    with plainly():
        about = describe(reach(args), check_job(args.id))
    if args.json:
        print(json.dumps(about))
        return
    print(f"{about['job']}: {about['status']}")
    for row in about["executions"]:
        print(f"  {row['thing']} #{row['number']}: {row['status']} {json.dumps(row['details'])}")


def describe(cloud: Clients, name: str) -> dict[str, Any]:
    """A job, its document and its executions, as plain data."""
    job = cloud.iot.describe_job(jobId=name)["job"]
    document = cloud.iot.get_job_document(jobId=name)["document"]
    found = listed(cloud.iot, "list_job_executions_for_job", "executionSummaries", jobId=name)
    rows = [_execution(cloud, name, row) for row in found]
    shape = {"job": name, "status": job["status"], "document": json.loads(document)}
    return shape | {"executions": rows}


def _execution(cloud: Clients, job: str, row: dict[str, Any]) -> dict[str, Any]:
    thing = row["thingArn"].partition("thing/")[2]
    number = row["jobExecutionSummary"]["executionNumber"]
    found = cloud.iot.describe_job_execution(jobId=job, thingName=thing, executionNumber=number)
    execution = found["execution"]
    return {
        "thing": thing,
        "number": number,
        "status": execution["status"],
        "version": execution["versionNumber"],
        "details": execution.get("statusDetails", {}).get("detailsMap", {}),
    }


def cancel(args: argparse.Namespace) -> None:
    """`job cancel`."""
    cloud, name = reach(args), check_job(args.id)
    with plainly():
        if not (args.force and stop_rest(cloud, name)):
            cloud.iot.cancel_job(jobId=name, force=args.force)
    if args.force:
        print(KEPT, file=sys.stderr)


def stop_rest(cloud: Clients, name: str) -> bool:
    """End what a job left running when it was canceled without force; False if it left nothing.

    What CancelJob does with a job that is CANCELED is not documented.
    """
    if cloud.iot.describe_job(jobId=name)["job"]["status"] != "CANCELED":
        return False
    which = {"jobId": name, "status": "IN_PROGRESS"}
    left = list(listed(cloud.iot, "list_job_executions_for_job", "executionSummaries", **which))
    for row in left:
        thing = row["thingArn"].partition("thing/")[2]
        try:
            cloud.iot.cancel_job_execution(jobId=name, thingName=thing, force=True)
        except ClientError as error:  # it has ended since it was listed
            if error.response["Error"]["Code"] != "InvalidStateTransitionException":
                raise
    return bool(left)
