"""What a round trip costs a download, beside a plain TCP copy, and beside a naive client.

Whole updates of simulated boards over mutual TLS, default settings, blocks of 4,096 bytes, through
a relay that delays either way by half a round trip; see bench/far.py, which also says how loss is
modelled. The relay has TCP's window, too: without a limit but for the slow start, or the 5,744
bytes of an ESP32. A download is timed by the board's clock, from the opened image to its last
byte: so its subscriptions and its description are in it.

copy    the bytes that a JSON download has on the wire, or a binary one, in one TCP connection
naive   bench/device/naive.py, one block a request, over the same TLS; timed without connecting
HTTP    from a plain file server, while the session goes through the relay, too
"""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from bench import files, session, wire
from bench.far import LARGE, FarRelay
from bench.numbers import Effort, Number, Table
from sluice import toolchain
from sluice.errors import SluiceError

WINDOWS = {"large": LARGE, "5,744 B": 5_744}  # bytes
SIZES = {"large": 1_468_006, "5,744 B": 262_144}  # bytes of the image: small where it takes long
JSON_WIRE = 139  # hundredths of a byte on the wire for one of the image
COPIED = b"\xa5" * 65_536
BLOCK = 4_096
NAIVE_S = 8  # seconds that a naive download may take, about
NAIVE_WAIT_S = 300
DEVICE = Path(__file__).with_name("device")


@dataclass(frozen=True)
class Line:
    """A path to the cloud."""

    trip_ms: int
    window: str
    loss: float = 0

    @property
    def name(self) -> str:
        """What its row is called."""
        lost = f", {100 * self.loss:.0f} % lost" if self.loss else ""
        return f"{self.trip_ms} ms, {self.window}{lost}"

    @property
    def size(self) -> int:
        """Bytes of the image that takes it."""
        return SIZES[self.window] if not self.loss else SIZES["5,744 B"] * 2

    @property
    def slow(self) -> bool:
        """Whether the path is what limits, so that several may be tried at once."""
        return self.trip_ms >= 400 or self.window != "large" or self.loss > 0

    def relay(self, port: int) -> FarRelay:
        """The path to a port of this machine."""
        return FarRelay(port, self.trip_ms / 1000, WINDOWS[self.window], self.loss)


TRIPS = (0, 50, 150, 400)  # ms
QUICK = (Line(150, "large"),)
USUAL = (
    *(Line(trip, "large") for trip in TRIPS),
    *(Line(trip, "5,744 B") for trip in TRIPS),
    *(Line(150, window, 0.01) for window in WINDOWS),
)
LONG = (*USUAL, *(Line(trip, w, 0.01) for w in WINDOWS for trip in (50, 400)))


def copy(path: Line, size: int) -> float:
    """Seconds that a plain TCP connection takes to bring so many bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_send, args=(server, size), daemon=True).start()
        relay = path.relay(server.getsockname()[1])
        with closing(relay), socket.create_connection(("127.0.0.1", relay.port)) as client:
            begin = time.monotonic()
            client.sendall(b"?")
            while size > 0:
                size -= len(client.recv(65_536)) or size
            return time.monotonic() - begin


def _send(server: socket.socket, size: int) -> None:
    client, _ = server.accept()
    with client:
        client.recv(1)
        for at in range(0, size, len(COPIED)):
            client.sendall(COPIED[: size - at])


def streamed(cloud: session.Session, path: Line, form: str) -> float:
    """Seconds of a board's download by a stream. Raises SluiceError."""
    with closing(path.relay(cloud.port)) as relay:
        board = cloud.board(heap="1M", stream_format=form, keepalive_s=1200)
        wire.through(board, relay.port)
        with board:
            return seconds(cloud.update(board, path.size))


def fetched(cloud: session.Session, path: Line) -> float:
    """Seconds of a board's download by HTTP. Raises SluiceError."""
    with ExitStack() as stack:
        port = stack.enter_context(files.serving(cloud.image(path.size).read_bytes()))
        broker, server = (stack.enter_context(closing(path.relay(p))) for p in (cloud.port, port))
        document = json.loads(cloud.document(cloud.deploy(cloud.thing(), path.size, "http")))
        address = f"http://127.0.0.1:{server.port}/app.bin"
        document["afr_ota"]["files"][0]["update_data_url"] = address
        board = cloud.board(heap="1M", keepalive_s=1200)
        wire.through(board, broker.port)
        stack.enter_context(board)
        return seconds(cloud.update(board, path.size, document=document))


def seconds(update: session.Update) -> float:
    """What its download took. Raises SluiceError."""
    if not update.succeeded:
        raise SluiceError(update.reason)
    return update.download_ms / 1000


def naive(cloud: session.Session, path: Line) -> float:
    """Seconds that the naive client would take, from a part of the image."""
    trips = max(path.trip_ms, 40) * (2 if path.window == "large" else 3) / 1000
    size = min(path.size // BLOCK, max(12, int(NAIVE_S / trips))) * BLOCK
    name = cloud.thing()
    document = json.loads(cloud.document(cloud.deploy(name, path.size)))
    stream = document["afr_ota"]["streamname"]
    with closing(path.relay(cloud.port)) as relay:
        words = [relay.port, name, stream, BLOCK, size, cloud.state / "things" / name]
        command = [toolchain.micropython("i386"), DEVICE / "naive_link.py", *map(str, words)]
        where = {**os.environ, "MICROPYPATH": f"{DEVICE}:{toolchain.umqtt()}:.frozen"}
        done = subprocess.run(
            command, env=where, capture_output=True, text=True, timeout=NAIVE_WAIT_S
        )
    if done.returncode:
        raise SluiceError(f"naive: {done.stderr[-200:]}")
    return int(done.stdout) / 1000 * path.size / size


def row(cloud: session.Session, path: Line, effort: Effort) -> Iterator[Number]:
    """One row, KiB/s of the image."""
    copies = {"copy, base64": path.size * JSON_WIRE // 100, "copy, binary": path.size}
    ways: dict[str, Callable[[], float]] = {"JSON": lambda: streamed(cloud, path, "json")}
    if effort > Effort.QUICK:
        ways |= {
            "CBOR": lambda: streamed(cloud, path, "cbor"),
            "HTTP": lambda: fetched(cloud, path),
            "naive": lambda: naive(cloud, path),
        }
    taken = {column: copy(path, size) for column, size in copies.items()}
    with ThreadPoolExecutor(len(ways) if path.slow else 1) as pool:
        begun = {column: pool.submit(way) for column, way in ways.items()}
    taken |= {column: way.result() for column, way in begun.items()}
    for column, took in taken.items():
        yield Number("roundtrip", path.name, column, kib(path.size, took), "KiB/s", False)


def kib(size: int, took_s: float) -> float:
    """KiB a second."""
    return round(size / 1024 / took_s, 1)


def measure(effort: Effort) -> Iterator[Number]:
    """Each path."""
    paths = {Effort.QUICK: QUICK, Effort.USUAL: USUAL, Effort.LONG: LONG}[effort]
    with session.opened() as cloud:
        for path in paths:
            yield from row(cloud, path, effort)


TABLE = Table(
    "roundtrip",
    "The link under delay",
    "round trip, TCP window",
    "KiB/s of the image, blocks of 4,096, through a delaying relay. A copy is one connection of\n"
    "TCP. It brings 1.39 bytes for one of the image, as JSON does, or one. A lost segment is a\n"
    "stall of one retransmission, because a relay cannot lose what TCP sends. `--long` has more\n"
    "rows with loss.",
    measure,
    alone=True,
    quick=True,
)
