"""What the device's modules cost on RV32, an ESP32-C3's instruction set, beside i386.

    .venv/bin/python -m bench.rv32 [--json FILE]

Each number is a difference of two runs, so that starting up does not count. The device's own
modules run on MicroPython, in 112 KiB of heap with the code in it. rv32_port.py builds it, and
rv32_machine.py counts. Instructions only: how many cycles one takes, and what flash adds, a
simulator does not know.
"""

import argparse
import ast
import base64
import json
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import blocking, callgrind, p256, packets, rv32_machine, rv32_port, tables, way
from bench.numbers import Number
from sluice import toolchain
from sluice.compile import FIRMWARE, compile_module
from sluice.errors import SluiceError

COMMAND = "make bench-rv32"
TABLE = "rv32"
WAYS = ((4_096, packets.JSON), (256, packets.JSON), (4_096, packets.CBOR))
READ = 1_024  # bytes that the link takes from the socket at a time
BLOCKS = (4_096, 256)  # bytes, of the parser alone
PARSED = 32_768  # bytes of firmware that it takes
LIVE = 60 << 10  # bytes of heap in use when it is collected
LOADED = ("transfer.json_block", "transfer.stream", "trust.p256")
RV32, I386, FLASH = "RV32", "i386", "RV32, in flash"  # columns
STRETCHES = (  # of bench/blocking.py, between two awaits
    "a P-256 slice, the first",
    "a P-256 slice, the others",
    "an RSA-4096 slice",
    "reading a message of 8 KiB",
    "a record of the journal",
    "4 KiB by HTTP, and its head",
    "a head of 4 KiB by HTTP",
)

PARSE = """
from sluice.transfer.json_block import BlockParser

class Receiver:
    def wanted(self, parser):
        return True
    def take(self, data):
        pass

with open("{file}", "rb") as file:
    text = memoryview(file.read())
parser, buf = BlockParser(Receiver()), bytearray(4 + {read})
view = memoryview(buf)
for n in range({times} * {blocks}):
    parser.reset()
    for at in range(0, len(text), {read}):
        piece = text[at : at + {read}]
        view[4 : 4 + len(piece)] = piece
        parser.feed(buf, 4, 4 + len(piece))
    if not parser.whole:
        raise SystemExit(1)
"""
BASE64 = """
from binascii import b2a_base64
from sluice.transfer.base64 import Base64
text = bytearray(4) + b2a_base64(bytes(range(256)) * 6)[:-1]
reader = Base64(len)
for n in range({times} * 8):
    reader.reset()
    reader.left = 2048
    at = 4
    while at < len(text):
        at = reader.plainly(text, at, min(at + {read}, len(text)))
    if reader.decoded != 1536:
        raise SystemExit(1)
"""
SHA256 = """
import hashlib
sha, data = hashlib.sha256(), bytes(4096)
for n in range({times} * 8):
    sha.update(data)
"""
COLLECT = """
import gc
import ours
keep = None  # a chain: the collector marks a long list twice
gc.collect()
while gc.mem_alloc() < {live}:
    keep = keep, bytearray(64)
for n in range({times}):
    gc.collect()
"""
LOAD = """
import gc
{before}
gc.collect()
used = gc.mem_alloc()
{load}
"""
WEIGH = LOAD + "gc.collect()\nprint(gc.mem_alloc() - used)\n"


@dataclass(frozen=True)
class Measure:
    """Something to count, by two scripts. Or what one script says.

    per          bytes, or times, that the second script does more
    before       makes what the scripts read
    in_place     it is counted with its code in flash, too: on RV32 alone
    repeatable   within 5 %: RSA's keys are new ones each time
    """

    name: str
    scripts: tuple[str, ...]
    per: int = 1
    unit: str = "instructions"
    before: Callable[[], object] = int
    in_place: bool = False
    repeatable: bool = True

    def value(self, run: Callable[[str], rv32_machine.Run]) -> float:
        """By that machine."""
        *less, more = (run(script) for script in self.scripts)
        if not less:
            return int(more.said)
        each = (more.instructions - less[0].instructions) / self.per
        return round(each, 1) if self.per > 1 else round(each)


def measures(folder: Path) -> Iterator[Measure]:
    """All that is measured, once their scripts are made."""
    blocking.prepare(folder)
    p256.compile_all(folder)
    for case in WAYS:
        yield downloading(folder, case)
    for block in BLOCKS:
        yield parsing(folder, block)
    yield decoding(folder)
    yield timed(folder, "sha", "a byte's SHA-256, in software", SHA256, 8 * 4_096)
    for kind, stem in (("P-256", "p256"), ("RSA-2048", "rsa")):
        names = (f"run_{stem}1.py", f"run_{stem}2.py")
        made = partial(p256.make_case, kind, folder)
        name = f"one {kind} signature"
        yield Measure(name, names, before=made, repeatable="RSA" not in kind)
    for number, name in enumerate(STRETCHES):
        before, each = blocking.STRETCHES[name]
        words = {"before": before, "each": each}
        times = (0, 1) if "slice" in name else (1, 2)
        yield timed(folder, f"stretch{number}x", name, blocking.SCRIPT, 1, times, **words)
    for number, name in enumerate(LOADED):
        yield from loading(folder, name, f"load{number}")
    yield timed(folder, "collect", "a garbage collection, 60 KiB live", COLLECT, live=LIVE)


