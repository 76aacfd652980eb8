"""The options that say which cloud a command is for: the same words for every command.

`arguments` adds them, and `place` or `state` tells what they mean. Without --state and --aws, the
state folder is what $SLUICE_STATE names, else ./lab where that is one.
"""

import argparse
import os
from dataclasses import fields
from pathlib import Path

from sluice.cloud.state import State
from sluice.errors import SluiceError
from sluice.fleet.account import Account
from sluice.terminal import remark

VARIABLE = "SLUICE_STATE"
USUAL = Path("lab")


def arguments(
    row: argparse.ArgumentParser, text: str = "of the local cloud", aws: bool = True
) -> None:
    """Add --state, and where a command works with AWS all that belongs to --aws.

    text   what --state is to this command
    """
    either = row.add_mutually_exclusive_group() if aws else row
    usual = f"default: ${VARIABLE}, else ./{USUAL}"
    either.add_argument("--state", type=Path, metavar="DIR", help=f"{text}; {usual}")
    if not aws:
        return
    either.add_argument("--aws", action="store_true", help="with your own AWS settings")
    row.add_argument("--profile", metavar="NAME", help="of your AWS settings, with --aws")
    row.add_argument("--region", metavar="NAME", help="of AWS, with --aws")
    row.add_argument("--endpoint-url", metavar="URL", help="AWS's calls go there, with --aws")


def place(args: argparse.Namespace, new: bool = False, tell: bool = False) -> State | Account:
    """The cloud that is meant. A state folder that was not given becomes `args.state`.

    new     the command may make the folder that --state or $SLUICE_STATE names
    tell    say on stderr which folder it is, where it was not given
    raises  SluiceError: no cloud is named, what is named is no state folder, or an option of
            --aws is there without it
    """
    settings = {field.name: getattr(args, field.name) for field in fields(Account)}
    if args.aws:
        return Account(**settings)
    for name, value in settings.items():
        if value is not None:
            raise SluiceError(f"--{name.replace('_', '-')} is for --aws")
    return _state(args, new, tell, " or --aws")


def state(args: argparse.Namespace, new: bool = False, tell: bool = False) -> State:
    """The same for a command that has no --aws."""
    return _state(args, new, tell, "")


def _state(args: argparse.Namespace, new: bool, tell: bool, other: str) -> State:
    if args.state is None:
        args.state, source = _usual(new, other)
        if tell:
            remark(f"state folder: {args.state} ({source})")
    return State(args.state) if new else _there(State(args.state))


def named(args: argparse.Namespace) -> Path | None:
    """The state folder that --state or $SLUICE_STATE names, whatever it is."""
    found = os.environ.get(VARIABLE)
    return args.state or (Path(found) if found else None)


def _there(state: State) -> State:
    """The same, if it is a state folder; SluiceError for any other folder, or for none."""
    if state.there:
        return state
    if state.root.is_dir():
        raise SluiceError(f"{state.root} is not a state folder: it holds no cloud, thing or board")
    raise SluiceError(f"there is no folder {state.root}")


def _usual(new: bool, other: str) -> tuple[Path, str]:
    """The state folder that is meant without --state, and who says so."""
    named = os.environ.get(VARIABLE)
    if named:
        if new or State(Path(named)).there:
            return Path(named), f"${VARIABLE}"
        raise SluiceError(f"{named}, which ${VARIABLE} names, is not a state folder")
    if State(USUAL).there:
        return USUAL, "by default"
    raise SluiceError(
        f"say where: --state DIR{other}. "
        f"${VARIABLE} is not set, and ./{USUAL} is not a state folder"
    )
