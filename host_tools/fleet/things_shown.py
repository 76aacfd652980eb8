"""How things stand, for people: `thing list`, `thing show` and `fleet`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sluice.fleet.failures import newest_first
from sluice.fleet.shown import Whole, ago, colour, going, labelled, listed, plain_table
from sluice.fleet.status import Execution, FleetStatus, ThingStatus

WIDE = 120  # columns of a terminal from which on a thing may have one line
GAP = 2  # columns between two columns of a table
INDENT = 2  # of a job below its thing
STOPPED = {"failed": "red", "ended": "yellow"}  # colours of an application's state


def seen(thing: ThingStatus, now: float | None = None) -> Text:
    """Whether a thing is connected, else when it was last heard of."""
    if thing.connected:
        return Text("connected", "green")
    if thing.seen_at is not None:
        return Text(ago(thing.seen_at, now), "yellow")
    return Text("never" if thing.connected is False else "not known", "dim")


@dataclass(frozen=True)
class Row:
    """What a row of `fleet` is made of."""

    thing: str
    board: str
    image: str
    agent: str
    app: Text
    seen: Text
    heap: str
    signal: str
    reset: str
    job: Execution | None


def row(thing: ThingStatus, now: float) -> Row:
    """A thing's."""
    trial = " on trial" if thing.trial else ""
    return Row(
        thing=thing.thing,
        board=thing.board,
        image=thing.image + (trial if thing.image else ""),
        agent=thing.agent,
        app=application(thing),
        seen=seen(thing, now),
        heap=f"{thing.free:,}" if thing.free is not None else "",
        signal=f"{thing.rssi} dBm" if thing.rssi is not None else "",
        reset=thing.reset,
        job=thing.job,
    )


def application(thing: ThingStatus) -> Text:
    """Its application's version, and that it does not run any more."""
    state = thing.app_state if thing.app_state != "running" else ""
    return Text.assemble(
        thing.app, " " if thing.app and state else "", (state, STOPPED.get(state, ""))
    )


def last_job(one: Execution | None) -> Text:
    """Its verdict, and which it was."""
    if one is None:
        return Text()
    return Text.assemble((one.verdict + going(one), colour(one.status)), (f" ({one.job})", "dim"))


def fleet(found: Iterable[ThingStatus], now: float, width: int | None) -> list[RenderableType]:
    """A row for each thing; what none has told has no column. A job's id is never cut, because
    other commands take it.

    width  columns of the terminal; None without one: a row is one line then
    """
    rows = [row(thing, now) for thing in found]
    columns = wide(rows)
    ids = (len(one.job.job) + len("()") for one in rows if one.job)
    if width is not None and (width < WIDE or room(columns, width) < max(ids, default=0)):
        return stacked(rows)
    table = plain_table(*columns)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return [table]


def wide(rows: Sequence[Row]) -> dict[str, list[Text]]:
    """The columns of one line a thing."""
    columns = {
        "THING*": [Text(row.thing) for row in rows],
        "SEEN*": [row.seen for row in rows],
        "BOARD": [Text(row.board) for row in rows],
        "IMAGE": [Text(row.image) for row in rows],
        "AGENT": [Text(row.agent) for row in rows],
        "APP": [row.app for row in rows],
        "FREE*": [Text(row.heap, justify="right") for row in rows],
        "SIGNAL*": [Text(row.signal) for row in rows],
        "RESET": [Text(row.reset) for row in rows],
        "LAST JOB": [last_job(row.job) for row in rows],
    }
    return {name: cells for name, cells in columns.items() if any(cell.plain for cell in cells)}


def room(columns: dict[str, list[Text]], width: int) -> int:
    """What the other columns leave to LAST JOB."""
    others = {name: cells for name, cells in columns.items() if name != "LAST JOB"}
    return width - sum(longest(name, *cells) + GAP for name, cells in others.items())


def longest(name: str, *cells: Text) -> int:
    """Columns that a column needs."""
    lines = [line.cell_len for cell in cells for line in cell.split()]
    return max(len(name.rstrip("*")), *lines, 0)


def stacked(rows: Sequence[Row]) -> list[RenderableType]:
    """Several lines a thing, for terminals that are not wide: its job is below it."""
    things = [above(row) for row in rows]
    names = ("THING", "RUNS", "HEALTH")
    widths = [
        longest(name, *cells) for name, cells in zip(names, zip(*things, strict=True), strict=True)
    ]
    found: list[RenderableType] = []
    for n, (row, cells) in enumerate(zip(rows, things, strict=True)):
        table = plain_table(*names)  # one for each thing: all are as wide
        table.show_header = n == 0
        for column, width in zip(table.columns, widths, strict=True):
            column.min_width = width
        table.add_row(*cells)
        found += [table, *below(row.job)]
    return found


