"""How things and jobs stand, for people: words, and tables that fit the terminal.

Without a terminal a table has one line a row and nothing is cut, because a program may read it.
"""

import textwrap
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sluice import terminal
from sluice.fleet.status import Execution, progress
from sluice.terminal import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

UNCUT = 1_000_000  # columns where there is no terminal: more than any row needs
UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
STEP = 64  # signs of a step that are shown
LABEL = 12  # columns of a name before what it has
COLOURS = {"SUCCEEDED": "green", "IN_PROGRESS": "cyan", "QUEUED": "dim"}


def age(seconds: float) -> str:
    """A time that has passed: `12 s`, `3 min`, `2 h`, `5 d`."""
    for size, unit in UNITS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def ago(then: float | None, now: float | None = None) -> str:
    """How long ago, "" if that is not known."""
    return "" if then is None else f"{age((now or time.time()) - then)} ago"


def colour(status: str) -> str:
    """Of an execution's status."""
    return COLOURS.get(status, "red")


def console() -> "Console":
    """Standard output, as wide as the terminal; without one so wide that nothing is cut."""
    made = terminal.console()
    if not made.is_terminal:
        made.width = UNCUT
    return made


class Whole(str):
    """A line with an id that is to be copied: the terminal goes on with it in its next line."""

    __slots__ = ()

    def within(self, width: int) -> str:
        """As it is."""
        return self


class Labelled(Whole):
    """A name and what it has. In a narrow terminal what it has goes on below where it began."""

    __slots__ = ()

    def within(self, width: int) -> str:
        """In lines of that many columns."""
        indent = " " * (LABEL + 1)
        lines = textwrap.wrap(
            self,
            max(width, 2 * LABEL),
            subsequent_indent=indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
        return "\n".join(lines)


def show(*parts: "RenderableType") -> None:
    """Print tables and lines; nothing but words stands at the end of a line."""
    from rich.table import Table

    made = console()
    for part in parts:
        if isinstance(part, Table):
            protect(part, made.width)
        if made.is_terminal:
            whole = isinstance(part, Whole)
            made.print(part.within(made.width) if whole else part, soft_wrap=whole)
            continue
        with made.capture() as captured:
            made.print(part, soft_wrap=isinstance(part, str))
        for line in captured.get().splitlines():
            print(line.rstrip())


def plain_table(*columns: str) -> "Table":
    """A table of rows without lines around them. A column that ends in * is never cut."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        whole = name.endswith("*")
        table.add_column(name.rstrip("*"), overflow="fold" if whole else "ellipsis")
    return table


def protect(table: "Table", width: int) -> None:
    """Keep a column that is never cut on one line, where its texts are not too long for that."""
    for column in table.columns:
        longest = max((len(str(cell)) for cell in column.cells), default=0)
        column.no_wrap = column.overflow == "fold" and longest <= width // 2


def labelled(rows: dict[str, str]) -> list[str]:
    """Lines of a name and what it has, if it has any."""
    return [line for name, value in rows.items() if value for line in listed(name, (value,))]


def listed(name: str, values: Iterable[str]) -> list[str]:
    """Lines of all that a name has: it stands before the first."""
    return [
        Labelled(f"{'' if n else name:{LABEL}} {plain(value)}") for n, value in enumerate(values)
    ]


def going(one: Execution) -> str:
    """What a board that works at it has told of it."""
    if one.status != "IN_PROGRESS":
        return ""
    step = one.details.get("self_test") or one.details.get("step") or ""
    blocks, smaller = progress(one.details), progress(one.details, "form")
    told = (
        plain(step[:STEP]),
        f"{blocks.done}/{blocks.total} blocks" if blocks else "",
        f"{smaller.done:,} of {smaller.total:,} bytes" if smaller else "",
    )
    return "".join(f", {text}" for text in told if text)
