"""Whom a job is for: things and thing groups, by name."""

import argparse
from dataclasses import dataclass

from sluice.cloud.names import check_thing
from sluice.errors import SluiceError

THING = "whom it is for; repeatable"
GROUP = "all things of a group; repeatable"


@dataclass(frozen=True)
class Targets:
    """Things and groups, as the user named them."""

    things: tuple[str, ...]
    groups: tuple[str, ...]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options; both may be given several times."""
    parser.add_argument("--thing", action="append", default=[], metavar="NAME", help=THING)
    parser.add_argument("--group", action="append", default=[], metavar="NAME", help=GROUP)


def targets(args: argparse.Namespace) -> Targets:
    """What was asked for; SluiceError if that is nobody or no name."""
    if not args.thing and not args.group:
        raise SluiceError("whom for? --thing NAME or --group NAME")
    things, groups = (
        tuple(dict.fromkeys(check_thing(name) for name in names))
        for names in (args.thing, args.group)
    )
    return Targets(things, groups)


def arns(iot, wanted: Targets) -> list[str]:
    """Their ARNs; ClientError for one that is not there."""
    things = [iot.describe_thing(thingName=name)["thingArn"] for name in wanted.things]
    groups = [
        iot.describe_thing_group(thingGroupName=name)["thingGroupArn"] for name in wanted.groups
    ]
    return things + groups
