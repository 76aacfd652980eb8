"""The pages that quote the results: some numbers in README.md, and bench/RESULTS.md with all.

    .venv/bin/python -m bench --readme

Both are made of results.json; a test holds that they say what it says.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import tables
from bench.numbers import Number, Table
from sluice.compile import ROOT

README = ROOT / "README.md"
RESULTS = Path(__file__).with_name("RESULTS.md")
BEGIN, END = "<!-- made by python -m bench --readme -->\n", "<!-- end of numbers -->"
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

![instructions for a byte, by size of the block](plots/way.svg)
![speed by round trip, large window](plots/large.svg)
![speed by round trip, an ESP32's window](plots/small.svg)

"""
TAIL = """\

## On an ESP32-C3's instruction set

`make bench-rv32` runs the device's modules on RV32, in qemu. [The design](../firmware/DESIGN.md)
has what it counted. No chip was measured. Blocks of 256 bytes work, and are slow. Take 4,096 or
more.
"""


@dataclass(frozen=True)
class Headline:
    """A number that README.md shows beside that of what one would use instead.

    ours, other   the names of two numbers in results.json
    instead       what the other one is of
    """

    what: str
    ours: str
    other: str
    instead: str


HEADLINES = (
    Headline(
        "bytes on the wire, TLS and all: an application of 1 KB",
        "bundles / application of 1 KB / on the wire",
        "smaller / two real builds, 12 weeks apart / image",
        "the file of an image that has it",
    ),
    Headline(
        "bytes of the file: MicroPython, 12 weeks newer",
        "smaller / two real builds, 12 weeks apart / delta",
        "smaller / two real builds, 12 weeks apart / image",
        "the image whole",
    ),
    Headline(
        "instructions a byte, blocks of 4,096",
        "way / JSON 4,096 / Sluice",
        "way / JSON 4,096 / naive",
        "umqtt.simple and json",
    ),
    Headline(
        "instructions a byte, blocks of 98,304",
        "way / JSON 98,304 / Sluice",
        "way / JSON 98,304 / naive",
        "umqtt.simple and json",
    ),
    Headline(
        "KiB/s over a round trip of 150 ms",
        "roundtrip / 150 ms, large / JSON",
        "roundtrip / 150 ms, large / naive",
        "umqtt.simple and json",
    ),
)


def page(every: Iterable[Table], found: Iterable[Number]) -> str:
    """bench/RESULTS.md."""
    found = list(found)
    shown = [text for table in every if (text := tables.rendered(table, found))]
    return HEAD + "\n\n".join(shown).replace("### ", "## ") + "\n" + TAIL


def headlines(found: Iterable[Number]) -> str:
    """The table of README.md."""
    known = {number.name: number for number in found}
    rows = []
    for one in HEADLINES:
        ours, other = known.get(one.ours), known.get(one.other)
        command = f"`bench {one.ours.split()[0]}`"
        rows.append([one.what, tables.text(ours), tables.text(other), one.instead, command])
    return tables.markdown(["what", "Sluice", "instead", "which is", "measured by"], rows)


def placed(text: str, found: Iterable[Number]) -> str:
    """README.md with its numbers in their place."""
    before, _, rest = text.partition(BEGIN)
    _, _, behind = rest.partition(END)
    return f"{before}{BEGIN}{headlines(found)}\n{END}{behind}"


def write(every: Iterable[Table], found: Iterable[Number]) -> None:
    """Both."""
    found = list(found)
    RESULTS.write_text(page(every, found))
    README.write_text(placed(README.read_text(), found))
