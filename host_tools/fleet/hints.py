"""What may be wrong when things do not begin with a job, and how to tell."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice.cloud.state import State
from sluice.errors import SluiceError
from sluice.fleet.about import of_document
from sluice.fleet.parts import boards_of
from sluice.fleet.shown import ago
from sluice.fleet.status import ThingStatus
from sluice.fleet.things import connectivity

ASKED = 3  # things whose connections are asked for: one call each
SIMULATED = "SIM_"  # how the name of a simulated board begins
NEVER = (
    "it has never connected. Is its board switched on, and flashed with the files of this thing? "
    "`sluice doctor --port PORT` tells what keeps it."
)
GONE = (
    "it is not connected{since}. Is its board switched on, in reach of its Wi-Fi, and not at its "
    "prompt? `sluice console --port PORT` shows its log; aws_job.start() leaves the prompt."
)
THERE = (
    "it is connected{since}, and has not begun. Its board may do another job, or stand at its "
    "prompt: `sluice console --port PORT` shows its log; aws_job.start() leaves the prompt."
)
NOT_KNOWN = (
    "nobody knows whether it is connected. Is its board switched on, and not at its prompt? "
    "`sluice console --port PORT` shows its log."
)
OFF = (
    "{how}. Does its simulated board run, and not stand at its prompt? `{start}` starts it; "
    "aws_job.start() leaves the prompt."
)
ON = (
    "it is connected{since}, and has not begun. Its simulated board may do another job, or stand "
    "at its prompt: `sluice device run` prints its log; aws_job.start() leaves the prompt."
)
EITHER = "`{start}` starts a simulated board."


def hints(iot: Any, queued: Sequence[str], where: str, state: Path | None = None) -> list[str]:
    """A line for each of the first things that have not begun, and how to see the others.

    iot     boto3's client
    where   the options that say which cloud is meant
    state   its folder; None where it has none
    """
    lines = []
    for thing in queued[:ASKED]:
        start = f"sluice device run {thing} {where if state else '--state DIR'}"
        why = reason(connection(iot, thing), simulated(state, thing), start)
        lines.append(f"{thing}: QUEUED, {why}")
    if len(queued) > ASKED:
        command = f"sluice fleet --offline {where}".strip()
        more = len(queued) - ASKED
        lines.append(f"{more} more are QUEUED: `{command}` lists what is not connected")
    return lines


def simulated(state: Path | None, thing: str) -> bool | None:
    """Whether a thing's board is a simulated one; None where nobody knows."""
    if state is None:
        return None
    try:
        told = [board for board in boards_of(State(state), [thing]) if board is not None]
    except SluiceError:  # it cannot be read now
        return None
    if told:
        return all(board.startswith(SIMULATED) for board in told)
    return True if (state / "devices" / thing).is_dir() else None


def connection(iot: Any, thing: str) -> ThingStatus:
    """Whether a thing is connected; what nobody answers is not known."""
    try:
        found = connectivity(iot, thing)
    except (BotoCoreError, ClientError):
        found = {}
    return of_document({"thingName": thing} | found)


def reason(thing: ThingStatus, simulated: bool | None, start: str) -> str:
    """What may be wrong with it; `start` is the command that starts a simulated board."""
    since = f", for {ago(thing.connected_at).removesuffix(' ago')}" if thing.connected_at else ""
    if thing.connected:
        return (ON if simulated else THERE).format(since=since)
    if simulated:
        return OFF.format(how=away(thing, since), start=start)
    if thing.connected is None:
        why = NOT_KNOWN
    else:
        why = GONE.format(since=since) if thing.connected_at else NEVER
    return why if simulated is False else f"{why} {EITHER.format(start=start)}"


def away(thing: ThingStatus, since: str) -> str:
    """How a thing is not connected, as far as anybody knows."""
    if thing.connected is None:
        return "nobody knows whether it is connected"
    return f"it is not connected{since}" if thing.connected_at else "it has never connected"
