"""What streaming an image costs: instructions per byte, and KiB/s on this machine.

    .venv/bin/python -m bench.stream

Instructions are callgrind's on the i386 unix port: MQTT packets from a file, in pieces as large as
the link's buffer, through the packet reader, the stream source, the block parser and the image,
into a slot whose flash costs nothing. A run over four blocks of 98,304 bytes less one
over two, so that starting up does not count. Rows with CBOR are streams in that format, whose
largest block is four thirds of JSON's. Not in it: the socket, TLS, flash, and the digest
that is read back afterwards. KiB/s are those of whole updates over mutual TLS on the loopback
interface, with simulated flash: this machine's, and no board's. The local cloud's HTTP is plain.
"""

import base64
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import callgrind, session, tables
from bench.command import guarded
from host_tools import toolchain
from host_tools.cloud import cbor
from host_tools.compile import compile_module, compile_tree, firmware_sources
from host_tools.errors import SluiceError

Case = tuple[int, str]  # bytes of a block, and the format that it comes in

BUFFER = 2_048  # bytes that the device reads at a time
JSON, CBOR = "json", "cbor"  # forms of a stream
ESCAPED = "escaped"  # JSON, with every character of a payload written as \u and four digits
MIXED = "mixed"  # the same of every second character: escapes to take out of what needs none
CASES: tuple[Case, ...] = (
    *((block, JSON) for block in (256, 1_024, 4_096, 16_384, 98_304)),
    *((block, CBOR) for block in (1_024, 4_096, 16_384, 98_304)),
)
UNIT = 98_304  # bytes, what all blocks divide
HEAP = 256_000
THING, STREAM, TOKEN = "bench", "AFR_OTA-bench", "sluice-00000000"

DEVICE = """
import sluice.transfer.stream as mqtt_stream
from sluice.net.packets import Whole
from sluice.net.reader import Reader
from sluice.transfer.image import Image
from sluice.job import File

mqtt_stream.getrandbits = lambda bits: 0


class Slot:
    def writeblocks(self, number, data, offset=None):
        pass

    def readblocks(self, number, data, offset=0):
        pass

    def ioctl(self, operation, argument):
        return 0


class Clock:
    def ticks_ms(self):
        return 0

    def ticks_diff(self, later, earlier):
        return later - earlier

    def ticks_add(self, ticks, delta):
        return ticks + delta


class Link:
    def __init__(self, file):
        self._file = file
        self._sinks = {}
        self._reader = Reader(None, self._sinks.get)

    async def subscribe(self, handlers):
        for topic, handler in handlers.items():
            sink = handler if hasattr(handler, "feed") else Whole(handler, 8192)
            self._sinks[topic.encode()] = sink

    def unsubscribe(self, topic):
        self._sinks.pop(topic.encode())

    def publish(self, topic, message):
        pass

    async def wait(self, ready, wait_ms):
        reader = self._reader
        while not ready():
            reader.dear = False
            size = 0 if reader.rest else self._file.readinto(reader.room())
            if not size and not reader.rest:
                return False
            reader.take(size)
        return True


class Sources:
    name, times = "", 0

    def __init__(self, link, settings):
        self.link, self.settings = link, settings
        self.clock = Clock()


async def pause():
    pass


def run(packets, size, block, form):
    what = File(size, "mqtt_stream")
    what.stream, what.id = "STREAM", 0
    image = Image(Slot(), size, block)
    with open(packets, "rb") as file:
        settings = {"thing": "THING", "window": 262_144, "stream_format": form}
        stream = mqtt_stream.MQTTStream(Sources(Link(file), settings), what, block)
        try:
            stream.fetch(image, pause).send(None)
        except StopIteration:
            pass
    if image.missing() >= 0:
        raise SystemExit(1)
"""