def timed(
    folder: Path, stem: str, name: str, text: str, per: int = 1, times=(1, 2), **words
) -> Measure:
    """Of a script that does something so often, and one that does it once more."""
    for count in times:
        written(folder, f"{stem}{count}", text.format(times=count, read=READ, **words))
    scripts = tuple(f"run_{stem}{count}.py" for count in times)
    return Measure(name, scripts, per, repeatable="RSA" not in name)


def downloading(folder: Path, case: packets.Case) -> Measure:
    """Of the whole way of a byte, link to slot, as bench/way.py has it."""
    short, long = way.sizes(case)
    scripts = tuple(way.OURS.script(folder, case, size, "") for size in (short, long))
    name = f"a byte of an image, {case[1].upper()} in blocks of {case[0]:,}, link to slot"
    return Measure(name, scripts, long - short)


def parsing(folder: Path, block: int) -> Measure:
    """Of the parser of JSON, fed as the link feeds it, and its firmware dropped."""
    data = random.Random(block).randbytes(block)
    text = base64.b64encode(data).decode()
    message = {"c": packets.TOKEN, "f": 0, "i": 7, "l": block, "p": text}
    (folder / f"block{block}").write_text(json.dumps(message, separators=(",", ":")))
    name = f"a byte of an image, JSON in blocks of {block:,}, the parser alone"
    words = {"file": f"block{block}", "blocks": PARSED // block}
    return timed(folder, f"parse{block}x", name, PARSE, PARSED, **words)


def decoding(folder: Path) -> Measure:
    """Of what the parsers decode with."""
    name = "a byte out of base64, by the device's reader"
    return timed(folder, "base64x", name, BASE64, 8 * 1_536)


def loading(folder: Path, name: str, stem: str) -> Iterator[Measure]:
    """Of a module whose own imports were loaded before, and what it takes."""
    source = FIRMWARE / f"sluice/{name.replace('.', '/')}.py"
    words = {"before": "\n".join(imports(source.read_text())), "load": f"import sluice.{name}"}
    written(folder, f"{stem}none", LOAD.format(**words | {"load": ""}))
    written(folder, f"{stem}one", LOAD.format(**words))
    written(folder, f"{stem}weighed", WEIGH.format(**words))
    size = (folder / f"sluice/{name.replace('.', '/')}.mpy").stat().st_size
    title = f"loading {name}, {size:,} bytes of .mpy"
    yield Measure(title, (f"run_{stem}none.py", f"run_{stem}one.py"), in_place=True)
    title = f"the heap that {name} takes"
    yield Measure(title, (f"run_{stem}weighed.py",), unit="bytes", in_place=True)


def imports(text: str) -> list[str]:
    """The imports of a module's own level."""
    nodes = ast.parse(text).body
    return [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def written(folder: Path, stem: str, text: str) -> None:
    """A script as .mpy, and one that runs it; it speaks of modules whose names are short."""
    source = folder / f"{stem}.py"
    source.write_text(text)
    compile_module(source, folder / f"{stem}.mpy", source.name, among=True)
    source.unlink()
    (folder / f"run_{stem}.py").write_text(f"import {stem}\n")


def counted(measure: Measure, folder: Path) -> Iterator[Number]:
    """The numbers of a row."""
    measure.before()
    weighed = len(measure.scripts) == 1
    machines: dict[str, Callable[[str], rv32_machine.Run]] = {}
    machines[RV32] = partial(rv32_machine.on_rv32, folder)
    if weighed or callgrind.available():
        machines[I386] = partial(rv32_machine.on_i386, folder, counted=not weighed)
    if measure.in_place:
        machines[FLASH] = partial(rv32_machine.on_rv32, folder, in_place=True)
    for column, run in machines.items():
        unit = measure.unit if measure.per == 1 else f"{measure.unit}/byte"
        value = measure.value(run)
        yield Number(TABLE, measure.name, column, value, unit, measure.repeatable)


def row(numbers: list[Number]) -> list[str]:
    """Its cells: each machine's, and how many of RV32's instructions stand for one of i386's."""
    found = {number.column: number for number in numbers}
    rv32, i386 = found[RV32].value, found.get(I386)
    ratio = f"{rv32 / i386.value:.2f}" if i386 else "–"
    shown = [tables.text(found.get(column)) for column in (RV32, I386)]
    return [numbers[0].row, *shown, ratio, tables.text(found.get(FLASH))]


def measured(file: Path | None) -> None:
    """Print the table; write the file."""
    rv32_port.firmware()
    toolchain.qemu()
    if not callgrind.available():
        print(callgrind.MISSING)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        found = [list(counted(measure, folder)) for measure in list(measures(folder))]
    print(tables.markdown(["what", RV32, I386, f"{RV32} / {I386}", FLASH], map(row, found)))
    version = toolchain.version_of(toolchain.micropython("i386"))
    print(
        "\nInstructions, and bytes of heap."
        f" RV32: rv32imc as an ESP32-C3 has it, -O2, MicroPython {rv32_port.RELEASE.version},\n"
        f"counted by qemu. i386: unix port, MicroPython {version}, counted by callgrind.\n"
        f"Heap: {rv32_port.HEAP >> 10} KiB, code in it, but in the last column. `{COMMAND}`"
    )
    if file:
        entries = [number.written() | {"command": COMMAND} for row in found for number in row]
        file.write_text(json.dumps({"numbers": entries}, indent=1) + "\n")


def main(words: list[str] | None = None) -> int:
    """0; 1 when something went wrong; 2 when a part is missing, which one line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.rv32", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    file = parser.parse_args(words).json
    try:
        measured(file)
    except SluiceError as error:
        print("bench: " + " ".join(str(error).split()), file=sys.stderr)
        return 2 if isinstance(error, toolchain.ToolchainError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
