"""Create, list, show and cancel jobs of a local cloud or of AWS.

How a job stands is told by its things: `48 SUCCEEDED, 2 FAILED`. AWS's own word for a job is
COMPLETED whether its things succeeded or failed.

A job's document is checked against host_tools/documents/job.schema.json, the standard of what
boards understand; with --any it is not, and what a board makes of it is the board's matter.
"""

import argparse
import json
import uuid
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sluice.cloud.names import check_job
from sluice.commands import where
from sluice.documents import check
from sluice.errors import SluiceError
from sluice.fleet import settings, shapes, shown, targets, watch
from sluice.fleet.account import options
from sluice.fleet.clients import UNTRIED, Clients, clients, plainly, shadows
from sluice.fleet.provision import listed
from sluice.fleet.reader import JOBS, Reader
from sluice.terminal import remark

KEPT = (  # a board on trial hears of it, and judges the image all the same
    "a board that has booted the new image already keeps it if it is healthy: "
    "its shadow and `sluice doctor` tell what runs"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    rows = parser.add_subparsers(metavar="ACTION", required=True)
    row = _anywhere(rows, "create", create, "give things something to do; prints the job's id")
    row.add_argument("--document", type=Path, required=True, metavar="FILE", help="JSON")
    targets.arguments(row)
    row.add_argument("--id", help="default: one of its own")
    row.add_argument(
        "--any", action="store_true", help="any JSON object: do not check the document"
    )
    settings.arguments(row)
    row.add_argument("--wait", action="store_true", help="until all things have reported")
    row.add_argument("--timeout", type=int, metavar="S", help="of --wait; default: 3600")
    row = _anywhere(rows, "list", show_all, "show the newest jobs, and how they went")
    row.add_argument(
        "--last", type=int, default=JOBS, metavar="N", help=f"so many; default: {JOBS}"
    )
    row.add_argument("--json", action="store_true", help="as JSON, with AWS's names")
    row = _anywhere(rows, "show", show, "show a job, and what became of it on each thing")
    row.add_argument("id", metavar="ID", help="of the job")
    row.add_argument("--json", action="store_true", help="as JSON, with AWS's names")
    row = _anywhere(rows, "cancel", cancel, "cancel what is queued, with --force what runs too")
    row.add_argument("id", metavar="ID", help="of the job")
    row.add_argument("--force", action="store_true", help="what runs, too")


def _anywhere(rows: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    row = rows.add_parser(name, help=text, epilog=UNTRIED)
    where.arguments(row)
    row.set_defaults(run=run)
    return row


def reader(args: argparse.Namespace) -> Reader:
    """Reads from whichever cloud is meant."""
    place = where.place(args)
    return Reader(clients(place), shadows(place))


def create(args: argparse.Namespace) -> int:
    """`job create`."""
    if args.wait and args.continuous:
        raise SluiceError("a --continuous job has no end to --wait for")
    patience_s = watch.patience(args)
    wanted, asked = targets.targets(args), settings.settings(args)
    name = check_job(args.id or f"job-{uuid.uuid4().hex[:12]}")
    document = read_document(args.document)
    here = where.place(args, tell=True)
    cloud = clients(here)
    with plainly():
        arns = targets.arns(cloud.iot, wanted)
        if not args.any:
            check_document(args.document, document)
        cloud.iot.create_job(jobId=name, targets=arns, document=document, **asked)
    print(name, flush=True)
    if not args.wait:
        return 0
    things = wanted.things if not wanted.groups else None
    return watch.wait(cloud, name, things, patience_s, options(here), args.state)


def read_document(file: Path) -> str:
    """A job document's text, if it is a JSON object."""
    try:
        text = file.read_text(encoding="utf-8")
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
    from sluice.fleet import jobs_shown

    if args.last < 1:
        raise SluiceError("--last is 1 or more")
    with plainly():
        found = reader(args).jobs(args.last)
    if args.json:
        print(json.dumps([shapes.of_job(job) for job in found.jobs]))
    else:
        shown.show(*jobs_shown.jobs(found))


def show(args: argparse.Namespace) -> None:
    """`job show`."""
    from sluice.fleet import jobs_shown

    name = check_job(args.id)
    with plainly():
        found = reader(args).job(name)
    if args.json:
        print(json.dumps(shapes.of_job(found)))
    else:
        shown.show(*jobs_shown.job(found))


def cancel(args: argparse.Namespace) -> None:
    """`job cancel`."""
    cloud, name = clients(where.place(args, tell=True)), check_job(args.id)
    with plainly():
        if not (args.force and stop_rest(cloud, name)):
            cloud.iot.cancel_job(jobId=name, force=args.force)
    if args.force:
        remark(KEPT)


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
