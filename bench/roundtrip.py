"""What a round trip costs a download, beside a plain TCP copy of the same bytes.

    .venv/bin/python -m bench.roundtrip [--trips 0,50,150,400]

Whole updates of simulated boards over mutual TLS, default settings, blocks of 4,096 bytes, through
a relay that delays either way by half a round trip. It has TCP's window, too: without a limit but
for the slow start, or the 5,744 bytes of an ESP32. The copy is as many bytes as the download has
on the wire, by one connection through such a relay. A download is timed by the board's clock,
from the opened image to its last byte: so its subscriptions and its description are in it.
"""

import argparse
import json
import socket
import sys
import threading
import time
from contextlib import closing

from bench import session, tables
from bench.command import guarded
from bench.far import LARGE, FarRelay
from host_tools.errors import SluiceError

TRIPS = (0, 50, 150, 400)  # ms
WINDOWS = {"large": LARGE, "5,744": 5_744}  # bytes
SIZES = {"large": 1_468_006, "5,744": 262_144}  # bytes of the image: small where it takes long
WIRE = {"json": 139, "cbor": 103}  # hundredths of a byte on the wire for one of the image
COPIED = b"\xa5" * 65_536


def copy(size: int, trip_ms: int, window: int) -> float:
    """Seconds that a plain TCP connection takes to bring so many bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_send, args=(server, size), daemon=True).start()
        relay = FarRelay(server.getsockname()[1], trip_ms / 1000, window)
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


def download(cloud: session.Session, form: str, size: int, trip_ms: int, window: int) -> float:
    """Seconds of a board's download. Raises SluiceError."""
    port = json.loads((cloud.state / "cloud.json").read_text())["mqtt_port"]
    with closing(FarRelay(port, trip_ms / 1000, window)) as relay:
        board = cloud.board(heap="1M", stream_format=form, keepalive_s=1200)
        through(board, relay.port)
        with board:
            update = cloud.update(board, size)
    if not update.succeeded:
        raise SluiceError(f"{trip_ms} ms: {update.reason}")
    return update.download_ms / 1000


def through(board, port: int) -> None:
    """Have the board connect to that port, whatever the cloud's is."""
    board.make()
    config = json.loads(board.read_file("/config.json"))
    board.write_file("/config.json", json.dumps(config | {"port": port}).encode())


def row(cloud: session.Session, trip_ms: int, window: str) -> list[object]:
    """One line of the table: KiB/s of the image."""
    size, most = SIZES[window], WINDOWS[window]
    cells: list[object] = [f"{trip_ms} ms, {window}"]
    for form in WIRE:
        copied_s = copy(size * WIRE[form] // 100, trip_ms, most)
        took_s = download(cloud, form, size, trip_ms, most)
        cells += [kib(size, copied_s), kib(size, took_s), f"{100 * copied_s / took_s:.0f} %"]
    return cells


def kib(size: int, took_s: float) -> int:
    """KiB a second."""
    return round(size / 1024 / took_s)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trips", default=",".join(map(str, TRIPS)), help="ms, by commas")
    trips = [int(word) for word in parser.parse_args().trips.split(",")]
    with session.opened() as cloud:
        rows = [row(cloud, trip_ms, window) for window in WINDOWS for trip_ms in trips]
    tables.show(
        "The link under delay, KiB/s of the image",
        ["round trip, TCP window", "copy", "JSON", "of it", "copy", "CBOR", "of it"],
        rows,
        "Beside JSON, the copy is of 1.39 bytes for one of the image; beside CBOR, of 1.03.",
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
