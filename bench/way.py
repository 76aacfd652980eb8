"""What a byte of an image costs on its whole way, link to image, and what it allocates.

    .venv/bin/python -m bench.way [heap, KiB]

Instructions are callgrind's on the i386 unix port: MQTT packets from a file through the real Link,
asyncio's turns, the stream source and the image, into a slot whose flash costs nothing, collecting
included. The heap holds the code for this and as much beside it as the rest of an agent takes. A
long download less a short one, so that starting up does not count. Not in it: TLS, flash, and the
digest that is read back afterwards.
"""

import sys
import tempfile
from pathlib import Path

from bench import callgrind, stream, tables
from bench.command import guarded
from host_tools.compile import compile_module

HEAP_KIB = 112
BESIDE = 225  # objects of 100 bytes: with them 39 KiB are free of 112, as in the whole agent
CASES: tuple[stream.Case, ...] = (
    *((block, stream.JSON) for block in (256, 1_024, 4_096, 16_384, 98_304)),
    *((block, stream.CBOR) for block in (256, 1_024, 4_096, 16_384, 98_304)),
)
UNITS = (2, 6)  # of 98,304 bytes: a short download and a long one

DEVICE = """
import asyncio
import gc
import time

import sluice.net.mqtt
import sluice.loading
import sluice.transfer.update
import sluice.transfer.stream as mqtt_stream
from sluice.transfer.image import Image
from sluice.errors import Retry
from sluice.job import File
from sluice.transfer.update import Update

mqtt_stream.getrandbits = lambda bits: 0


class Slot:
    inactive, size, trial, version = "ota_1", 1 << 24, None, "1"

    def target(self):
        return self

    def hide(self):
        pass

    def writeblocks(self, number, data, offset=None):
        pass

    def readblocks(self, number, buf, offset=0):
        pass

    def ioctl(self, operation, argument):
        return 0

    def check(self, head, size):
        return "2"


class Clock:
    ticks_ms, ticks_add, ticks_diff = time.ticks_ms, time.ticks_add, time.ticks_diff

    async def sleep_ms(self, ms):
        await asyncio.sleep_ms(ms)


class Journal(dict):
    written = b""

    def about(self, job):
        return False

    def begin(self, *words):
        pass

    def write(self, **fields):
        pass


class Sock:
    "A connection whose broker grants all, and sends a file once blocks are asked for."

    def __init__(self, about, blocks):
        self._about, self._blocks, self._granted = about, blocks, []
        self.readinto = self._answer

    def write(self, data):
        if data[0] == 0x82:
            at, topics = 2 if data[1] < 0x80 else 3, 0
            number = data[at : at + 2]
            at += 2
            while at < len(data):
                at += 3 + (data[at] << 8 | data[at + 1])
                topics += 1
            self._granted.append(bytes((0x90, 2 + topics)) + number + bytes(topics))
            self.readinto = self._answer
        elif b"/describe/" in data:
            self.readinto = self._described
        return len(data)

    def _answer(self, buf):
        if not self._granted:
            return None
        answer = self._granted.pop(0)
        buf[: len(answer)] = answer
        return len(answer)

    def _described(self, buf):
        size = self._about.readinto(buf)
        if not size:  # the first block was asked for before
            self.readinto = self._blocks.readinto
        return size or None

    def close(self):
        pass


class Sources:
    name, times = "", 0

    def __init__(self, link, clock, settings):
        self.link, self.clock, self.settings = link, clock, settings


class Judged(Update):
    def check(self, head):
        pass


async def download(packets, size, block, form, update):
    what = File(size, "mqtt_stream")
    what.stream, what.id, what.signature = "STREAM", 0, "s"
    what.files = [what]
    image = update.open(what)
    clock = Clock()
    link = sluice.net.mqtt.Link("thing", "", 0, None, 0, clock)
    with open(packets + ".about", "rb") as about, open(packets, "rb") as blocks:

        async def opened(link, *words):
            link.sock, link.linked = Sock(about, blocks), True

        sluice.net.mqtt.plug_in = lambda path, name: opened
        await link.connect()
        settings = {"thing": "THING", "window": 1 << 17, "stream_format": form}
        source = mqtt_stream.MQTTStream(Sources(link, clock, settings), what, block)

        async def watch():
            update.checkpoint()

        try:
            await source.fetch(image, watch)
        except Retry:  # the file ends
            pass
    if image.missing() >= 0:
        raise SystemExit(1)


class Uncollected:
    "Stands for gc where everything that was allocated is to be counted."

    threshold = mem_free = lambda self, size=0: 1 << 20

    def collect(self):
        pass


def run(packets, size, block, form, beside, counted):
    keep = [bytearray(84) for _ in range(beside)]
    update = Judged(Slot(), Journal(), {"block": block}, bytearray(4100))
    gc.threshold(3000)
    if counted:
        gc.collect()
        gc.disable()
        sluice.transfer.update.gc = sluice.loading.gc = Uncollected()
        before = gc.mem_alloc()
    print("free", gc.mem_free())
    asyncio.run(download(packets, size, block, form, update))
    if counted:
        print(gc.mem_alloc() - before)
    return keep
"""


