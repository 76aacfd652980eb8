"""Make and show bundles: Python code as it is deployed, of an application or of the agent.

bundle make DIR OUT --version V                 an application: a folder with an app.py
bundle make FILE.py OUT --version V             an application of one file
bundle make OUT --kind agent --board NAME       this installation's firmware for a board
bundle make DIR OUT --kind agent --board NAME   the firmware of a folder that holds sluice/
bundle show FILE                                kind, version, members, sizes, digests
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from sluice import boards
from sluice.bundle import container, make, rules, tree
from sluice.errors import SluiceError
from sluice.version_word import unprefixed

SIZE_MAX = 24 * 1024 * 1024  # bytes: AWS streams no larger file


def arguments(parser: argparse.ArgumentParser) -> None:
    """`make` and `show`."""
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    row = actions.add_parser("make", help="write a bundle to OUT")
    row.add_argument(
        "source",
        nargs="?",
        type=Path,
        metavar="DIR|FILE",
        help="a folder, or one .py; with --kind agent it may be left out",
    )
    row.add_argument("out", type=Path, metavar="OUT", help="the bundle's file")
    row.add_argument(
        "--version",
        type=unprefixed,
        metavar="V",
        help="1 to 31 characters; needed but for an agent",
    )
    row.add_argument("--kind", choices=rules.KINDS, default="app", help="default: app")
    row.add_argument("--board", metavar="NAME", help="or its folder, ./NAME; for an agent")
    row.add_argument(
        "--needs-agent", type=unprefixed, metavar="V", help="the oldest agent that it runs with"
    )
    row.add_argument(
        "--needs-micropython", type=unprefixed, metavar="V", help="the oldest MicroPython"
    )
    row.add_argument("--sources", action="store_true", help="leave .py as it is: do not compile")
    row.set_defaults(action=_make)
    row = actions.add_parser("show", help="describe a bundle")
    row.add_argument("file", type=Path, metavar="FILE", help="a bundle")
    row.add_argument("--json", action="store_true", help="as one JSON object")
    row.set_defaults(action=_show)


def run(args: argparse.Namespace) -> None:
    """Do what the action says."""
    args.action(args)


def _make(args: argparse.Namespace) -> None:
    named = {"agent": args.needs_agent, "micropython": args.needs_micropython}
    needs = {what: version for what, version in named.items() if version is not None}
    if args.kind == "agent":
        if args.board is None:
            raise SluiceError(f"an agent is for one board: --board NAME, of {_boards()}")
        bundle = make.agent(args.board, args.version, args.sources, needs, args.source)
    else:
        if args.source is None:
            raise SluiceError(f"what is {args.out} made of? sluice bundle make DIR|FILE OUT …")
        if args.version is None:
            raise SluiceError("an application has a version: --version V")
        bundle = make.application(
            args.source, args.version, args.sources, args.board, needs, args.out
        )
    if len(bundle) > SIZE_MAX:
        raise SluiceError(f"{len(bundle):,} bytes are too many: AWS streams {SIZE_MAX:,} at most")
    try:
        args.out.write_bytes(bundle)
    except OSError as error:
        raise SluiceError(f"cannot write {args.out}: {error.strerror}") from None
    print(f"{args.out}: {_headline(facts(bundle))}")


def _boards() -> str:
    return ", ".join(boards.names())


def _show(args: argparse.Namespace) -> None:
    try:
        found = facts(args.file.read_bytes())
    except OSError as error:
        raise SluiceError(f"cannot read {args.file}: {error.strerror}") from None
    except SluiceError as error:
        raise SluiceError(f"{args.file}: {error}") from None
    print(json.dumps(found) if args.json else _text(found))


def facts(bundle: bytes) -> dict[str, Any]:
    """What there is to say of a bundle. Raises SluiceError for one that a board would refuse."""
    description, members = container.unpack(bundle)
    made = tree.pack(members)
    return {
        "kind": description["kind"],
        "version": description["version"],
        "board": description.get("board"),
        "mpy": description.get("mpy"),
        "needs": description.get("needs", {}),
        "size": len(bundle),
        "unpacked": len(container.inflated(bundle)),
        "sha256": hashlib.sha256(bundle).hexdigest(),
        "tree": {
            "size": len(made),
            "blocks": tree.blocks(len(made)),
            "sha256": tree.digest(made),
        },
        "members": {path: len(content) for path, content in members.items()},
    }


def _headline(found: dict[str, Any]) -> str:
    return (
        f"{found['kind']}, version {found['version']}, {found['size']:,} bytes; "
        f"blocks of flash that its tree takes: {found['tree']['blocks']}"
    )


def _text(found: dict[str, Any]) -> str:
    needs = ", ".join(f"{what} {version}" for what, version in found["needs"].items())
    made, mpy = found["tree"], found["mpy"]
    rows = [
        f"kind     {found['kind']}",
        f"version  {found['version']}",
        f"board    {found['board'] or 'any'}",
        f".mpy     {'none: sources' if mpy is None else f'format {mpy}'}",
        f"needs    {needs or 'nothing'}",
        f"size     {found['size']:,} bytes, unpacked {found['unpacked']:,}",
        f"sha256   {found['sha256']}",
        f"tree     {made['size']:,} bytes",
        f"blocks   {made['blocks']}, of 4,096 bytes of flash each",
        f"sha256   {made['sha256']}",
    ]
    rows += [f"member   {path:32} {size:>7,}" for path, size in found["members"].items()]
    return "\n".join(rows)
