"""A local cloud and simulated boards to measure whole updates with."""

import contextlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sluice import cli
from sluice.cloud.names import arn
from sluice.cloud.state import State
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.fleet.clients import clients
from sluice.image import make_image

READY_S = 60
UPDATE_S = 300
TARGETS = 100  # of one job
ONE_AT_A_TIME = threading.RLock()

# What ends the wait for an update: its report, or what a board without memory says and does.
ENDS = re.compile(
    r"agent report (?P<step>succeeded|failed|rejected) (?P<reason>.*)"
    r"|(?P<fault>MemoryError.*|memory allocation failed.*|out of memory.*|end: .*|reset: panic)"
)


@dataclass(frozen=True)
class Update:
    """What an update came to.

    idle_free      bytes free in the heap while waiting for the job
    least_free     the same, the least that was seen between blocks; None when none was noted
    download_ms    from the opened image to its last byte; 0 when it did not get there
    """

    succeeded: bool
    reason: str
    size: int
    idle_free: int
    least_free: int | None
    download_ms: int


class Session:
    """A running cloud; each board is new, with a thing of its own."""

    def __init__(self, state: Path, process: subprocess.Popen):
        self.state = state
        self.process = process
        self._numbers = itertools.count(1)

    def thing(self, **config: object) -> str:
        """The name of a new thing; `config` are members of its config.json."""
        name = f"bench-{next(self._numbers)}"
        sluice("thing", "create", name, "--state", self.state)
        path = self.state / "things" / name / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
        return name

    def board(
        self,
        block: int = 4096,
        heap: str = "112k",
        frozen: bool = False,
        kind: type[Board] = Board,
        **config: object,
    ) -> Board:
        """A new board whose configuration asks for blocks of that size; not yet switched on.

        kind     of board
        config   other members of its config.json
        """
        name = self.thing(block=block, **config)
        return kind(self.state, name, heap=heap, frozen=frozen)

    @property
    def port(self) -> int:
        """Where the broker listens."""
        return json.loads((self.state / "cloud.json").read_text())["mqtt_port"]

    def image(self, size: int) -> Path:
        """An image of that many bytes."""
        image = self.state / f"image-{size}.bin"
        with ONE_AT_A_TIME:
            if not image.exists():
                image.write_bytes(make_image("1.1.0", size))
        return image

    def deploy(self, name: str, size: int, protocol: str = "mqtt") -> str:
        """Deploy an image to a thing; the job's id."""
        return self.ordered(name, self.image(size), "--protocol", protocol)

    def ordered(self, name: str, image: Path, *words: object) -> str:
        """Deploy a file to a thing; the job's id."""
        return sluice("deploy", image, "--thing", name, "--state", self.state, *words).split()[0]

    def document(self, job: str) -> str:
        """What a job's document says."""
        return clients(State(self.state)).iot.get_job_document(jobId=job)["document"]

    def give(self, document: str, things: list[str]) -> None:
        """Give each of some things a job with that document."""
        iot = clients(State(self.state)).iot
        for first in range(0, len(things), TARGETS):
            targets = [arn("thing", name) for name in things[first : first + TARGETS]]
            job = f"given-{next(self._numbers)}"
            iot.create_job(jobId=job, targets=targets, document=document)

    def cpu_s(self) -> float:
        """Seconds of CPU that the cloud and its broker have had."""
        pid, ticks = str(self.process.pid), 0
        for file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended by now
                words = file.read_text().rpartition(")")[2].split()
                if pid in (file.parent.name, words[1]):  # itself, or a child
                    ticks += int(words[11]) + int(words[12])  # utime, stime
        return ticks / os.sysconf("SC_CLK_TCK")

    def update(
        self, board: Board, size: int, protocol: str = "mqtt", document: dict | None = None
    ) -> Update:
        """Deploy an image of `size` bytes to a board that is on, and follow it to its end.

        document   of a job to create instead, for that image
        """

        def order() -> None:
            if document:
                file = self.state / f"{board.name}.json"
                file.write_text(json.dumps(document))
                where = ["--thing", board.name, "--state", self.state]
                sluice("job", "create", "--document", file, *where)
            else:
                self.deploy(board.name, size, protocol)

        return self.follow(board, size, order)

    def follow(self, board: Board, size: int, order: Callable[[], object]) -> Update:
        """Have a board that is on do what `order` makes a job of, and follow it to its end."""
        faulty = awaited(board, rf"agent idle|{ENDS.pattern}", READY_S, 0)
        if faulty["fault"]:
            return measured(board, size, faulty["fault"])
        mark = len(board.lines)
        order()
        end = awaited(board, ENDS.pattern, UPDATE_S, mark)
        if end["step"] == "succeeded":
            board.wait_for("agent REPORTING reported", READY_S, mark)
            return measured(board, size, None)
        return measured(board, size, end["fault"] or end["reason"])


def awaited(board: Board, pattern: str, deadline_s: float, after: int) -> re.Match:
    """The line that the pattern matches; one that says so, when none comes in time."""
    try:
        return board.wait_for(pattern, deadline_s, after)
    except TimeoutError:
        return ENDS.search(f"end: nothing for {deadline_s} s")


def measured(board: Board, size: int, fault: str | None) -> Update:
    """An Update, from the lines of its board; `fault` None is success."""
    text = "\n".join(board.lines)
    idle = re.search(r"agent idle free (\d+)", text)
    free = [int(word) for word in re.findall(r"update progress .* free (\d+)", text)]
    times = [
        re.search(rf"I (\d+) {event}", text) for event in ("update open", "agent DOWNLOADING com")
    ]
    download_ms = int(times[1][1]) - int(times[0][1]) if all(times) else 0
    return Update(
        fault is None,
        fault or "",
        size,
        int(idle[1]) if idle else 0,
        min(free, default=None),
        download_ms,
    )


def sluice(*words: object) -> str:
    """What a command of ours prints. One after the other: what they print is taken from all."""
    printed, complaint = io.StringIO(), io.StringIO()
    with (
        ONE_AT_A_TIME,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(complaint),
    ):
        if cli.main([str(word) for word in words]):
            raise SluiceError(complaint.getvalue().removeprefix("sluice: "))
    return printed.getvalue().strip()


@contextmanager
def opened() -> Iterator[Session]:
    """A cloud on free ports, in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        state = Path(scratch)
        ports = ["--port", "0", "--http-port", "0"]
        command = [sys.executable, "-m", "sluice.cli", "cloud", "run", "--state", scratch]
        process = subprocess.Popen(
            [*command, *ports], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            limit = time.monotonic() + READY_S
            while not (state / "cloud.json").exists():
                if process.poll() is not None or time.monotonic() > limit:
                    raise SluiceError("the local cloud did not start; `sluice cloud run` says why")
                time.sleep(0.05)
            yield Session(state, process)
        finally:
            process.terminate()
            process.wait(timeout=20)
