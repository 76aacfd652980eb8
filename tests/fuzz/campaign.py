"""Every parser, how its inputs are made, and what else reads them; and one run of inputs."""

import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import containers
import inputs
import readers

from sluice import toolchain
from sluice.compile import compile_tree, firmware_sources

HERE = Path(__file__).parent
PAST = HERE / "past"
BATCH = 5_000  # inputs of one process, at most
HEAP = 1_000_000  # bytes, at least; a small one is quick, because each input is measured
CPU_S = 300  # of one process: what takes longer hangs
JSON = 45  # bytes that json.loads takes for one of its input, at most: a bracket of a deep list
FILES = 2_500_000  # bytes, most of them LittleFS's own, where files are opened and removed
SECTORS = 250_000  # bytes, where what comes is cut into slices and sectors are made of it
SLOW_MS = 2_000  # of the processor's time, for one input of a few KiB, at most


@dataclass(frozen=True)
class Parser:
    """A parser of the device.

    what     in words, for the table
    make     random.Random → an input
    reader   what else reads it; see readers
    bytes    that one input may have allocated, garbage included
    each     the same, for each byte of the input
    """

    what: str
    make: inputs.Maker
    reader: readers.Reader | None = None
    bytes: int = 60_000
    each: int = 0


json_of = inputs.of_json
spoilt = inputs.mostly
# fmt: off
PARSERS = {  # name of the function in device/parsers.py
    "block_json": Parser("stream block, JSON", spoilt(inputs.block_json, inputs.JSON_PARTS, 2),
                         readers.block_json, 160_000),
    "block_cbor": Parser("stream block, CBOR", spoilt(inputs.block_cbor, inputs.CBOR_PARTS, 2),
                         readers.block_cbor, 120_000),
    "cbor": Parser("small CBOR", spoilt(inputs.small_cbor, inputs.CBOR_PARTS)),
    # Each input is read four times: as a description and as a refusal, of either format.
    "stream": Parser("description or refusal of a stream", inputs.stream_answer, None, 160_000),
    "packets": Parser("MQTT packets", spoilt(inputs.packets, inputs.BYTES, 4), readers.packets,
                      200_000),
    "http": Parser("HTTP answer", spoilt(inputs.http_answer, inputs.LINE_PARTS, 4),
                   readers.http_answer, 200_000),
    "redirect": Parser("Location of a redirect", spoilt(inputs.where, inputs.LINE_PARTS, 2)),
    "address": Parser("address of a file", spoilt(inputs.address, inputs.LINE_PARTS, 2)),
    "sntp": Parser("SNTP answer", spoilt(inputs.sntp, inputs.BYTES), readers.sntp),
    "signer": Parser("signer file", spoilt(inputs.signer, inputs.BYTES, 20), readers.signer),
    "signature": Parser("signature in base64", spoilt(inputs.signature_text, inputs.JSON_PARTS),
                        readers.signature),
    "ecdsa": Parser("ECDSA signature", spoilt(inputs.der_signature, inputs.BYTES, 2),
                    readers.ecdsa),
    "rsa": Parser("RSA signature", inputs.rsa_signature),
    "afr_ota": Parser("document afr_ota", json_of(inputs.afr_ota), each=JSON),
    "operation": Parser("document operation", json_of(inputs.operation), each=JSON),
    "location": Parser("document location", json_of(inputs.location), each=JSON),
    "steps": Parser("document steps", json_of(inputs.steps), each=JSON),
    "devices": Parser("document devices", json_of(inputs.devices), each=JSON),
    "jobs": Parser("answers of the Jobs service", json_of(inputs.jobs_answer), each=JSON),
    "updates": Parser("answers to an update", json_of(inputs.update_answer)),
    "shadow": Parser("shadow document", json_of(inputs.shadow)),
    "order": Parser("order by thing/product", json_of(inputs.an_order), None, 120_000),
    "kept_order": Parser("file of an order", json_of(inputs.kept_order)),
    "configuration": Parser("config.json", json_of(inputs.configured), each=JSON),
    "settings": Parser("settings.json", json_of(inputs.changed)),
    "journal": Parser("journal record", inputs.record(inputs.noted)),
    "staged": Parser("record of staged files", inputs.record(inputs.noted_files), None, FILES),
    "pending": Parser("jobs that wait", json_of(inputs.waiting)),
    "proof": Parser("signature kept of a slot's image", json_of(inputs.proven)),
    "linked": Parser("way that linked last", spoilt(inputs.a_way, inputs.JSON_PARTS, 2)),
    "rest": Parser("note of the last readable configuration", json_of(inputs.configured),
                   each=JSON),
    "floor": Parser("file of the clock's floor", spoilt(inputs.floor, inputs.JSON_PARTS, 2)),
    "appimage": Parser("head of an app image", spoilt(inputs.app_head, inputs.BYTES, 2),
                       readers.app_image),
    "stagedimage": Parser("head of a W800 image", spoilt(inputs.staged_head, inputs.BYTES, 2),
                          readers.staged_image),
    "otadata": Parser("otadata record", spoilt(inputs.otadata, inputs.BYTES, 2), readers.otadata),
    "seal": Parser("seal of an image", spoilt(inputs.sealed, inputs.BYTES, 2), readers.seal),
    "bundle": Parser("what a bundle says of itself", json_of(inputs.bundle)),
    "smaller": Parser("container of a smaller image", containers.ordered, readers.smaller,
                      SECTORS),
    "version": Parser("version of an image", spoilt(inputs.version, inputs.JSON_PARTS, 2)),
}
# fmt: on


