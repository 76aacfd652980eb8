"""What the device code weighs: bytes of .mpy and lines, module by module."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.numbers import Effort, Number, Table
from sluice import toolchain
from sluice.compile import compile_tree, firmware_sources

ALL = "device code"


def rows(into: Path) -> list[list[object]]:
    """[module, bytes of .mpy, lines] of the firmware, biggest first; umqtt.simple at the end."""
    sources = firmware_sources()
    compile_tree(sources | {"umqtt/simple.py": toolchain.umqtt() / "umqtt/simple.py"}, into)
    ours = sorted((row(into, name, file) for name, file in sources.items()), key=lambda r: -r[1])
    total = [ALL, sum(row[1] for row in ours), sum(row[2] for row in ours)]
    umqtt = row(into, "umqtt/simple.py", toolchain.umqtt() / "umqtt/simple.py")
    return [*ours, total, umqtt]


def row(into: Path, name: str, file: Path) -> list[object]:
    """One module's row."""
    weight = (into / name).with_suffix(".mpy").stat().st_size
    return [name, weight, len(file.read_text().splitlines())]


def measure(effort: Effort) -> Iterator[Number]:
    """The totals; each module with LONG."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        found = rows(Path(scratch))
    for name, weight, lines in found if effort == Effort.LONG else found[-2:]:
        yield Number("size", name, ".mpy", weight, "bytes")
        yield Number("size", name, "lines", lines, "lines")
        count = len(found) - 2 if name == ALL else 1
        yield Number("size", name, "modules", count, "modules")


TABLE = Table(
    "size",
    "Size of the device code",
    "what",
    "mpy-cross -O3, as the images carry it. Most modules are in RAM only while they are used.\n"
    "With `--long` module by module.",
    measure,
    quick=True,
)
