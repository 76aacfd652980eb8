"""A cloud, a board, and two updates: one that succeeds and one that is rolled back.

Starts the local cloud and a simulated ESP32 with 80 KB of heap, signs and deploys a 1.4 MiB
image, and follows it until the cloud says SUCCEEDED. Then deploys an image whose self-test
fails, and follows it until the board has rolled back and the cloud says FAILED.
Exit code 0 only when both ended so.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from host_tools.device.supervisor import Board
from host_tools.errors import SluiceError
from host_tools.image import make_image
from host_tools.image.modules import SELF_TESTS

THING = "demo-board"
SIZE = 1_468_006  # bytes, 1.4 MiB
BLOCK = 4_096  # bytes, as in the board's configuration
READY_S = 60
UPDATE_S = 120

# fmt: off
SHOWN = (  # what a line of the board says → what the user is told; None: as it is
    (r"boot: rolled back (\S+)",                   "[yellow]boot loader[/]  took {0} back"),
    (r"boot: (\S+) (\S+) (valid|trial|new-board)", "[cyan]boot loader[/]  starts {0}, version {1}, {2}"),  # noqa: E501
    (r"mqtt linked (\S+)",                         "[cyan]board[/]        linked to {0} over mutual TLS"),  # noqa: E501
    (r"agent job (\S+)",                           "[cyan]board[/]        hears of job {0}"),
    (r"verify signer (\S+)|signed by (\S+)",       "[cyan]board[/]        signature is that of {0}"),
    (r"agent ACTIVATING ready",                    "[cyan]board[/]        new image activated; resets"),  # noqa: E501
    (r"agent TRYING healthy",                      "[green]board[/]        linked, healthy, confirmed"),  # noqa: E501
    (r"agent sick (.+)",                           "[red]board[/]        is sick: {0}; resets unconfirmed"),  # noqa: E501
    (r"agent report (\S+) (.+)",                   "[cyan]board[/]        reports {0}: {1}"),
)
# fmt: on
PROGRESS = re.compile(r"update progress (\d+) (\d+) free (\d+)")
OPEN = re.compile(r"update open (\d+) has (\d+) into (\S+)")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to keep what it makes; by default nowhere."""
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep cloud and board here")


def run(args: argparse.Namespace) -> int:
    """0 when both updates ended as they should."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # unwinds: nothing is left running
    with tempfile.TemporaryDirectory(prefix="sluice-demo-") as scratch:
        return _demo(args.state or Path(scratch))


def _demo(state: Path) -> int:
    state.mkdir(parents=True, exist_ok=True)
    story = Story(Console(highlight=False))
    with _cloud(state) as cloud:
        story.say(
            f"[cyan]cloud[/]        MQTT on {cloud['endpoint']}:{cloud['mqtt_port']}, "
            f"AWS's REST calls on {cloud['http_endpoint']}"
        )
        if not (state / "things" / THING).exists():
            _sluice("thing", "create", THING, "--state", state)
        with Board(state, THING, heap="80k", on_line=story.hear) as board:
            board.wait_for(r"agent idle", READY_S)
            first = _update(story, board, state, "SUCCEEDED", version="1.1.0", size=SIZE)
            second = _update(
                story, board, state, "FAILED", version="1.2.0", app=SELF_TESTS["fail"]
            )
    return 0 if first and second else 1


class Story:
    """Tells the user what the lines of the board mean."""

    def __init__(self, console: Console):
        self._console = console
        self._bar: Progress | None = None
        self._begin = 0.0

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def hear(self, line: str) -> None:
        """One line of the board, in the board's thread."""
        progress, opened = PROGRESS.search(line), OPEN.search(line)
        if opened:
            self._open(int(opened[1]), opened[3])
        elif progress and self._bar:
            self._advance(int(progress[1]), int(progress[3]))
        elif "DOWNLOADING" in line and self._bar:
            self._close(complete="complete" in line)
        for pattern, text in SHOWN:
            match = re.search(pattern, line)
            if match:
                self.say(text.format(*(word for word in match.groups() if word)))
                return

    def _open(self, size: int, slot: str) -> None:
        columns = (
            TextColumn(f"[cyan]board[/]        streams into {slot}"),
            BarColumn(30),
            TextColumn("{task.fields[note]}"),
        )
        self._bar = Progress(*columns, console=self._console)
        self._size, self._begin = size, time.monotonic()
        self._task = self._bar.add_task("", total=size, note="")
        self._bar.start()

    def _advance(self, received: int, free: int) -> None:
        seconds = max(time.monotonic() - self._begin, 0.001)
        note = (
            f"{-(-received // BLOCK)}/{-(-self._size // BLOCK)} blocks  "
            f"{received / 1024 / seconds:,.0f} KiB/s  heap {free / 1024:.1f} KiB free"
        )
        self._bar.update(self._task, completed=received, note=note)
        self._free = free

    def _close(self, complete: bool) -> None:
        if complete:
            self._advance(self._size, self._free)
        self._bar.stop()
        self._bar = None


@contextmanager
def _cloud(state: Path) -> Iterator[dict]:
    """The local cloud as a process of its own; cloud.json of it."""
    command = [
        sys.executable,
        "-m",
        "host_tools.cli",
        "cloud",
        "run",
        "--state",
        str(state),
        "--port",
        "0",
        "--http-port",
        "0",
    ]
    with (state / "cloud.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        described, limit = state / "cloud.json", time.monotonic() + READY_S
        while not described.exists():
            if process.poll() is not None or time.monotonic() > limit:
                raise SluiceError(
                    "the cloud did not start: " + (state / "cloud.log").read_text()[-300:]
                )
            time.sleep(0.05)
        yield json.loads(described.read_text())
    finally:
        process.terminate()
        process.wait(timeout=20)


def _sluice(*words: object) -> str:
    """Another command of ours; what it printed. SluiceError with what it complained of."""
    command = [sys.executable, "-m", "host_tools.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ)
    if done.returncode:
        raise SluiceError(done.stderr.removeprefix("sluice: "))
    return done.stdout


def _update(story: Story, board: Board, state: Path, wanted: str, **image) -> bool:
    """Deploy an image and follow it to the cloud's verdict; whether that is the wanted one."""
    path = state / f"app-{image['version']}.bin"
    path.write_bytes(make_image(image["version"], image.get("size"), app=image.get("app")))
    story.say(
        f"\n[bold]Version {image['version']}[/]"
        + (", whose self-test fails" if image.get("app") else "")
    )
    story.say(
        f"[cyan]host[/]         signs and deploys {path.name}, {path.stat().st_size:,} bytes; "
        f"running {_running(board)}"
    )
    mark = len(board.lines)
    job = _sluice("deploy", path, "--thing", THING, "--state", state).split()[-1]
    board.wait_for(r"agent REPORTING reported", UPDATE_S, after=mark)
    board.wait_for(r"agent idle", READY_S, after=mark)
    execution = json.loads(_sluice("job", "show", job, "--state", state, "--json"))
    status, details = execution["executions"][0]["status"], execution["executions"][0]["details"]
    colour = "green" if status == wanted else "red"
    story.say(
        f"[cyan]cloud[/]        {job} is [bold {colour}]{status}[/]: {details['reason']}; "
        f"running {_running(board)}"
    )
    return status == wanted


def _running(board: Board) -> str:
    """Slot and version, of the last start."""
    starts = (
        re.search(r"boot: (\S+) (\S+) (valid|trial|new-board)", line) for line in board.lines
    )
    last = [match for match in starts if match][-1]
    return f"{last[1]}, version {last[2]}"
