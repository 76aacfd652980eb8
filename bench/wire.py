"""Bytes on the wire: what a whole update sends and receives over TLS, counted by a relay.

From the first connection to the report after the trial: two handshakes, the job, the download and
all reports. By HTTP the image comes from the local cloud without TLS, and is not among them.
"""

import json
from collections.abc import Iterator
from contextlib import closing

from bench import session
from bench.far import FarRelay
from bench.numbers import Effort, Number, Table
from sluice.device.supervisor import Board
from sluice.errors import SluiceError

CASES = ((256, "json"), (4_096, "json"), (16_384, "json"), (4_096, "cbor"), (16_384, "cbor"))
QUICK = ((4_096, "json"),)
SIZE = 1_048_576


def through(board: Board, port: int) -> None:
    """Have the board connect to that port, whatever the cloud's is."""
    board.make()
    config = json.loads(board.read_file("/config.json"))
    board.write_file("/config.json", json.dumps(config | {"port": port}).encode())


def carried(cloud: session.Session, block: int, form: str) -> dict[bool, int]:
    """Bytes to the board and from it."""
    with closing(FarRelay(cloud.port, 0)) as relay:
        board = cloud.board(block, heap="1M", stream_format=form)
        through(board, relay.port)
        with board:
            update = cloud.update(board, SIZE)
        if not update.succeeded:
            raise SluiceError(f"blocks of {block}: {update.reason}")
        return relay.carried


def measure(effort: Effort) -> Iterator[Number]:
    """Each size of a block."""
    with session.opened() as cloud:
        for block, form in QUICK if effort == Effort.QUICK else CASES:
            bytes_of = carried(cloud, block, form)
            down, up = bytes_of[True], bytes_of[False]
            name = f"{form.upper()} {block:,}"
            each = round(down / SIZE, 3)
            yield Number("wire", name, "received for a byte of image", each, "bytes/byte")
            yield Number("wire", name, "sent, all in all", up, "bytes", False)


TABLE = Table(
    "wire",
    "Bytes on the wire",
    "block, bytes",
    "A whole update of 1 MiB over TLS, with two handshakes, the job and its reports.",
    measure,
    quick=True,
)
