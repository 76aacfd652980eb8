"""What the device code weighs: bytes of .mpy and lines, module by module.

.venv/bin/python -m bench.size
"""

import sys
import tempfile
from pathlib import Path

from bench import tables
from bench.command import guarded
from host_tools import toolchain
from host_tools.compile import compile_tree, firmware_sources


def rows(into: Path) -> list[list[object]]:
    """[module, bytes of .mpy, lines] of the firmware, biggest first; umqtt.simple at the end."""
    sources = firmware_sources()
    compile_tree(sources | {"umqtt/simple.py": toolchain.umqtt() / "umqtt/simple.py"}, into)
    ours = sorted((row(into, name, file) for name, file in sources.items()), key=lambda r: -r[1])
    total = [f"all {len(ours)}", sum(row[1] for row in ours), sum(row[2] for row in ours)]
    umqtt = row(into, "umqtt/simple.py", toolchain.umqtt() / "umqtt/simple.py")
    return [*ours, total, umqtt]


def row(into: Path, name: str, file: Path) -> list[object]:
    """One module's row."""
    weight = (into / name).with_suffix(".mpy").stat().st_size
    return [name, weight, len(file.read_text().splitlines())]


def main() -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        found = rows(Path(scratch))
    tables.show(
        "Size of the device code",
        ["module", ".mpy bytes", "lines"],
        found,
        "mpy-cross -O3, as the images carry it. Most modules are in RAM only while they are used.",
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
