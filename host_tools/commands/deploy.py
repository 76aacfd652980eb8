"""Deploy an image to a thing: upload, sign, create the OTA update; prints the job's id.

The same calls go to AWS and to the local cloud. With --wait the progress is shown, and the exit
code is 0 only if the board reports SUCCEEDED. For AWS, --bucket names a versioned bucket of yours
and --role the ARN of the role that AWS IoT uses to read it (docs: OTA update service role).
"""

import argparse
import time
import uuid
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from host_tools.cloud.clients import Clients, clients, plainly
from host_tools.cloud.names import check_thing
from host_tools.cloud.state import State
from host_tools.errors import SluiceError
from host_tools.signing import algorithm, load_key, sign

BUCKET = "sluice-images"
ROLE = "arn:aws:iam::123456789012:role/sluice"  # the local cloud asks no role for anything
POLL_S = {True: 0.3, False: 5}  # by whether the cloud is the local one
FINAL = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--thing", required=True, metavar="NAME")
    parser.add_argument("--key", type=Path, help="signs the image; default: DIR/signer.key")
    parser.add_argument("--signer", default="signer.crt", help="its certificate, on the board")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--state", type=Path, metavar="DIR", help="of the local cloud")
    where.add_argument("--aws", action="store_true", help="with your own AWS settings")
    parser.add_argument("--protocol", choices=("mqtt", "http"), default="mqtt")
    parser.add_argument("--bucket", help="needed with --aws")
    parser.add_argument("--role", help="needed with --aws")
    parser.add_argument("--wait", action="store_true", help="until the board has reported")
    parser.add_argument("--timeout", type=int, default=3600, metavar="S", help="of --wait")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """`deploy`."""
    thing = check_thing(args.thing)
    if args.aws and not (args.bucket and args.role and args.key):
        raise SluiceError("--aws needs --bucket, --role and --key")
    state = None if args.aws else State(args.state)
    cloud = clients(state)
    key = load_key(args.key or state.signer_key)
    signature = {
        "signature": {"inlineDocument": sign(args.image, key)},
        "certificateChain": {"certificateName": args.signer},
        "hashAlgorithm": "SHA256",
        "signatureAlgorithm": algorithm(key),
    }
    with plainly():
        target = cloud.iot.describe_thing(thingName=thing)["thingArn"]
        where = upload(cloud, args.image, args.bucket or BUCKET)
        job = create(cloud, target, args, where, {"customCodeSigning": signature})
    print(job, flush=True)
    return wait(cloud, job, thing, args.timeout) if args.wait else 0


def upload(cloud: Clients, image: Path, bucket: str) -> dict[str, str]:
    """Put the image into a versioned bucket; the local cloud's is made when it is missing."""
    if cloud.local:
        cloud.s3.create_bucket(Bucket=bucket)
        enabled = {"Status": "Enabled"}
        cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
    name = f"{image.stem}-{uuid.uuid4().hex[:12]}{image.suffix}"
    cloud.s3.upload_file(str(image), bucket, name)
    version = cloud.s3.head_object(Bucket=bucket, Key=name).get("VersionId")
    if version is None:
        raise SluiceError(f"bucket {bucket} is not versioned: AWS IoT needs that for updates")
    return {"bucket": bucket, "key": name, "version": version}


def create(
    cloud: Clients, target: str, args: argparse.Namespace, where: dict, signing: dict
) -> str:
    """Create the OTA update; returns the job's id, once AWS has made the job."""
    name = f"sluice-{uuid.uuid4().hex[:12]}"
    file = {
        "fileName": args.image.name,
        "fileLocation": {"s3Location": where},
        "codeSigning": signing,
    }
    cloud.iot.create_ota_update(
        otaUpdateId=name,
        targets=[target],
        protocols=[args.protocol.upper()],
        files=[file],
        roleArn=args.role or ROLE,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        about = cloud.iot.get_ota_update(otaUpdateId=name)["otaUpdateInfo"]
        if about["otaUpdateStatus"] == "CREATE_COMPLETE":
            return about["awsIotJobId"]
        if about["otaUpdateStatus"] == "CREATE_FAILED":
            raise SluiceError(f"OTA update {name}: {about.get('errorInfo', {}).get('message')}")
        time.sleep(POLL_S[cloud.local])
    raise SluiceError(f"OTA update {name} is still not there after 120 s")


def wait(cloud: Clients, job: str, thing: str, timeout_s: int) -> int:
    """Show what the board reports until it is final; 0 only for SUCCEEDED."""
    deadline = time.monotonic() + timeout_s
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[blocks]}"))
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        bar = progress.add_task("QUEUED", total=None, blocks="")
        while True:
            with plainly():
                execution = cloud.iot.describe_job_execution(jobId=job, thingName=thing)
            status, details = reported(execution["execution"])
            progress.update(bar, **shown(status, details))
            if status in FINAL:
                break
            if time.monotonic() > deadline:
                raise SluiceError(f"{job}: still {status} after {timeout_s} s")
            time.sleep(POLL_S[cloud.local])
    reason = details.get("reason", "")
    if status != "SUCCEEDED":
        raise SluiceError(f"{job}: {status}{': ' + reason if reason else ''}")
    print(f"SUCCEEDED {reason}".strip())
    return 0


def reported(execution: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """(status, details) of an execution."""
    return execution["status"], execution.get("statusDetails", {}).get("detailsMap", {})


def shown(status: str, details: dict[str, str]) -> dict[str, Any]:
    """What the bar shows: blocks "received/total" while they come, else the step."""
    step = details.get("self_test")
    text = f"{status} {step}" if step else status
    done, _, total = details.get("receive", "").partition("/")
    if done.isdigit() and total.isdigit():
        bar = {"completed": int(done), "total": int(total)}
        return {"description": text, "blocks": f"{done}/{total} blocks", **bar}
    return {"description": text, "blocks": ""}
