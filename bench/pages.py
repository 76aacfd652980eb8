"""The pages that quote the results: a part of README.md, and bench/RESULTS.md with everything.

    .venv/bin/python -m bench --readme

Both are made of results.json; a test holds that they say what it says.
"""

from collections.abc import Iterable
from pathlib import Path

from bench import tables
from bench.numbers import Number, Table
from sluice.compile import ROOT

README = ROOT / "README.md"
RESULTS = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- made by python -m bench --readme -->\n", "<!-- end of numbers -->"
QUOTED = ("way", "agent", "heap", "roundtrip", "flash", "smaller", "forms")  # tables in README.md
HEAD = """\
# What Sluice costs

This page is made of `results.json` by `.venv/bin/python -m bench --readme`. `make bench` measures
all of it anew in under 15 minutes. The command below each table measures that table alone.

- The port is MicroPython 1.25 for unix, 32 bits. Nothing here ran on a chip.
- *Naive* is [what a user would write today](device/naive.py): umqtt.simple, json, one block a
  request.
- *The floor* is [a loop](device/floor.py) that only reads, decodes and writes.
- Instructions, bytes and flash operations are the same everywhere. Speeds are those of one machine
  with two cores.

"""


def page(every: Iterable[Table], found: Iterable[Number]) -> str:
    """bench/RESULTS.md."""
    found = list(found)
    shown = [text for table in every if (text := tables.rendered(table, found))]
    return HEAD + "\n\n".join(shown).replace("### ", "## ") + "\n"


def placed(text: str, every: Iterable[Table], found: Iterable[Number]) -> str:
    """README.md with its tables in their place."""
    found = list(found)
    before, _, rest = text.partition(BEGIN)
    _, _, behind = rest.partition(END)
    shown = {table.name: tables.rendered(table, found) for table in every}
    quoted = "\n\n".join(shown[name] for name in QUOTED if shown[name])
    return f"{before}{BEGIN}{quoted}\n{END}{behind}"


def write(every: Iterable[Table], found: Iterable[Number]) -> None:
    """Both."""
    every = list(every)
    RESULTS.write_text(page(every, found))
    README.write_text(placed(README.read_text(), every, found))
