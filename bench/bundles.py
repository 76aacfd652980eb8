"""What an update of Python costs: an application of 1 KB and the agent, each as a bundle.

From the job's creation to SUCCEEDED, the reset and the trial included, on a board that has the
code in the heap. Bytes on the wire are those of both directions, two handshakes among them; by
HTTP the bundle comes without TLS, and its own bytes are added. The smallest heap is found as that
of an image is.
"""

import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench import heap, session, wire
from bench.far import FarRelay
from bench.numbers import Effort, Number, Table
from sluice.bundle import container, make, tree
from sluice.cloud.state import State
from sluice.errors import SluiceError
from sluice.fleet.clients import clients

VERSION = "0.9.0"  # newer than what a board has
LINE = "\n\ndef made_{0}(value):\n    return value + {0}\n"
TEXT = "async def main(link):\n    pass\n" + "".join(map(LINE.format, range(18)))
FORMS = {  # row → what is brought, protocol, format of blocks
    "application of 1 KB": ("application", "mqtt", "json"),
    "agent, JSON": ("agent", "mqtt", "json"),
    "agent, CBOR": ("agent", "mqtt", "cbor"),
    "agent, HTTP": ("agent", "http", "json"),
}
SECTOR = 4_096  # bytes
DEADLINE_S = 120
POLL_S = 0.1
TIME = re.compile(r"^I (\d+) agent (IDLE job|REPORTING reported)", re.MULTILINE)


def bundles(folder: Path) -> dict[str, Path]:
    """The files of both."""
    source = folder / "app.py"
    source.write_text(TEXT)
    made = {
        "application": make.application(source, VERSION),
        "agent": make.agent("SIM_ESP32", VERSION),
    }
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in made}


def brought(cloud: session.Session, board: session.Board, file: Path, protocol: str) -> bool:
    """Deploy it to a board that is on; whether nothing went wrong on the way."""
    started = session.awaited(board, rf"agent idle|{session.ENDS.pattern}", session.READY_S, 0)
    if started["fault"]:
        return False
    mark = len(board.lines)
    where = ["--thing", board.name, "--state", cloud.state, "--protocol", protocol]
    job = session.sluice("deploy", file, *where).split()[0]
    if session.awaited(board, session.ENDS.pattern, DEADLINE_S, mark)["step"] != "succeeded":
        return False
    try:
        board.wait_for("agent REPORTING reported", session.READY_S, mark)
    except TimeoutError:  # the heap is full each time
        return False
    iot, limit = clients(State(cloud.state)).iot, time.monotonic() + session.READY_S
    while time.monotonic() < limit:
        found = iot.describe_job_execution(jobId=job, thingName=board.name)["execution"]
        if found["status"] == "SUCCEEDED":
            return True
        time.sleep(POLL_S)
    return False


def row(cloud: session.Session, name: str, file: Path) -> Iterator[Number]:
    """One way of bringing it."""
    _, protocol, form = FORMS[name]
    content = file.read_bytes()
    with closing(FarRelay(cloud.port, 0)) as relay:
        board = cloud.board(heap="112k", stream_format=form)
        wire.through(board, relay.port)
        with board:
            if not brought(cloud, board, file, protocol):
                raise SluiceError(f"{name}: {board.lines[-1]}")
        carried = sum(relay.carried.values()) + len(content) * (protocol == "http")
    begin, end = (int(match[1]) for match in TIME.finditer("\n".join(board.lines)))
    _, members = container.unpack(content)
    blocks = -(-len(tree.pack(members)) // SECTOR)
    yield Number("bundles", name, "bundle", len(content), "bytes")
    yield Number("bundles", name, "on the wire", carried, "bytes", False)
    yield Number("bundles", name, "job to verdict, s", (end - begin) / 1000, "s", False)
    yield Number("bundles", name, "tree, blocks", blocks, "blocks of 4,096 bytes")


def least(cloud: session.Session, file: Path, frozen: bool) -> int | None:
    """KiB of the smallest heap that does."""

    def does(size: int) -> bool:
        with cloud.board(heap=f"{size}k", frozen=frozen) as board:
            return brought(cloud, board, file, "mqtt")

    return heap.smallest(does, heap.FIRST)


def measure(effort: Effort) -> Iterator[Number]:
    """Each way, and the smallest heaps."""
    with session.opened() as cloud, tempfile.TemporaryDirectory() as scratch:
        files = bundles(Path(scratch))
        for name, (what, _, _) in FORMS.items():
            yield from row(cloud, name, files[what])
            for frozen, place in heap.PLACES.items() if name in LEAST else ():
                found = least(cloud, files[what], frozen)
                yield Number("bundles", name, f"smallest heap, {place}", found, "KiB")


LEAST = ("application of 1 KB", "agent, JSON")  # of the others it is nearly the same
TABLE = Table(
    "bundles",
    "Python as a bundle",
    "what",
    "Bytes, seconds of the simulated board from the job to its verdict, blocks of flash of the\n"
    "tree, and the smallest heap for it. The new agent's code lies in the heap in any case.",
    measure,
)