def above(row: Row) -> tuple[Text, Text, Text]:
    """What a thing is, what runs on it, and how it does."""
    runs = {"image": Text(row.image), "agent": Text(row.agent), "app": row.app}
    heap = f"{row.heap} free" if row.heap else ""
    reset = f"reset: {row.reset}" if row.reset else ""
    health = [Text(text) for text in (heap, row.signal, reset) if text]
    return (
        lines(Text(row.thing), Text(row.board, "dim")),
        lines(*(Text.assemble(f"{name} ", text) for name, text in runs.items() if text)),
        lines(row.seen, *health),
    )


def below(job: Execution | None) -> list[RenderableType]:
    """A thing's last job: how it went, and its id in a line of its own."""
    if job is None:
        return []
    said = Text(job.verdict + going(job), colour(job.status))
    return [Padding(said, (0, 0, 0, INDENT)), Whole(f"{'':{INDENT}}job {job.job}")]


def line(thing: ThingStatus, now: float) -> str:
    """A thing in one line, for who reads what changes."""
    one = row(thing, now)
    runs = {"image": one.image, "agent": one.agent, "app": one.app.plain}
    told = [f"{name} {text}" for name, text in runs.items() if text]
    reset = f"reset: {one.reset}" if one.reset else ""
    job = last_job(one.job).plain
    parts = (one.thing, one.seen.plain, *told, one.signal, reset, job)
    return "  ".join(part for part in parts if part)


def lines(*texts: Text) -> Text:
    """Texts below each other."""
    return Text("\n").join(text for text in texts if text.plain)


def things(found: Sequence[ThingStatus]) -> list[Table | str]:
    """`thing list`."""
    if not found:
        return ["no things"]
    table = plain_table("THING*", "SEEN", "BOARD", "GROUPS")
    for one in found:
        table.add_row(Text(one.thing), seen(one), Text(one.board), Text(", ".join(one.groups)))
    return [table]


def summary(found: FleetStatus, kept: Sequence[ThingStatus]) -> str:
    """`12 things: 9 connected, 1 whose last job went wrong`, or `none of 12 things`."""
    if not kept and found.things:
        return f"none of {len(found.things):,} thing{'s' * (len(found.things) > 1)}"
    connected = sum(thing.connected is True for thing in kept)
    counts = {
        "whose last job went wrong": sum(thing.job_failed for thing in kept),
        "whose application failed": sum(thing.app_failed for thing in kept),
    }
    of = "" if len(kept) == len(found.things) else f" of {len(found.things):,}"
    noun = "thing" if len(kept) == 1 and not of else "things"
    wrong = "".join(f", {count:,} {words}" for words, count in counts.items() if count)
    return f"{len(kept):,}{of} {noun}: {connected:,} connected{wrong}"


def thing(one: ThingStatus) -> list[str]:
    """`thing show`."""
    trees = {tree.partition(".")[0]: tree for tree in one.trees.split("+")}

    def code(version: str, kind: str, state: str = "") -> str:
        known = version or ("no version" if state else "none, or none that was told")
        tree = f", from tree {trees[kind]}" if trees.get(kind) else ""
        return f"{known}{tree}{', ' if state else ''}{state}"

    slot = f" in {one.slot}" if one.slot else ""
    rows = {
        "thing": one.thing,
        "groups": ", ".join(one.groups),
        "connected": link(one),
        "board": one.board or "not told",
        "image": f"{one.image or 'not told'}{slot}",
        "micropython": one.micropython,
        "agent": code(one.agent, "agent"),
        "application": code(one.app, "app", one.app_state),
        "trial": "what runs is on trial" if one.trial else "",
        "free heap": f"{one.free:,} bytes" if one.free is not None else "",
        "signal": f"{one.rssi} dBm" if one.rssi is not None else "",
        "last reset": one.reset,
        "last job": last_job(one.job).plain,
        "told": ago(one.told_at) or "nothing yet",
    }
    return labelled(rows) + listed("failures", failures(one)) + listed("log", one.log)


def failures(one: ThingStatus) -> list[str]:
    """What went wrong on its board, the newest first."""
    return [f"{ago(at) + ': ' if at else ''}{text}" for at, text in newest_first(one.failures)]


def link(one: ThingStatus) -> str:
    """Whether a thing is connected, since when, and why not."""
    since = ago(one.connected_at).removesuffix(" ago")
    if one.connected is None:
        return "nobody knows"
    if one.connected:
        return f"yes, for {since}" if since else "yes"
    why = f", {one.disconnect_reason}" if one.disconnect_reason else ""
    return f"no, for {since}{why}" if since else "no, and it never was"
