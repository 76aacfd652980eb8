"""Show how all things stand: what runs on them, who is connected, and how their last jobs went.

fleet --state DIR                 one look
fleet --aws --watch               again and again, until Ctrl-C
fleet --state DIR --failed        those whose last job or application failed
fleet --state DIR --web           as a page in a browser, until Ctrl-C
fleet --state DIR --outdated V    those whose application is older than V. A thing without an
                                  application counts with its image.

What a thing is, its board tells in its shadow. With fleet indexing AWS answers a call for each 100
things, and knows who is connected. Without it each thing costs two calls or more. On top come a
call for each of the newest jobs, 50 at most, and one for each thing whose last job went wrong.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from botocore.exceptions import BotoCoreError, ClientError

from sluice.commands import where
from sluice.errors import SluiceError
from sluice.fleet import shapes, shown
from sluice.fleet.clients import UNTRIED, clients, plainly, shadows
from sluice.fleet.filters import Filters
from sluice.fleet.reader import Reader
from sluice.fleet.status import FleetStatus, ThingStatus
from sluice.fleet.watch import passing
from sluice.terminal import drawing, plain

PORTS = range(65_536)
EVERY_S = {True: 1, False: 10}  # of --watch, by whether the cloud is on this machine


def arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    where.arguments(parser, "of a local cloud that runs")
    parser.add_argument(
        "--failed", action="store_true", help="those whose last job or application failed"
    )
    parser.add_argument("--offline", action="store_true", help="those that are not connected")
    parser.add_argument("--outdated", metavar="V", help="those that run less than version V")
    parser.add_argument("--json", action="store_true", help="as JSON, with AWS's names")
    parser.add_argument("--watch", action="store_true", help="show what changes, until Ctrl-C")
    parser.add_argument(
        "--every", type=float, metavar="S", help="of --watch; default: 1, and 10 with --aws"
    )
    parser.add_argument("--web", action="store_true", help="as a page; prints its address")
    parser.add_argument("--port", type=int, metavar="N", help="of --web; default: a free one")
    parser.set_defaults(run=run)
    parser.epilog = UNTRIED


def run(args: argparse.Namespace) -> None:
    """`fleet`."""
    if args.every is not None and not (args.watch and args.every > 0):
        raise SluiceError("--every is for --watch, in seconds")
    filters = Filters(args.failed, args.offline, args.outdated)
    if args.port is not None and not (args.web and args.port in PORTS):
        raise SluiceError(f"--port is for --web, 0 to {PORTS[-1]}")
    place = where.place(args)
    cloud = clients(place)
    reader = Reader(cloud, shadows(place))
    if args.web:
        only_page(args)
        from sluice.page import serving

        serving.serve(serving.page(place), args.port or 0)
        return
    if args.watch:
        watch(reader, filters, args.every or EVERY_S[cloud.near], args.json)
        return
    with plainly():
        found = reader.fleet()
    for note in found.notes:
        tell(note)
    kept = filters.chosen(found.things)
    if args.json:
        print(as_json(kept))
        return
    shown.show(*rows(found, kept), footer(found, kept, args.aws))


def only_page(args: argparse.Namespace) -> None:
    """Refuse what has no meaning for a page, which shows all and has its own filters."""
    words = ("failed", "offline", "outdated", "json", "watch")
    if given := [name for name in words if getattr(args, name)]:
        raise SluiceError(f"not with --web: --{', --'.join(given)}")


def rows(found: FleetStatus, kept: tuple[ThingStatus, ...]) -> list:
    """The things, if there are any."""
    from sluice.fleet import things_shown

    made = shown.console()
    width = made.width if made.is_terminal else None
    return things_shown.fleet(kept, found.read_at, width) if kept else []


def footer(found: FleetStatus, kept: tuple[ThingStatus, ...], calls: bool) -> str:
    """How many, and what it took where calls cost something."""
    from sluice.fleet import things_shown

    cost = f" ({found.calls} calls)" if calls else ""
    return things_shown.summary(found, kept) + cost


def as_json(kept: tuple[ThingStatus, ...]) -> str:
    """All that is known of them."""
    return json.dumps([shapes.of_thing(thing) for thing in kept])


def watch(reader: Reader, filters: Filters, every_s: float, as_data: bool) -> None:
    """Show the things until Ctrl-C: at a terminal as a table that is redrawn, else by lines."""
    if shown.console().is_terminal and not as_data:
        redraw(reader, filters, every_s)
    before: dict[str, ThingStatus] | None = None
    for found in looks(reader, every_s, tell):
        kept = {thing.thing: thing for thing in filters.chosen(found.things)}
        old = before or {}
        changed = tuple(one for name, one in kept.items() if differs(old.get(name), one))
        gone = [name for name in old if name not in kept]
        if as_data and (changed or gone or before is None):
            print(as_json(tuple(kept.values())), flush=True)
        elif not as_data:
            tell_changes(found, changed, gone)
        before = kept


def looks(reader: Reader, every_s: float, say: Callable[[str], None]) -> Iterator[FleetStatus]:
    """The things again and again; what they lack, and what keeps the answer from coming for a
    while, is said once."""
    said: tuple[str, ...] = ()
    lost = False
    while True:
        with plainly():
            try:
                found = reader.fleet()
            except (BotoCoreError, ClientError) as error:
                if not passing(error):
                    raise
                if not lost:
                    say(f"will ask again: {error}")
                lost = True
            else:
                for note in found.notes if found.notes != said else ():
                    say(note)
                said, lost = found.notes, False
                yield found
        time.sleep(every_s)


def tell(note: str) -> None:
    """Say something that is not what was asked for."""
    print(plain(note), file=sys.stderr, flush=True)


def differs(before: ThingStatus | None, now: ThingStatus) -> bool:
    """Whether something worth a line has changed."""
    return before is None or steady(before) != steady(now)


def steady(thing: ThingStatus) -> ThingStatus:
    """Without what changes all the time."""
    return replace(thing, told_at=None, free=None, rssi=None, log=(), reported={})


def tell_changes(found: FleetStatus, changed: tuple[ThingStatus, ...], gone: list[str]) -> None:
    """A line for each thing that is another than before."""
    from sluice.fleet import things_shown

    for thing in changed:
        print(things_shown.line(thing, found.read_at), flush=True)
    for name in gone:
        print(f"{name}  is no longer among them", flush=True)


def redraw(reader: Reader, filters: Filters, every_s: float) -> None:
    """A table that stays in its place."""
    from rich.console import Group
    from rich.live import Live

    console = shown.console()
    with drawing(), Live(console=console, auto_refresh=False) as live:
        for found in looks(reader, every_s, lambda note: console.print(plain(note))):
            kept = filters.chosen(found.things)
            live.update(Group(*rows(found, kept), footer(found, kept, False)), refresh=True)
