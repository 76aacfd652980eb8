"""What may be wrong when things do not begin with a job, and how to tell."""

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice.fleet.about import of_document
from sluice.fleet.shown import ago
from sluice.fleet.status import ThingStatus
from sluice.fleet.things import connectivity

ASKED = 3  # things whose connections are asked for: one call each
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


def hints(iot: Any, queued: Sequence[str], where: str) -> list[str]:
    """A line for each of the first things that have not begun, and how to see the others.

    iot     boto3's client
    where   the options that say which cloud is meant
    """
    lines = [f"{thing}: QUEUED, {reason(connection(iot, thing))}" for thing in queued[:ASKED]]
    if len(queued) > ASKED:
        command = f"sluice fleet --offline {where}".strip()
        more = len(queued) - ASKED
        lines.append(f"{more} more are QUEUED: `{command}` lists what is not connected")
    return lines


def connection(iot: Any, thing: str) -> ThingStatus:
    """Whether a thing is connected; what nobody answers is not known."""
    try:
        found = connectivity(iot, thing)
    except (BotoCoreError, ClientError):
        found = {}
    return of_document({"thingName": thing} | found)


def reason(thing: ThingStatus) -> str:
    """What may be wrong with it."""
    if thing.connected is None:
        return NOT_KNOWN
    if thing.connected_at is None:
        return THERE.format(since="") if thing.connected else NEVER
    since = f", for {ago(thing.connected_at).removesuffix(' ago')}"
    return (THERE if thing.connected else GONE).format(since=since)