@dataclass
class Outcome:
    """What came of the inputs of one parser."""

    inputs: int = 0
    taken: int = 0
    bytes: int = 0  # that one input allocated, at most
    losses: list[str] = field(default_factory=list)


def build(folder: Path) -> Path:
    """The device code as .mpy."""
    sources = firmware_sources()
    sources["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
    compile_tree(sources, folder, short=False)
    return folder


def past(name: str) -> list[bytes]:
    """Inputs that went wrong once: a file of the parser's name, in hex, a line for each."""
    file = PAST / f"{name}.txt"
    if not file.exists():
        return []
    lines = [line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines()]
    return [bytes.fromhex(line) for line in lines if line]


def batches(name: str, count: int, seed: int) -> Iterator[list[bytes]]:
    """The past ones first, then `count` that are made."""
    if old := past(name):
        yield old
    for begin in range(0, count, BATCH):
        chance = Random(f"{name} {seed} {begin}")
        yield [PARSERS[name].make(chance) for _ in range(min(BATCH, count - begin))]


def run(compiled: Path, name: str, arch: str, count: int, seed: int) -> Outcome:
    """Run a parser on the port of that kind."""
    outcome = Outcome()
    for data in batches(name, count, seed):
        judge(name, data, lines(compiled, name, arch, data), outcome)
    return outcome


def lines(compiled: Path, name: str, arch: str, data: list[bytes]) -> list[str]:
    """What the device says of each; fewer where it hung or died."""
    heap = max(HEAP, 2 * PARSERS[name].bytes)
    search = f"{HERE / 'device'}:{HERE.parent / 'firmware'}:{compiled}:.frozen"
    with tempfile.TemporaryDirectory(prefix="sluice-fuzz-") as scratch:
        packed = b"".join(len(one).to_bytes(4, "big") + one for one in data)
        (Path(scratch) / "inputs").write_bytes(packed)
        script = HERE / "device/fuzzing.py"
        done = subprocess.run(
            [toolchain.micropython(arch), "-X", f"heapsize={heap}", script, name, "inputs"],
            capture_output=True,
            text=True,
            errors="replace",
            cwd=scratch,
            env={**os.environ, "MICROPYPATH": search},
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_CPU, (CPU_S, CPU_S)),
        )
    found = done.stdout.splitlines()
    if len(found) < len(data):
        fault = done.stderr[-300:].replace("\n", " ")
        found.append(f"! 0 0 ended with {done.returncode}: {fault}")
    return found


def judge(name: str, data: list[bytes], said: list[str], outcome: Outcome) -> None:
    """Count the verdicts, and note what must not be."""
    parser = PARSERS[name]
    outcome.inputs += len(data)
    for one, line in zip(data, said, strict=False):
        mark, size, ms, verdict = [*line.split(" ", 3), ""][:4]
        outcome.taken += mark == "+"
        outcome.bytes = max(outcome.bytes, int(size))
        wrong = None
        if mark == "!":
            wrong = verdict
        elif int(size) > parser.bytes + parser.each * len(one):
            wrong = f"allocated {int(size):,} bytes"
        elif int(ms) > SLOW_MS:
            wrong = f"took {ms} ms"
        elif parser.reader:
            wrong = parser.reader(one, verdict if mark == "+" else None)
        if wrong:
            outcome.losses.append(f"{name}: {wrong}: {one.hex()}")
