"""What a byte of an image costs on its whole way, link to slot, beside *naive* and *the floor*.

Instructions are callgrind's on the i386 unix port, collecting included: a long download less a
short one, so that starting up does not count. What comes is read from a file: MQTT packets through
the real link, route, asyncio and stream source, or a body through the real HTTP, and the image,
into a slot whose flash costs nothing. Not in it: TLS, flash, and the digest that is read back.

ours    the heap holds the code for this and as much beside it as the rest of an agent takes
naive   bench/device/naive.py has the heap to itself; where no block fits in, it gets 1 MiB
floor   bench/device/floor.py
"""

import base64
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import callgrind, packets
from bench.numbers import Effort, Number, Table
from bench.packets import CBOR, HTTP, JSON, Case
from sluice import toolchain
from sluice.compile import compile_module, compile_tree, firmware_sources
from sluice.errors import SluiceError

DEVICE = Path(__file__).with_name("device")
HEAP = 112 << 10
ROOMY, PLENTY = 1 << 20, 64 << 20  # bytes of heap: for naive, and where nothing is collected
FREE = 25_200  # bytes of that which are free as blocks come, as in the whole agent
BLOCKS = (256, 1_024, 4_096, 16_384, 65_536, 98_304)
CASES: tuple[Case, ...] = (
    *((block, JSON) for block in BLOCKS),
    *((block, CBOR) for block in BLOCKS),
    (4_096, HTTP),
)
QUICK: tuple[Case, ...] = ((4_096, JSON), (4_096, CBOR), (4_096, HTTP))
UNIT = 196_608  # bytes, what all blocks divide; a long download is so much longer than a short one
SMALL = 49_152  # the same for blocks of up to SMALL_BLOCK: they are slow
SMALL_BLOCK = 1_024
LARGE = 983_040  # the same by HTTP, where one collection more or less would show
SUBACK = b"\x90\x03\x00\x01\x00"
FLOORS = {JSON: "json", CBOR: "plain", HTTP: "plain"}


@dataclass(frozen=True)
class Client:
    """Who downloads: a function of a module of bench/device, and what it is given of heap."""

    name: str
    heap: int = HEAP

    def script(self, folder: Path, case: Case, size: int, counted: str) -> str:
        """A script that downloads so many bytes, and what it reads."""
        block, form = case
        name = f"{self.name}-{form}{block}x{size}"
        if self.name == "ours":
            free = FREE if counted != "allocated" else 0
            asked = form if form in (CBOR, HTTP) else JSON
            words = (counted, name, size, block, asked, free, packets.THING, packets.STREAM)
            call = f"import ours\nours.run{words}\n"
        elif self.name == "naive":
            words = (counted, name, size, block, packets.THING, packets.STREAM)
            call = f"import others\nothers.naive{words}\n"
        else:
            call = f"import others\nothers.floor{(counted, name, size, FLOORS[form])}\n"
        if not (folder / name).exists():
            self._write(folder / name, case, size)
        (folder / f"{name}{counted}.py").write_text(call)
        return f"{name}{counted}.py"

    def _write(self, file: Path, case: Case, size: int) -> None:
        """What the device reads."""
        if self.name == "floor" or case[1] == HTTP:
            data = packets.content(size, case[0])
            if FLOORS[case[1]] == "json":
                sectors = (data[at : at + 4096] for at in range(0, size, 4096))
                data = b"".join(base64.b64encode(sector) for sector in sectors)
            file.write_bytes(data)
            return
        about = packets.description(size, case[1])
        file.with_name(f"{file.name}.about").write_bytes(about)
        first = SUBACK if self.name == "naive" else b""
        file.write_bytes(first + b"".join(packets.blocks(size, case)))


OURS, NAIVE, NAIVE_ROOMY, FLOOR = (
    Client("ours"),
    Client("naive"),
    Client("naive", ROOMY),
    Client("floor"),
)


def prepare(folder: Path) -> None:
    """The device code and the scripts, as .mpy."""
    sources = firmware_sources()
    sources["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
    compile_tree(sources, folder)
    for script in sorted(DEVICE.glob("*.py")):
        compile_module(script, folder / f"{script.stem}.mpy", script.name, among=True)


def sizes(case: Case) -> tuple[int, int]:
    """Bytes of a short download and of a long one."""
    unit = LARGE if case[1] == HTTP else SMALL if case[0] <= SMALL_BLOCK else UNIT
    return unit, 2 * unit


def instructions(folder: Path, client: Client, case: Case) -> float:
    """Per byte of the image."""
    short, long = sizes(case)
    low, high = (
        callgrind.instructions("i386", client.script(folder, case, size, ""), folder, client.heap)
        for size in (short, long)
    )
    return round((high - low) / (long - short), 1)


def counted(folder: Path, client: Client, case: Case, what: str) -> float:
    """Bytes allocated per byte of the image, or collections per MiB."""
    found, (short, long) = [], sizes(case)
    heap = PLENTY if what == "allocated" else client.heap
    micropython = toolchain.micropython("i386")
    for size in (short, long):
        script = client.script(folder, case, size, what)
        done = callgrind.run([micropython, "-X", f"heapsize={heap}", script], folder)
        if done.returncode:
            raise SluiceError(f"{script}: {(done.stdout + done.stderr)[-300:]}")
        found.append(int(done.stdout.split()[-1]))
    each = (found[1] - found[0]) / (long - short)
    return round(each, 2) if what == "allocated" else round(each * 1024 * 1024)


def named(case: Case) -> str:
    """What its row is called."""
    return "HTTP" if case[1] == HTTP else f"{case[1].upper()} {case[0]:,}"


def row(folder: Path, case: Case, clients: list[Client]) -> Iterator[Number]:
    """The numbers of one row, of those clients."""
    name = named(case)
    note = {NAIVE_ROOMY: "Naive at blocks of 65,536 and more has 1 MiB: 112 KiB do not hold one"}
    label = {"ours": "Sluice", "naive": "naive", "floor": "floor"}
    for client in clients:
        found = instructions(folder, client, case) if callgrind.available() else None
        missing = note.get(client, "") if found is not None else callgrind.MISSING
        yield Number("way", name, label[client.name], found, "instructions/byte", True, missing)
    for what, unit in (("allocated", "bytes/byte"), ("collections", "1/MiB")):
        for client in clients:
            if client is not FLOOR:
                column = f"{what}, {label[client.name]}"
                yield Number("way", name, column, counted(folder, client, case, what), unit)


def clients_of(case: Case) -> list[Client]:
    """Who can do such a download. Nobody naive reads CBOR, which MicroPython has no module for."""
    naive = [NAIVE if case[0] < 65_536 else NAIVE_ROOMY] if case[1] == JSON else []
    return [OURS, *naive, FLOOR]


def measure(effort: Effort) -> Iterator[Number]:
    """All cases."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        prepare(Path(scratch))
        for case in QUICK if effort == Effort.QUICK else CASES:
            yield from row(Path(scratch), case, clients_of(case))


TABLE = Table(
    "way",
    "A byte's way, transfer alone",
    "block, bytes",
    "Instructions a byte of firmware, collecting included, in a heap of 112 KiB. Sluice has the\n"
    "agent's code and memory beside it, naive and the floor have nothing. Without TLS, flash and\n"
    "digest. Allocated: bytes for one of firmware. Collections: for one MiB of it.",
    measure,
    quick=True,
)
