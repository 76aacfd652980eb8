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

from bench import blocking, callgrind, p256, rv32_machine, rv32_port, stream, tables, way
from host_tools import toolchain
from host_tools.compile import FIRMWARE, compile_module
from host_tools.errors import SluiceError

COMMAND = "make bench-rv32"
WAYS = ((4_096, stream.JSON), (256, stream.JSON), (4_096, stream.CBOR))
BLOCKS = (4_096, 256)  # bytes, of the parser alone
PARSED = 32_768  # bytes of firmware that it takes
UNITS = (1, 3)  # of 98,304 bytes: a short download and a long one
LIVE = 60 << 10  # bytes of heap in use when it is collected
KEYS = 3  # over which a signature's instructions are averaged
LOADED = ("transfer.json_block", "transfer.stream", "trust.p256")
STRETCHES = (  # of bench.blocking, between two awaits
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
parser, buf = BlockParser(Receiver()), bytearray(4 + {buffer})
view = memoryview(buf)
for n in range({times} * {blocks}):
    parser.reset()
    for at in range(0, len(text), {buffer}):
        piece = text[at : at + {buffer}]
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
        at = reader.plainly(text, at, min(at + 1024, len(text)))
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
import on_its_way
keep = []
gc.collect()
while gc.mem_alloc() < {live}:
    keep.append(bytearray(84))
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

    per        bytes, or times, that the second script does more
    rounds     the number is the mean of so many, `before` each of which something is made anew
    in_place   code in flash: RV32 alone
    """

    name: str
    scripts: tuple[str, ...]
    per: int = 1
    unit: str = "instructions"
    rounds: int = 1
    before: Callable[[], object] = int
    in_place: bool = False

    def value(self, run: Callable[[str], rv32_machine.Run]) -> float:
        """By that machine, once."""
        *less, more = (run(script) for script in self.scripts)
        if not less:
            return int(more.said)
        return (more.instructions - less[0].instructions) / self.per


def measures(folder: Path) -> Iterator[Measure]:
    """All that is measured, once their scripts are made."""
    blocking.prepare(folder)
    way.prepare(folder)  # it clears scripts away that were compiled before
    p256.compile_all(folder)
    for case in WAYS:
        size, form = f"blocks of {case[0]:,}", case[1].upper()
        scripts = [
            way.scenario(folder, case, units * stream.UNIT, way.BESIDE, False) for units in UNITS
        ]
        names = tuple(script.removesuffix(".py") for script in scripts)
        per = (UNITS[1] - UNITS[0]) * stream.UNIT
        yield Measure(f"a byte of an image, {form} in {size}, link to sector", names, per)
    for block in BLOCKS:
        yield parsing(folder, block)
    yield decoding(folder)
    yield timed(folder, "sha", "a byte's SHA-256, in software", SHA256, 8 * 4_096)
    for kind, stem in (("P-256", "p256"), ("RSA-2048", "rsa")):
        names = (f"{stem}1", f"{stem}2")
        made = partial(p256.make_case, kind, folder)
        yield Measure(f"one {kind} signature", names, rounds=KEYS, before=made)
    for number, name in enumerate(STRETCHES):
        before, each = blocking.STRETCHES[name]
        words = {"before": before, "each": each}
        yield timed(folder, f"stretch{number}", name, blocking.SCRIPT, **words)
    for number, name in enumerate(LOADED):
        yield from loading(folder, name, f"load{number}")
    yield timed(folder, "collect", "a garbage collection, 60 KiB live", COLLECT, live=LIVE)


def timed(folder: Path, stem: str, name: str, text: str, per: int = 1, **words) -> Measure:
    """Of a script that does something once, and one that does it twice."""
    for times in (1, 2):
        written(folder, f"{stem}{times}", text.format(times=times, **words))
    return Measure(name, (f"{stem}1", f"{stem}2"), per)


def parsing(folder: Path, block: int) -> Measure:
    """Of the parser of JSON, fed as the link feeds it, and its firmware dropped."""
    data = random.Random(block).randbytes(block)
    text = base64.b64encode(data).decode()
    message = {"c": stream.TOKEN, "f": 0, "i": 7, "l": block, "p": text}
    (folder / f"block{block}").write_text(json.dumps(message, separators=(",", ":")))
    words = {"file": f"block{block}", "buffer": stream.BUFFER, "blocks": PARSED // block}
    name = f"a byte of an image, JSON in blocks of {block:,}, the parser alone"
    return timed(folder, f"parse{block}x", name, PARSE, PARSED, **words)


def decoding(folder: Path) -> Measure:
    """Of what the parsers decode with."""
    name = "a byte out of base64, by the device's reader"
    return timed(folder, "base64", name, BASE64, 8 * 1_536)


def loading(folder: Path, name: str, stem: str) -> Iterator[Measure]:
    """Of a module whose own imports were loaded before: into the heap, and in flash."""
    source = FIRMWARE / f"sluice/{name.replace('.', '/')}.py"
    words = {"before": "\n".join(imports(source.read_text())), "load": f"import sluice.{name}"}
    written(folder, f"{stem}none", LOAD.format(**words | {"load": ""}))
    written(folder, f"{stem}one", LOAD.format(**words))
    written(folder, f"{stem}weighed", WEIGH.format(**words))
    scripts, weighed = (f"{stem}none", f"{stem}one"), (f"{stem}weighed",)
    size = (folder / f"sluice/{name.replace('.', '/')}.mpy").stat().st_size
    yield Measure(f"loading {name}, {size:,} bytes of .mpy", scripts)
    yield Measure(f"what {name} takes", weighed, unit="bytes of heap")
    yield Measure(f"loading {name} in flash", scripts, in_place=True)
    yield Measure(
        f"what {name} takes, code in flash", weighed, unit="bytes of heap", in_place=True
    )


def imports(text: str) -> list[str]:
    """The imports of a module's own level, and its package."""
    nodes = ast.parse(text).body
    return [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def written(folder: Path, stem: str, text: str) -> None:
    """A script as .mpy; it speaks of the firmware's modules, whose names are short."""
    source = folder / f"{stem}.py"
    source.write_text(text)
    compile_module(source, folder / f"{stem}.mpy", source.name, among=True)
    source.unlink()


def counted(measure: Measure, folder: Path) -> tuple[float, float | None]:
    """On RV32 and on i386; None where nothing counts there."""
    text = measure.unit != "instructions"
    machines: list[Callable[[str], rv32_machine.Run]] = [
        partial(rv32_machine.on_rv32, folder, in_place=measure.in_place)
    ]
    if not measure.in_place and (text or callgrind.available()):
        machines.append(partial(rv32_machine.on_i386, folder, counted=not text))
    found: list[list[float]] = [[] for _ in machines]
    for _ in range(measure.rounds):
        measure.before()
        for values, run in zip(found, machines, strict=True):
            values.append(measure.value(run))
    rv32, *i386 = (sum(values) / len(values) for values in found)
    return rv32, i386[0] if i386 else None


def shown(value: float | None) -> object:
    """A cell: what is not whole and small to a tenth."""
    whole = value is None or value > 5_000 or value == int(value)
    return value and int(value) if whole else round(value, 1)


def entries(measure: Measure, rv32: float, i386: float | None) -> Iterator[dict[str, object]]:
    """What a file has of a measurement."""
    for where, value in (("RV32", rv32), ("i386", i386)):
        if value is not None:
            yield {
                "name": f"{measure.name} ({where})",
                "value": round(value, 1),
                "unit": measure.unit,
                "command": COMMAND,
                "repeatable": True,  # within 5 %: keys are new ones each time
            }


def measured(file: Path | None) -> None:
    """Print the table; write the file."""
    rv32_port.firmware()
    toolchain.qemu()
    if not callgrind.available():
        print(callgrind.MISSING)
    rows, saved = [], []
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        for measure in list(measures(folder)):
            rv32, i386 = counted(measure, folder)
            ratio = f"{rv32 / i386:.2f}" if i386 else None
            rows.append([measure.name, measure.unit, shown(rv32), shown(i386), ratio])
            saved += entries(measure, rv32, i386)
    version = toolchain.version_of(toolchain.micropython("i386"))
    tables.show(
        "On RV32",
        ["what", "unit", "RV32", "i386", "RV32 / i386"],
        rows,
        f"RV32: rv32imc as an ESP32-C3 has it, -O2, MicroPython {rv32_port.RELEASE.version},"
        f" counted by qemu.\ni386: unix port, MicroPython {version}, counted by callgrind.\n"
        f"Heap: {rv32_port.HEAP >> 10} KiB, code in it, unless it says flash.",
    )
    if file:
        file.write_text(json.dumps(saved, indent=1, ensure_ascii=False) + "\n")


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