def packets(size: int, case: Case) -> Iterator[bytes]:
    """The broker's side of a download as PUBLISH packets: the description, then all blocks."""
    block, form = case
    suffix = "cbor" if form == CBOR else "json"
    prefix = f"$aws/things/{THING}/streams/{STREAM}/"
    about = {"c": TOKEN, "s": 1, "r": [{"f": 0, "z": size}]}
    yield padded(f"{prefix}description/{suffix}", about)
    noise = random.Random(block)
    for index in range(size // block):
        data: bytes | str = noise.randbytes(block)
        if form != CBOR:
            data = base64.b64encode(data).decode()
        message = {"c": TOKEN, "f": 0, "i": index, "l": block, "p": data}
        yield publish(f"{prefix}data/{suffix}", message, {ESCAPED: 1, MIXED: 2}.get(form, 0))


def padded(topic: str, message: dict) -> bytes:
    """The packet, so long that a read of the device's buffer ends with it: blocks come later."""
    lengths = (publish(topic, message | {"d": "-" * count}) for count in range(2 * BUFFER))
    return next(packet for packet in lengths if len(packet) % BUFFER == 0)


def publish(topic: str, message: dict, every: int = 0) -> bytes:
    """One MQTT packet at QoS 0; `every` such character of a payload escaped, as JSON may be."""
    body = len(topic).to_bytes(2, "big") + topic.encode()
    if topic.endswith("cbor"):
        body += cbor.dumps(message)
    else:
        text = json.dumps(message, separators=(",", ":"))
        if every:
            plain = message["p"]
            written = (c if at % every else f"\\u{ord(c):04x}" for at, c in enumerate(plain))
            text = text.replace(plain, "".join(written))
        body += text.encode()
    left, length = len(body), bytearray()
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return b"\x30" + bytes([*length, left]) + body


def prepare(folder: Path) -> None:
    """The device code and the script, as .mpy."""
    sources = firmware_sources()
    sources["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
    compile_tree(sources, folder)
    script = folder / "streaming.py"
    script.write_text(DEVICE.replace("STREAM", STREAM).replace("THING", THING))
    compile_module(script, folder / "streaming.mpy", "streaming.py", among=True)
    script.unlink()


def scenario(folder: Path, case: Case, size: int) -> str:
    """A script for so many bytes in blocks of that kind, and its packets."""
    block, form = case
    name = f"{form}{block}x{size}"
    (folder / name).write_bytes(b"".join(packets(size, case)))
    asked = CBOR if form == CBOR else JSON
    script = f"import streaming\nstreaming.run({name!r}, {size}, {block}, {asked!r})\n"
    (folder / f"{name}.py").write_text(script)
    return f"{name}.py"


def per_byte(folder: Path, case: Case, unit: int = UNIT) -> int:
    """Instructions per byte of the image, of runs over two and four units."""
    low, high = (
        callgrind.instructions("i386", scenario(folder, case, units * unit), folder, HEAP)
        for units in (2, 4)
    )
    return round((high - low) / (2 * unit))


def speed(cloud: session.Session, case: Case | None) -> int:
    """KiB/s of the download, by the board's own clock; without a case it is by HTTP."""
    block, form = case or (4_096, JSON)
    more = {"stream_format": "cbor"} if form == CBOR else {}
    with cloud.board(block, heap="1M", **more) as board:
        update = cloud.update(board, 1_468_006, "mqtt" if case else "http")
    if not update.succeeded:
        raise SluiceError(f"blocks of {block}: {update.reason}")
    return round(update.size / 1024 / (update.download_ms / 1000))


def main() -> int:
    """Print the table."""
    counted: dict[Case, int | None] = dict.fromkeys(CASES)
    if callgrind.available():
        with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
            prepare(Path(scratch))
            counted = {case: per_byte(Path(scratch), case) for case in CASES}
    else:
        print(callgrind.MISSING)
    with session.opened() as cloud:
        rows = [
            [f"{case[0]:,}{' CBOR' * (case[1] == CBOR)}", counted[case], speed(cloud, case)]
            for case in CASES
        ]
        rows.append(["HTTP ranges", None, speed(cloud, None)])
    tables.show(
        "Streaming, by size of the block",
        ["block, bytes", "instructions per byte", "KiB/s, loopback"],
        rows,
        "Instructions: i386, without socket, TLS, flash and digest. KiB/s: 1.4 MiB, a window of\n"
        "256 KiB; streams over mutual TLS, HTTP without.",
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
