"""How many boards update at once on the local cloud, and what each costs it.

The boards are none: connections over mutual TLS that speak Jobs and streams. Each takes its job,
says that it is IN_PROGRESS, asks for 8 blocks of 4,096 bytes in JSON, waits for all, and asks for
the next, as fast as it gets them. At the end it says SUCCEEDED. It has the agent's patience: what
is silent for a second counts as lost, and is asked for again. They share the machine with the
cloud, and cost less than real boards.
"""

import asyncio
import json
import os
import re
import ssl
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import session
from bench.numbers import Effort, Number, Table
from sluice.errors import SluiceError

CROWD = (1, 5, 10, 20, 50, 100, 200)
CROWDS = {Effort.USUAL: CROWD, Effort.LONG: CROWD}
BLOCK, COUNT = 4_096, 8  # bytes; blocks of a request
SIZE = 1_468_006  # bytes of the file
BLOCKS = -(-SIZE // BLOCK)
PATIENCE_S, PATIENCE_MAX_S = 1.0, 10.0  # as firmware/sluice/transfer/stream has them
UPDATE_S = 120  # for all of a crowd
CONNECT, PUBLISH, SUBSCRIBE, SUBACK = 0x10, 0x30, 0x82, 0x90
INDEX = re.compile(rb'"i":(\d+)')


class Link(asyncio.Protocol):
    """An MQTT connection: what comes is counted if it is a block that is missing, else kept."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._other: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._missing: set[int] = set()
        self._whole: asyncio.Event = asyncio.Event()
        self.heard = 0.0  # when a block came last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._other.put_nowait(("", b"lost"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        at = 0
        while (found := cut(self._buffer, at)) is not None:
            first, start, at = found
            self._take(first, bytes(memoryview(self._buffer)[start:at]))
        del self._buffer[:at]

    def _take(self, first: int, body: bytes) -> None:
        if first & 0xF0 != PUBLISH:
            self._other.put_nowait((str(first & 0xF0), body))
            return
        start = 2 + int.from_bytes(body[:2], "big")
        topic, payload = body[2:start].decode(), body[start:]
        if not topic.endswith("/data/json"):
            self._other.put_nowait((topic, payload))
            return
        self.heard = time.monotonic()
        if found := INDEX.search(payload, 0, 100):
            self._missing.discard(int(found[1]))
        if not self._missing:
            self._whole.set()

    def send(self, kind: int, body: bytes) -> None:
        """Send a packet."""
        self._transport.write(packet(kind, body))

    def publish(self, topic: str, request: dict) -> None:
        """Send JSON at QoS 0."""
        self.send(PUBLISH, text(topic) + json.dumps(request).encode())

    async def next(self, end: str) -> bytes:
        """What comes on a topic that ends so, or with a packet of that kind."""
        while True:
            topic, payload = await asyncio.wait_for(self._other.get(), UPDATE_S)
            if topic.endswith(end):
                return payload
            if not topic or topic.endswith("/rejected"):
                raise SluiceError(f"a board of the crowd got {payload!r} for {end}")

    async def blocks(self, first: int, topic: str) -> int:
        """Ask for blocks until all are there; returns how often they were asked for again."""
        self._missing = set(range(first, min(first + COUNT, BLOCKS)))
        self._whole.clear()
        again, patience = -1, PATIENCE_S
        while not self._whole.is_set():
            again += 1
            low, high = min(self._missing), max(self._missing)
            request = {"c": "crowd", "f": 0, "l": BLOCK, "o": low, "n": high - low + 1}
            self.publish(topic, request)
            self.heard = time.monotonic()
            while not self._whole.is_set():
                left = self.heard + patience - time.monotonic()
                if left <= 0:
                    break
                try:
                    await asyncio.wait_for(self._whole.wait(), left)
                except TimeoutError:
                    continue
            patience = min(2 * patience, PATIENCE_MAX_S)
        return again


@dataclass
class Member:
    """One board; `trips` are the seconds of its round trips."""

    thing: str
    again: int = 0
    trips: list[float] = field(default_factory=list)

    async def live(self, port: int, context: ssl.SSLContext) -> None:
        """Connect, and do one job from its beginning to its end."""
        _, link = await asyncio.get_running_loop().create_connection(
            Link, "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        top = f"$aws/things/{self.thing}"
        link.send(CONNECT, b"\x00\x04MQTT\x04\x02\x04\xb0" + text(self.thing))
        topics = ("jobs/$next/get/accepted", "jobs/+/update/accepted", "jobs/+/+/rejected")
        wanted = [text(f"{top}/{path}") + b"\x00" for path in (*topics, "streams/+/data/json")]
        link.send(SUBSCRIBE, b"\x00\x01" + b"".join(wanted))
        await link.next(str(SUBACK))
        link.publish(f"{top}/jobs/$next/get", {})
        execution = json.loads(await link.next("/get/accepted"))["execution"]
        await self._report(link, top, execution["jobId"], "IN_PROGRESS")
        stream = execution["jobDocument"]["afr_ota"]["streamname"]
        for first in range(0, BLOCKS, COUNT):
            asked = time.monotonic()
            self.again += await link.blocks(first, f"{top}/streams/{stream}/get/json")
            self.trips.append(time.monotonic() - asked)
        await self._report(link, top, execution["jobId"], "SUCCEEDED")
        link.send(0xE0, b"")

    async def _report(self, link: Link, top: str, job: str, status: str) -> None:
        link.publish(f"{top}/jobs/{job}/update", {"status": status})
        await link.next("/update/accepted")


def text(words: str) -> bytes:
    """A text as MQTT has it."""
    return len(words).to_bytes(2, "big") + words.encode()


def packet(kind: int, body: bytes) -> bytes:
    """A packet of fewer than 16,384 bytes."""
    return bytes((kind, len(body) & 0x7F | 0x80, len(body) >> 7)) + body


def cut(buffer: bytearray, at: int) -> tuple[int, int, int] | None:
    """The packet that begins there: (first byte, where its body begins, where it ends)."""
    size, shift = 0, 0
    for place in range(at + 1, min(at + 5, len(buffer))):
        size |= (buffer[place] & 0x7F) << shift
        shift += 7
        if not buffer[place] & 0x80:
            end = place + 1 + size
            return (buffer[at], place + 1, end) if end <= len(buffer) else None
    return None


def context_of(folder: Path) -> ssl.SSLContext:
    """TLS with a thing's certificate."""
    context = ssl.create_default_context(cafile=str(folder / "AmazonRootCA1.pem"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT if hasattr(ssl, "VERIFY_X509_STRICT") else -1
    context.load_cert_chain(folder / "certificate.pem.crt", folder / "private.pem.key")
    return context


async def watched(cloud: session.Session, members: list[Member]) -> tuple[float, float, float]:
    """(seconds, cores busy, seconds of the cloud's CPU) of a crowd, until all have done their job.

    raises   SluiceError when one of them does not in UPDATE_S
    """
    things = cloud.state / "things"
    contexts = [context_of(things / one.thing) for one in members]
    begin, busy, cost = time.monotonic(), busy_s(), cloud.cpu_s()
    lives = [one.live(cloud.port, context) for one, context in zip(members, contexts, strict=True)]
    try:
        await asyncio.wait_for(asyncio.gather(*lives), UPDATE_S)
    except TimeoutError:
        raise SluiceError(f"not all of {len(members)} at once were done") from None
    took = time.monotonic() - begin
    return took, (busy_s() - busy) / took, cloud.cpu_s() - cost


def busy_s() -> float:
    """Seconds that this machine's cores have worked, all together, since it started."""
    words = Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    user, nice, system, _, _, irq, softirq, *_ = map(int, words)
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def measure(effort: Effort) -> Iterator[Number]:
    """Each crowd; the last is the first that fills the machine."""
    with session.opened() as cloud:
        document = cloud.document(cloud.deploy(cloud.thing(), SIZE))
        things: list[str] = []
        for count in CROWDS[max(effort, Effort.USUAL)]:
            things += [cloud.thing() for _ in range(count - len(things))]
            cloud.give(document, things)
            members = [Member(thing) for thing in things]
            took, cores, cost = asyncio.run(watched(cloud, members))
            trips = [seconds for one in members for seconds in one.trips]
            row = f"{count} at once"
            speed = count * SIZE / 1024 / took
            yield Number("crowd", row, "all together", round(speed), "KiB/s", False)
            yield Number("crowd", row, "each", round(speed / count, 1), "KiB/s", False)
            trip = round(1000 * statistics.median(trips), 1)
            yield Number("crowd", row, "round trip", trip, "ms", False)
            each = round(1000 * cost / count, 1)
            yield Number("crowd", row, "CPU a board", each, "ms", False)
            yield Number("crowd", row, "cores busy", round(cores, 1), "cores", False)
            again = sum(one.again for one in members)
            yield Number("crowd", row, "asked again", again, "times", False)


TABLE = Table(
    "crowd",
    "Updates at once on the local cloud",
    "boards",
    "Whole updates by Jobs and streams: KiB/s of the image, milliseconds of a round trip of 8\n"
    "blocks, milliseconds of CPU that the cloud and its broker spent on each board, cores that\n"
    "were busy with the cloud and these stand-ins for boards together, requests that were made\n"
    "again after a second of silence.",
    measure,
    alone=True,
)