def prepare(folder: Path) -> None:
    """The device code and the script, as .mpy."""
    stream.prepare(folder)
    script = folder / "on_its_way.py"
    script.write_text(DEVICE.replace("STREAM", stream.STREAM).replace("THING", stream.THING))
    compile_module(script, folder / "on_its_way.mpy", "on_its_way.py", among=True)
    script.unlink()


def scenario(folder: Path, case: stream.Case, size: int, beside: int, counted: bool) -> str:
    """A script for so many bytes in blocks of that kind, and its packets."""
    block, form = case
    name = f"{form}{block}x{size}"
    about, *blocks = stream.packets(size, case)
    (folder / f"{name}.about").write_bytes(about)
    (folder / name).write_bytes(b"".join(blocks))
    asked = stream.CBOR if form == stream.CBOR else stream.JSON
    words = f"{name!r}, {size}, {block}, {asked!r}, {beside}, {counted}"
    (folder / f"{name}.py").write_text(f"import on_its_way\non_its_way.run({words})\n")
    return f"{name}.py"


def per_byte(folder: Path, case: stream.Case, heap: int, beside: int = BESIDE) -> float:
    """Instructions per byte of the image."""
    low, high = (
        callgrind.instructions(
            "i386", scenario(folder, case, units * stream.UNIT, beside, False), folder, heap
        )
        for units in UNITS
    )
    return (high - low) / ((UNITS[1] - UNITS[0]) * stream.UNIT)


def allocated(folder: Path, case: stream.Case) -> float:
    """Bytes allocated per byte of the image, where nothing is collected."""
    counts = []
    for units in UNITS:
        script = scenario(folder, case, units * stream.UNIT, 0, True)
        command = [*callgrind.for_valgrind("i386", folder), "-X", "heapsize=64m", script]
        done = callgrind.run(command, folder)
        counts.append(int(done.stdout.split()[-1]))
    return (counts[1] - counts[0]) / ((UNITS[1] - UNITS[0]) * stream.UNIT)


def main() -> int:
    """Print the table."""
    if not callgrind.available():
        print(callgrind.MISSING)
        return 0
    heap = int(sys.argv[1]) if sys.argv[1:] else HEAP_KIB
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        prepare(folder)
        rows = [
            [
                f"{block:,} {form}",
                round(per_byte(folder, (block, form), heap << 10), 1),
                f"{allocated(folder, (block, form)):.2f}",
            ]
            for block, form in CASES
        ]
    tables.show(
        "A byte's way",
        ["block, bytes", "instructions per byte", "bytes allocated per byte"],
        rows,
        f"i386, {heap} KiB of heap, collecting included; without TLS, flash and digest.",
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
