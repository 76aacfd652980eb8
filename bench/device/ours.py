"""Sluice's transfer alone, fed from a file: the real link or HTTP, asyncio and the image."""

import asyncio
import gc
import os

from gauge import Slot, measured

import sluice.loading
import sluice.net.http
import sluice.net.mqtt
import sluice.transfer.stream as mqtt_stream
import sluice.transfer.update
from sluice.errors import Retry
from sluice.job import File
from sluice.transfer.http_range import HTTPRange
from sluice.transfer.update import Update

mqtt_stream.getrandbits = lambda bits: 0  # what makes the token that the packets have
PATCHED = sluice.transfer.update, sluice.loading


class Clock:
    """It stands still: what is done is not to depend on how fast this machine is."""

    def ticks_ms(self):
        return 0

    def ticks_add(self, ticks, delta):
        return ticks + delta

    def ticks_diff(self, later, earlier):
        return later - earlier

    async def sleep_ms(self, ms):
        await asyncio.sleep_ms(0)


class Journal(dict):
    """One that costs nothing."""

    written = b""

    def about(self, job):
        return False

    def begin(self, *words):
        pass

    def write(self, **fields):
        pass


class Sock:
    """A connection whose broker grants all, and sends a file once blocks are asked for."""

    def __init__(self, about, blocks, through):
        self._about, self._blocks, self._granted = about, through(blocks.readinto), []
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
            self.readinto = self._blocks
        return size or None

    def close(self):
        pass


class Server:
    """A connection whose file server sends a head and a file once it was asked."""

    def __init__(self, head, body, through):
        self._head, self._body = head, through(body.readinto)
        self.readinto = None

    def write(self, data):
        self.readinto = self._first
        return len(data)

    def _first(self, buf):
        buf[: len(self._head)] = self._head
        self.readinto = self._body
        return len(self._head)

    def close(self):
        pass


class Idle:
    """The link beside a download by HTTP."""

    def turn(self):
        pass


class Sources:
    """What a source of bytes is given."""

    name, times = "", 0

    def __init__(self, link, clock, settings, http):
        self.link, self.clock, self.settings = link, clock, settings
        self.http = http


class Judged(Update):
    """An update whose image is good."""

    def check(self, head):
        pass


async def streamed(packets, settings, through, image, what, block, watch):
    """Fetch the image by a stream."""
    clock = Clock()
    link = sluice.net.mqtt.Link("thing", "", 0, None, 0, clock)
    with open(packets + ".about", "rb") as about, open(packets, "rb") as blocks:

        async def opened(link, *words):
            link.sock, link.linked = Sock(about, blocks, through), True

        sluice.net.mqtt.plug_in = lambda path, name: opened
        await link.connect()
        sources = Sources(link, clock, settings, None)
        try:
            await mqtt_stream.MQTTStream(sources, what, block).fetch(image, watch)
        except Retry:  # the file ends
            pass


async def fetched(packets, settings, through, image, what, block, watch):
    """Fetch the image by HTTP."""
    link, clock, size = Idle(), Clock(), image.size
    with open(packets, "rb") as body:
        words = size, size - 1, size
        head = b"HTTP/1.1 206 P\r\nContent-Length: %d\r\nContent-Range: bytes 0-%d/%d\r\n\r\n"
        server = Server(head % words, body, through)

        async def dial(*words):
            return server, server

        sluice.net.http.plug_in = lambda path, name: dial
        http = sluice.net.http.HTTP(link, clock, ["http://files"], ("",))
        sources = Sources(link, clock, settings, lambda: http)
        await HTTPRange(sources, what, block).fetch(image, watch)


def fill(free):
    """Objects that leave so much of the heap free, as the rest of an agent does: in a tree that
    is neither deep nor wide, because the collector's stack has room for 64."""
    gc.collect()
    left, kept = gc.mem_free(), []
    while left > free:
        kept.append([bytearray(64) for _ in range(8)])
        left -= 8 * 80 + 64
    return kept


def run(kind, packets, size, block, form, free, thing, stream):
    """A download: `kind` is what is counted, `free` what is left of the heap for it, if not all.

    Whoever counts instructions is told by a call of getenv where loading ends.
    """
    keep = []
    what = File(size, "mqtt_stream")
    what.stream, what.id, what.signature, what.url = stream, 0, "s", "http://files/app.bin"
    what.files = [what]
    update = Judged(Slot(), Journal(), {"block": block}, bytearray(4100))
    image = update.open(what)

    async def watch():
        if not keep:
            keep.append(fill(free) if free else None)
            os.getenv("loaded")
        update.checkpoint()

    def download(through):
        settings = {"thing": thing, "window": 1 << 17, "stream_format": form}
        fetch = fetched if form == "http" else streamed
        asyncio.run(fetch(packets, settings, through, image, what, block, watch))

    gc.threshold(3000)
    measured(download, kind, PATCHED)
    if image.missing() >= 0:
        raise SystemExit(1)
    return keep
