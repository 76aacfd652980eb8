"""Runs the sweeps of tests/faults/device on MicroPython, and adds up what came of them."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from patience import LONG_S

from sluice import toolchain
from sluice.compile import ROOT, compile_tree, firmware_sources
from sluice.image.smaller import compressed, delta

HERE = Path(__file__).parent
INSTEAD = {  # what is doubled in the firmware's own tree: what meets the network, and a sum
    "sluice/trust/p256.py": HERE / "instead/p256.py",
}
BEHIND = {  # what is doubled within a module: the double's text stands behind the module's own
    "sluice/net/connect.py": HERE / "instead/connect.py",
}
IMAGES = ("image, JSON", "image, CBOR", "image, HTTP")
SMALLER = ("delta, JSON", "compressed, CBOR", "delta, HTTP")
FILES = ("file, JSON", "file, HTTP", "image and file")
ALL = (*IMAGES, *SMALLER, *FILES, "reboot", "echo")
KINDS = {  # kind of fault → what it is, the jobs that it can meet
    "awaits": ("an exception out of every await", ALL),
    "transport": ("every read, write and connection fails", ALL),
    "requests": ("every request meets every fault of its service", ALL),
    "blocks": (
        "every block of a stream is spoilt",
        (*IMAGES[:2], *SMALLER[:2], "file, JSON", FILES[2]),
    ),
    "pages": (
        "every answer of a file server is spoilt",
        ("image, HTTP", "delta, HTTP", "file, HTTP"),
    ),
    "flash": ("every operation of a slot's flash fails", (*IMAGES, *SMALLER, "image and file")),
    "disk": ("every operation of the file system's flash fails", ALL),
    "full": ("a file system full to each level", ALL),
    "heap": ("the heap is full from every await on", ALL),
}
HEAPS = {"heap": "1m"}  # what is filled must not take long to fill
HEAP = "2m"
WORKERS = 2


@dataclass
class Outcome:
    """What came of the cases of one kind."""

    cases: int = 0
    succeeded: int = 0
    failed: int = 0  # and told so, with the reason
    losses: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Outcome") -> "Outcome":
        self.cases += other.cases
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.losses += other.losses
        return self


def build(into: Path) -> Path:
    """The firmware as .mpy, with the doubles in it, and the containers of the images."""
    sources = firmware_sources()
    sources["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
    doubled = INSTEAD | {name: into / Path(name).name for name in BEHIND}
    into.mkdir(parents=True, exist_ok=True)
    for name, double in BEHIND.items():
        doubled[name].write_text(sources[name].read_text() + "\n\n" + double.read_text())
    compile_tree(sources | doubled, into, short=False)
    subprocess.run([toolchain.micropython(), HERE / "device/images.py", into], check=True)
    old, new = ((into / name).read_bytes() for name in ("old.bin", "new.bin"))
    text = f"DELTA = {delta(new, old)!r}\nCOMPRESSED = {compressed(new)!r}\n"
    (into / "containers.py").write_text(text, encoding="utf-8")
    return into


def swept(compiled: Path, kind: str, job: str, first: int, step: int, arch: str) -> Outcome:
    """The faults first, first + step, … of that kind, met by that job."""
    words = [toolchain.micropython(arch), "-X", f"heapsize={HEAPS.get(kind, HEAP)}"]
    search = f"{HERE}/device:{ROOT}/tests/firmware:{compiled}:.frozen"
    done = subprocess.run(
        [*words, HERE / "device/sweep.py", kind, job, str(first), str(step)],
        capture_output=True,
        text=True,
        timeout=4 * LONG_S,
        env={**os.environ, "MICROPYPATH": search},
    )
    outcome, ended = Outcome(), False
    for line in done.stdout.splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "@LOSS":
            label, wrong, said = json.loads(rest)
            outcome.losses.append("\n    ".join([f"{kind}, {job}: {label}: {wrong}", *said]))
        elif mark == "@SUM":
            ended = True
            outcome += Outcome(**json.loads(rest))
    if not ended:  # the interpreter itself ended: that is a loss, too
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        outcome.losses.append(f"{kind}, {job}: MicroPython ended, {done.returncode}: {tail}")
    return outcome


def sweeps(
    compiled: Path, kinds: Iterable[str], step: int = 1, shares: int = 1, arch: str = "amd64"
) -> Iterator[tuple[str, Outcome]]:
    """(kind, outcome) of each, as they come. Every `step`th fault is taken.

    shares   processes that the faults of one job are dealt out to
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        running = {}
        for kind in kinds:
            running[kind] = [
                pool.submit(
                    swept, compiled, kind, job, (at + place * step) % (step * shares),
                    step * shares, arch,
                )
                for place in range(shares)
                for at, job in enumerate(KINDS[kind][1])
            ]  # fmt: skip
        for kind, shared in running.items():
            total = Outcome()
            for one in shared:
                total += one.result()
            yield kind, total


def commit() -> str:
    """The commit that is run; "+" when something was changed since."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip() or "no commit"
