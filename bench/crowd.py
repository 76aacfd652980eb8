"""How many boards the local cloud serves at once, until this machine's cores are full.

The boards are none: connections over mutual TLS that ask for 8 blocks of 4,096 bytes in JSON, wait
for all, and ask again, as fast as they get them. They share the machine with the cloud, and cost
less than real boards. What they wait for is a round trip.
"""

import asyncio
import json
import os
import ssl
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import session
from bench.numbers import Effort, Number, Table
from host_tools.errors import SluiceError

CROWDS = {Effort.USUAL: (1, 5, 10, 20, 50, 100), Effort.LONG: (1, 5, 10, 20, 50, 100, 200)}
BLOCK, COUNT = 4_096, 8  # bytes; blocks of a request
SIZE = 1_468_006  # bytes of the file
FOR_S = 5  # seconds that a crowd is watched
PUBLISH, SUBACK = 0x30, 0x90


@dataclass
class Member:
    """One connection; `trips` are the seconds of its round trips, with when they ended."""

    thing: str
    stream: str
    trips: list[tuple[float, float]] = field(default_factory=list)

    async def live(self, port: int, context: ssl.SSLContext) -> None:
        """Connect, subscribe, and ask for blocks until cancelled."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        topic = f"$aws/things/{self.thing}/streams/{self.stream}"
        name = text(self.thing)
        writer.write(packet(0x10, b"\x00\x04MQTT\x04\x02\x04\xb0" + name))
        writer.write(packet(0x82, b"\x00\x01" + text(f"{topic}/data/json") + b"\x00"))
        while await kind(reader) & 0xF0 != SUBACK:
            pass
        first, total = 0, SIZE // BLOCK - COUNT
        while True:
            request = {"c": "crowd", "f": 0, "l": BLOCK, "o": first, "n": COUNT}
            asked = time.monotonic()
            writer.write(packet(PUBLISH, text(f"{topic}/get/json") + json.dumps(request).encode()))
            for _ in range(COUNT):
                while await kind(reader) & 0xF0 != PUBLISH:
                    pass
            now = time.monotonic()
            self.trips.append((now, now - asked))
            first = (first + COUNT) % total


def text(words: str) -> bytes:
    """A text as MQTT has it."""
    return len(words).to_bytes(2, "big") + words.encode()


def packet(kind_: int, body: bytes) -> bytes:
    """A packet of fewer than 16,384 bytes."""
    return bytes((kind_, len(body) & 0x7F | 0x80, len(body) >> 7)) + body


async def kind(reader: asyncio.StreamReader) -> int:
    """The next packet's first byte; the rest is passed over."""
    first, size, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    await reader.readexactly(size)
    return first


def context_of(folder: Path) -> ssl.SSLContext:
    """TLS with a thing's certificate."""
    context = ssl.create_default_context(cafile=str(folder / "AmazonRootCA1.pem"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT if hasattr(ssl, "VERIFY_X509_STRICT") else -1
    context.load_cert_chain(folder / "certificate.pem.crt", folder / "private.pem.key")
    return context


async def watched(cloud: session.Session, members: list[Member]) -> tuple[float, float]:
    """(seconds, cores busy) of a crowd, from when all of them have had an answer.

    raises   SluiceError when one of them gets none in READY_S
    """
    things = cloud.state / "things"
    tasks = [
        asyncio.create_task(one.live(cloud.port, context_of(things / one.thing)))
        for one in members
    ]
    try:
        limit = time.monotonic() + session.READY_S
        while not all(one.trips for one in members):
            await asyncio.sleep(0.1)
            for task in tasks:
                if task.done():
                    task.result()
            if time.monotonic() > limit:
                raise SluiceError(f"not all of {len(members)} at once were answered")
        for one in members:
            one.trips.clear()
        begin, busy = time.monotonic(), busy_s()
        await asyncio.sleep(FOR_S)
        took = time.monotonic() - begin
        return took, (busy_s() - busy) / took
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def busy_s() -> float:
    """Seconds that this machine's cores have worked, all together, since it started."""
    words = Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    user, nice, system, _, _, irq, softirq, *_ = map(int, words)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def measure(effort: Effort) -> Iterator[Number]:
    """Each crowd; the last is the first that fills the machine."""
    with session.opened() as cloud:
        job = cloud.deploy(cloud.thing(), SIZE)
        stream = json.loads(cloud.document(job))["afr_ota"]["streamname"]
        things: list[str] = []
        for count in CROWDS[max(effort, Effort.USUAL)]:
            new = [cloud.thing() for _ in range(count - len(things))]
            cloud.share(stream, new)
            things += new
            members = [Member(thing, stream) for thing in things]
            took, cores = asyncio.run(watched(cloud, members))
            trips = [seconds for one in members for _, seconds in one.trips]
            row = f"{count} at once"
            speed = len(trips) * COUNT * BLOCK / 1024 / took
            yield Number("crowd", row, "all together", round(speed), "KiB/s", False)
            yield Number("crowd", row, "each", round(speed / count, 1), "KiB/s", False)
            trip = round(statistics.median(trips), 3)
            yield Number("crowd", row, "round trip", trip, "s", False)
            yield Number("crowd", row, "cores busy", round(cores, 1), "cores", False)


TABLE = Table(
    "crowd",
    "Updates at once on the local cloud",
    "boards",
    "KiB/s of the image, seconds of a round trip of 8 blocks, and cores that were busy with the\n"
    "cloud and these stand-ins for boards together.",
    measure,
    alone=True,
)
