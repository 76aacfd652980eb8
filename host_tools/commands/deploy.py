"""Deploy code to things: upload, sign, create the OTA update; prints the job's id.

deploy IMAGE                      an interpreter's image, of an ESP32 or a W800
deploy DIR --version V            an application: a folder with an app.py, or one .py
deploy BUNDLE                     what `sluice bundle make` made, of an application or an agent
deploy --agent --board NAME       this installation's own firmware, without the interpreter
deploy IMAGE BUNDLE BUNDLE        together, in one job: all of them are taken, or none
deploy IMAGE --from OLD           with a delta, for boards that run OLD; --compress for all others

The same calls go to AWS and to the local cloud. With --wait the devices' progress is shown, and
the exit code is 0 only if every one of them reports SUCCEEDED. For AWS, --bucket names a versioned
bucket of yours (--new-bucket makes one) and --role the ARN of the role that AWS IoT uses to read
it. A --schedule and --retries are beyond an OTA update: then a stream and a job are made.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sluice.cloud.state import State
from sluice.commands import where
from sluice.errors import SluiceError
from sluice.fleet import agents, settings, targets, watch
from sluice.fleet.account import Account, options
from sluice.fleet.clients import UNTRIED, Clients, clients, plainly, rehearsed, shadows
from sluice.fleet.containers import containers
from sluice.fleet.document import FILE_TYPES, FILES, File, check_room
from sluice.fleet.parts import Part, Wanted, boards_of, checked, gathered
from sluice.fleet.provision import imagined
from sluice.fleet.update import BUCKET, by_signer, offer, own_signature, upload
from sluice.signing import digest, load_key
from sluice.terminal import remark
from sluice.version_word import unprefixed

ROLE = "arn:aws:iam::123456789012:role/sluice"  # the local cloud asks no role for anything


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    _content(parser)
    _forms(parser)
    targets.arguments(parser)
    parser.add_argument("--key", type=Path, help="signs all of it; default: DIR/signer.key")
    parser.add_argument("--signer", help="its certificate, on the board; default: signer.crt")
    parser.add_argument("--signer-profile", metavar="NAME", help="AWS Signer's, in place of --key")
    where.arguments(parser)
    parser.add_argument(
        "--protocol", choices=("mqtt", "http"), default="mqtt", help="default: mqtt, a stream"
    )
    parser.add_argument("--bucket", help="needed with --aws")
    parser.add_argument("--new-bucket", action="store_true", help="make the bucket first")
    parser.add_argument("--role", help="needed with --aws")
    parser.add_argument("--wait", action="store_true", help="until all devices have reported")
    parser.add_argument("--timeout", type=int, metavar="S", help="of --wait; default: 3600")
    parser.add_argument("--dry-run", action="store_true", help="print the calls, make none")
    settings.arguments(parser)
    parser.set_defaults(run=run)
    parser.epilog = f"{UNTRIED}\nAWS Signer is a stand-in there."


def _content(parser: argparse.ArgumentParser) -> None:
    """What is deployed."""
    parser.add_argument(
        "paths",
        type=Path,
        nargs="*",
        metavar="IMAGE|BUNDLE|DIR|FILE.py",
        help="at most one image, one application and one agent",
    )
    parser.add_argument(
        "--version",
        type=unprefixed,
        metavar="V",
        help="of what a folder or a .py becomes; else of --agent",
    )
    parser.add_argument(
        "--agent", action="store_true", help="this installation's own firmware, for --board"
    )
    parser.add_argument(
        "--board",
        metavar="NAME",
        help="or its folder, ./NAME; default: the one that the things' shadows name in DIR",
    )
    parser.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="SRC=DEST",
        help="goes with it, to that path on the board",
    )


def _forms(parser: argparse.ArgumentParser) -> None:
    """In which forms, and whether they are looked at."""
    parser.add_argument(
        "--from",
        dest="older",
        action="append",
        default=[],
        type=Path,
        metavar="OLD",
        help="with a delta, for boards that run the image OLD; repeatable",
    )
    parser.add_argument(
        "--compress", action="store_true", help="with the image compressed, for all other boards"
    )
    parser.add_argument(
        "--any",
        action="store_true",
        help="any image or bundle, files to any place: do not check what boards refuse",
    )


def run(args: argparse.Namespace) -> int:
    """`deploy`. What is missing is told in the order of the usage: what, whom for, where."""
    content = asked(args)
    checked(content)
    wanted = targets.targets(args)
    here = where.place(args, tell=True)
    check(args)
    patience_s = watch.patience(args)
    job = settings.settings(args)
    content = replace(content, known=known(args, wanted))
    cloud = reach(args, here)
    if args.older or args.compress:
        with plainly():
            check_agents(args, here, wanted)
    bucket, role = args.bucket or BUCKET, args.role or ROLE
    with contents(args, content) as parts:
        signed = [(part, signature(args, part, bucket)) for part in parts]
        check_number(cloud, signed, args.protocol)
        with plainly():
            arns = targets.arns(cloud.iot, wanted)
            files = [file(cloud, one, bucket, args.new_bucket, how) for one, how in signed]
            name = offer(cloud, files, arns, args.protocol, role, job)
    for one in parts:
        if one.made:
            remark(one.made)
    if cloud.rehearsal:
        return 0
    print(name, flush=True)
    if not args.wait:
        return 0
    things = wanted.things if not wanted.groups else None
    return watch.wait(cloud, name, things, patience_s, options(here), args.state)


def known(args: argparse.Namespace, wanted: targets.Targets) -> list[str | None]:
    """The boards that the things are known to have."""
    found = boards_of(State(args.state), wanted.things) if args.state else [None]
    return found + ([None] if wanted.groups else [])


def asked(args: argparse.Namespace) -> Wanted:
    """What is to be deployed."""
    return Wanted(
        paths=args.paths,
        files=[part(text) for text in args.file],
        version=args.version,
        agent=args.agent,
        board=args.board,
        known=[None],
        anything=args.any,
    )


def check_agents(args: argparse.Namespace, here: State | Account, wanted: targets.Targets) -> None:
    """Refuse smaller images where a thing told of an agent that does not know them."""
    if isinstance(here, State):
        agents.check(agents.here(here, wanted.things))
    elif not args.dry_run:  # which calls nobody
        agents.check(agents.at_aws(shadows(here), wanted.things))


@contextmanager
def contents(args: argparse.Namespace, content: Wanted) -> Iterator[list[Part]]:
    """All parts of the job: the image, smaller forms of it, and the others."""
    with (
        gathered(content) as parts,
        containers(parts, args.older, args.compress, args.any) as more,
    ):
        yield [*parts[:1], *more, *parts[1:]]


def file(
    cloud: Clients, part: Part, bucket: str, new: bool, signing: dict[str, Any] | None
) -> File:
    """A part, uploaded."""
    return as_file(part, upload(cloud, part.path, bucket, new), signing)


def as_file(part: Part, where: dict[str, str], signing: dict[str, Any] | None) -> File:
    """A part as a file of the document."""
    kind = part.kind if part.kind in FILE_TYPES else None
    return File(part.path, where, signing, part.place, kind)


def check_number(
    cloud: Clients, signed: list[tuple[Part, dict[str, Any] | None]], protocol: str
) -> None:
    """Refuse more files than a board takes."""
    files = [(part.title, as_file(part, {}, how)) for part, how in signed]
    others = [one for title, one in files if not title]
    if len(others) > FILES:
        raise SluiceError(f"a job brings {FILES} files at most, the image and bundles among them")
    check_room(cloud, others, [(title, one) for title, one in files if title], protocol)


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
    if args.key and args.signer_profile:
        raise SluiceError("either --key signs, or --signer-profile has AWS Signer sign")
    if args.signer and args.signer_profile:
        raise SluiceError("--signer is for --key: a profile has the certificate's path in it")
    if args.signer_profile and (args.schedule or args.retries):
        raise SluiceError("AWS Signer signs updates only: not with --schedule or --retries")
    if args.wait and args.continuous:
        raise SluiceError("a --continuous job has no end to --wait for")


def reach(args: argparse.Namespace, here: State | Account) -> Clients:
    """The clients to deploy with, or those of a rehearsal."""
    if args.dry_run:
        return rehearsed(here, lambda region: imagined(region, True))
    return clients(here)


def signature(args: argparse.Namespace, part: Part, bucket: str) -> dict[str, Any] | None:
    """`codeSigning` of a file, by whoever signs it; None for a smaller form of what is signed."""
    if part.title:
        return None
    if args.signer_profile:
        digest(part.path)  # it must be there, and not empty
        return by_signer(args.signer_profile, bucket)
    key = load_key(args.key or State(args.state).signer_key)
    return own_signature(part.path, key, args.signer or "signer.crt")
