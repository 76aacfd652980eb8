"""Deploy an image to things: upload, sign, create the OTA update; prints the job's id.

The same calls go to AWS and to the local cloud. With --wait the devices' progress is shown, and
the exit code is 0 only if every one of them reports SUCCEEDED. For AWS, --bucket names a versioned
bucket of yours (--new-bucket makes one) and --role the ARN of the role that AWS IoT uses to read
it. A --schedule and --retries are beyond an OTA update: then a stream and a job are made.
"""

import argparse
from pathlib import Path

from host_tools.cloud.clients import UNTRIED, Clients, clients, plainly, rehearsed
from host_tools.cloud.state import State
from host_tools.documents import check_places
from host_tools.errors import SluiceError
from host_tools.fleet import settings, targets, watch
from host_tools.fleet.provision import imagined
from host_tools.fleet.update import File, by_signer, offer, own_signature, upload
from host_tools.image.inspect import read_image
from host_tools.image.plain import plain_file
from host_tools.signing import digest, load_key

BUCKET = "sluice-images"
FILES = 10  # of a job; a board takes no more
ROLE = "arn:aws:iam::123456789012:role/sluice"  # the local cloud asks no role for anything


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="SRC=DEST",
        help="goes with it, to that path on the board",
    )
    parser.add_argument(
        "--any",
        action="store_true",
        help="any file, to any place: do not check what boards refuse",
    )
    targets.arguments(parser)
    parser.add_argument("--key", type=Path, help="signs the image; default: DIR/signer.key")
    parser.add_argument("--signer", help="its certificate, on the board; default: signer.crt")
    parser.add_argument("--signer-profile", metavar="NAME", help="AWS Signer's, in place of --key")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--state", type=Path, metavar="DIR", help="of the local cloud")
    where.add_argument("--aws", action="store_true", help="with your own AWS settings")
    parser.add_argument("--endpoint-url", metavar="URL", help="AWS's calls go there, with --aws")
    parser.add_argument("--protocol", choices=("mqtt", "http"), default="mqtt")
    parser.add_argument("--bucket", help="needed with --aws")
    parser.add_argument("--new-bucket", action="store_true", help="make the bucket first")
    parser.add_argument("--role", help="needed with --aws")
    parser.add_argument("--wait", action="store_true", help="until all devices have reported")
    parser.add_argument("--timeout", type=int, metavar="S", help="of --wait; default: 3600")
    parser.add_argument("--dry-run", action="store_true", help="print the calls, make none")
    settings.arguments(parser)
    parser.set_defaults(run=run)
    parser.epilog = f"{UNTRIED}\nAWS Signer is a stand-in there."


def run(args: argparse.Namespace) -> int:
    """`deploy`."""
    wanted = targets.targets(args)
    check(args)
    patience_s = watch.patience(args)
    job = settings.settings(args)
    cloud = reach(args)
    bucket, role = args.bucket or BUCKET, args.role or ROLE
    with plain_file(args.image) as image:
        parts = [(image, None), *map(part, args.file)]
        if not args.any:
            judge(args.image, image, [place for _, place in parts[1:]])
        signed = [(path, place, signature(args, path, bucket)) for path, place in parts]
        with plainly():
            arns = targets.arns(cloud.iot, wanted)
            files = [
                File(path, upload(cloud, path, bucket, args.new_bucket), signing, place)
                for path, place, signing in signed
            ]
            name = offer(cloud, files, arns, args.protocol, role, job)
    if cloud.rehearsal:
        return 0
    print(name, flush=True)
    if not args.wait:
        return 0
    return watch.wait(cloud, name, wanted.things if not wanted.groups else None, patience_s)


def judge(name: Path, image: Path, places: list[str]) -> None:
    """Refuse what every board would, in the end: an image that is not whole, paths of files."""
    what = str(name)
    try:
        read_image(image.read_bytes())
        what = "--file"
        check_places(places)
    except SluiceError as error:
        raise SluiceError(f"{what}: {error} (--any sends it all the same)") from None


def part(text: str) -> tuple[Path, str]:
    """(file, path on the board) of an option SRC=DEST."""
    source, _, place = text.rpartition("=")
    if not source or not place:
        raise SluiceError(f"--file {text}: SRC=DEST is wanted")
    return Path(source), place


def check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    signed = args.key or args.signer_profile
    if args.aws and not (args.bucket and args.role and signed):
        raise SluiceError("--aws needs --bucket, --role and --key or --signer-profile")
    if args.endpoint_url and not args.aws:
        raise SluiceError("--endpoint-url is for --aws")
    if args.key and args.signer_profile:
        raise SluiceError("either --key signs, or --signer-profile has AWS Signer sign")
    if args.signer and args.signer_profile:
        raise SluiceError("--signer is for --key: a profile has the certificate's path in it")
    if args.signer_profile and (args.schedule or args.retries):
        raise SluiceError("AWS Signer signs updates only: not with --schedule or --retries")
    if len(args.file) > FILES - 1:
        raise SluiceError(f"a job brings {FILES} files at most, the image among them")
    if args.wait and args.continuous:
        raise SluiceError("a --continuous job has no end to --wait for")


def reach(args: argparse.Namespace) -> Clients:
    """The clients to deploy with, or those of a rehearsal."""
    if args.dry_run:
        return rehearsed(not args.aws, lambda region: imagined(region, True))
    return clients(None, args.endpoint_url) if args.aws else clients(State(args.state))


def signature(args: argparse.Namespace, path: Path, bucket: str) -> dict:
    """`codeSigning` of a file, by whoever signs it."""
    if args.signer_profile:
        digest(path)  # it must be there, and not empty
        return by_signer(args.signer_profile, bucket)
    key = load_key(args.key or State(args.state).signer_key)
    return own_signature(path, key, args.signer or "signer.crt")
