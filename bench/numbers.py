"""What is measured: numbers with names, in tables, and the file that keeps them.

`bench/results.json` is written by a run, and committed. The README's tables and the plots are made
of it. A number that is repeatable comes out the same on every machine, or nearly so: tests hold
it. One that is not, such as a speed, is this machine's.
"""

import enum
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sluice import toolchain

RESULTS = Path(__file__).with_name("results.json")
BETWEEN = " / "  # table, row and column, in the name of a number


class Effort(enum.IntEnum):
    """How much is measured: what takes two minutes, fifteen, or as long as it takes."""

    QUICK, USUAL, LONG = range(3)


@dataclass(frozen=True)
class Number:
    """One number.

    value        None where there is none: `note` says why
    repeatable   whether it comes out the same everywhere
    note         what is special about it
    """

    table: str
    row: str
    column: str
    value: float | None
    unit: str
    repeatable: bool = True
    note: str = ""

    @property
    def name(self) -> str:
        """What it is called in results.json."""
        return BETWEEN.join((self.table, self.row, self.column))

    @property
    def command(self) -> str:
        """What measures it again."""
        return f".venv/bin/python -m bench {self.table}"

    def written(self) -> dict[str, object]:
        """As results.json has it."""
        about = {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "command": self.command,
            "repeatable": self.repeatable,
        }
        return about | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class Table:
    """A measurement, and how its numbers are shown.

    name      of the table, and of the measurement on the command line
    head      of the first column
    note      below the table: what was measured, and on what
    measure   yields the numbers, row by row
    alone     it measures time, and wants the machine to itself
    quick     a part of it takes seconds, and is measured with QUICK
    """

    name: str
    title: str
    head: str
    note: str
    measure: Callable[[Effort], Iterator[Number]]
    alone: bool = False
    quick: bool = False


def load(path: Path = RESULTS) -> list[Number]:
    """The numbers of an earlier run; none when there was none."""
    if not path.exists():
        return []
    return [read(about) for about in json.loads(path.read_text())["numbers"]]


def read(about: dict) -> Number:
    """A number as results.json has it."""
    words = about["name"].split(BETWEEN)
    rest = about["value"], about["unit"], about["repeatable"], about.get("note", "")
    return Number(*words, *rest)


def save(numbers: Iterable[Number], path: Path = RESULTS) -> None:
    """Write them all."""
    about = {
        "machine": f"{os.cpu_count()} cores",
        "micropython": toolchain.version_of(toolchain.micropython("i386")),
        "numbers": [number.written() for number in numbers],
    }
    path.write_text(json.dumps(about, indent=1) + "\n")


def merged(old: list[Number], new: list[Number], whole: bool) -> list[Number]:
    """The old numbers, with the new ones in their place.

    whole   of the tables that are among the new ones, nothing old stays
    """
    if whole:
        tables = {number.table for number in new}
        return [number for number in old if number.table not in tables] + new
    again = {number.name: number for number in new}
    return [again.pop(number.name, number) for number in old] + list(again.values())


def value(numbers: Iterable[Number], table: str, row: str, column: str) -> float | None:
    """One number's value; None when it is not known."""
    wanted = BETWEEN.join((table, row, column))
    return next((number.value for number in numbers if number.name == wanted), None)
