"""A cloud, a board, and five updates: of its image, its application and its agent.

Starts the local cloud and a simulated ESP32 with 112 KiB of heap, and on it the agent and an
example application (firmware/examples/app.py).

1. Signs and deploys a 1.4 MiB image, and follows it until the cloud says SUCCEEDED.
2. Deploys an image whose self-test fails, and follows it until the board has rolled back.
3. Deploys an application of a few hundred bytes, one that raises, and a new agent.

Exit code 0 only when each ended as it should.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sluice import __version__
from sluice.cloud.state import State, make_folder
from sluice.commands.story import BOOTED, Story
from sluice.device.hardware import FACTORY_VERSION
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.image import make_image
from sluice.image.modules import EXAMPLE, SELF_TESTS
from sluice.terminal import console

THING = "demo-board"
SIZE = 1_468_006  # bytes, 1.4 MiB
AGENT = f"{__version__}.1"  # version of the new agent, which is the same firmware
TREES = ("/trees.0", "/trees.1")  # the record of the trees that run
APPLICATION = """\
import asyncio

async def main(link):
    while True:
        await asyncio.sleep(1)

async def healthy():
    return True
"""
READY_S = 180  # for cloud and board to come up
UPDATE_S = 600  # for an update, from the deploy to the board's report
END_S = 60  # for the cloud to end
TROUBLE = re.compile(r"^[EW] |^\w*(?:Error|Exception)\b")  # a line of the log, or of a traceback


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where to keep what it makes; by default nowhere."""
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep cloud and board here")


def run(args: argparse.Namespace) -> int:
    """0 when all updates ended as they should."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # unwinds: nothing is left running
    try:
        with tempfile.TemporaryDirectory(prefix="sluice-demo-") as scratch:
            return _demo((args.state or Path(scratch)).absolute())
    except TimeoutError as error:
        raise SluiceError(f"the board does not go on: {_cause(str(error))}") from error


def _cause(text: str) -> str:
    """What the board itself complained of last, out of a TimeoutError; else its last line."""
    missed, *said = text.splitlines()
    troubled = [line for line in said if TROUBLE.match(line)]
    if troubled:
        return f"{missed} Its last complaint: {troubled[-1]}"
    return f"{missed} Its last line: {said[-1] if said else 'none'}"


def _demo(state: Path) -> int:
    make_folder(state)
    story = Story(console(markup=True))
    with _cloud(state) as cloud:
        broker = f"{cloud['endpoint']}:{cloud['mqtt_port']}"
        story.tell("cloud", f"MQTT on {broker}, AWS's REST calls on {cloud['http_endpoint']}")
        if not (state / "things" / THING).exists():
            _sluice("thing", "create", THING, "--state", state)
        factory = make_image(FACTORY_VERSION, app=EXAMPLE)
        made = {"frozen": True, "factory": factory, "on_line": story.hear}
        board = Board(state, THING, **made)
        if any(board.versions.values()):  # an earlier demo's trees would run instead of images
            for cell in TREES:
                board.write_file(cell, b"")
        with board:
            story.tell("board", f"a simulated ESP32 with MicroPython {board.micropython}")
            board.wait_for("agent idle", READY_S)
            updates = Updates(story, board, state)
            good = updates.deploy("SUCCEEDED", "a good image", SIZE, EXAMPLE)
            bad = updates.deploy("FAILED", "its self-test fails", app=SELF_TESTS["fail"])
            app = updates.application("SUCCEEDED", "1.0.0", APPLICATION)
            worse = updates.application("FAILED", "1.1.0", SELF_TESTS["crash"])
            agent = updates.agent("SUCCEEDED", AGENT)
    ended = (good, bad, app, worse, agent)
    story.title(f"{sum(ended)} of {len(ended)} updates ended as they should")
    return 0 if all(ended) else 1


class Updates:
    """Images for the board, one after the other, each a version newer than what runs."""

    def __init__(self, story: Story, board: Board, state: Path) -> None:
        self._story, self._board, self._state = story, board, state
        major, minor, _ = self._running[1].split(".")
        self._next = (int(major), int(minor))

    @property
    def _running(self) -> tuple[str, str]:
        """Slot and version of the last start."""
        started = [match for line in self._board.lines if (match := BOOTED.match(line))]
        return started[-1][1], started[-1][2]

    def deploy(
        self, wanted: str, what: str, size: int | None = None, app: Path | str | None = None
    ) -> bool:
        """Follow an image to the cloud's verdict; whether that is the wanted one."""
        self._next = (self._next[0], self._next[1] + 1)
        version = f"{self._next[0]}.{self._next[1]}.0"
        image = self._state / f"app-{version}.bin"
        image.write_bytes(make_image(version, size, app=app))
        self._story.title(f"Version {version}: {what}")
        self._slots("before")
        ended = self._follow(wanted, f"{image.name}, {image.stat().st_size:,} bytes", image)
        self._slots("after")
        return ended

    def application(self, wanted: str, version: str, text: str) -> bool:
        """The same for an application of one file."""
        file = self._state / "app.py"
        file.write_text(text, encoding="utf-8")
        what = "it raises" if wanted == "FAILED" else "a good one"
        self._story.title(f"Application {version}: {what}")
        size = f"app.py, {len(text):,} bytes"
        return self._follow(wanted, size, file, "--version", version)

    def agent(self, wanted: str, version: str) -> bool:
        """The same for the agent that this installation has."""
        self._story.title(f"Agent {version}")
        words = ("--agent", "--board", self._board.board, "--version", version)
        return self._follow(wanted, "this installation's agent", *words)

    def _follow(self, wanted: str, what: str, *words: object) -> bool:
        from rich.markup import escape

        self._story.tell("host", f"signs and deploys {what}")
        seen, begin = len(self._board.lines), time.monotonic()
        job = _sluice("deploy", *words, "--thing", THING, "--state", self._state).split()[-1]
        self._board.wait_for("agent REPORTING reported", UPDATE_S, after=seen)
        status, reason = _verdict(job, self._state)
        colour = "green" if status == wanted else "red"
        took = f"after {time.monotonic() - begin:.1f} s"
        said = f"{job}: [bold {colour}]{status}[/] {took}, {escape(reason)}"
        self._story.tell("cloud", said)
        return status == wanted

    def _slots(self, when: str) -> None:
        running, _ = self._running
        slots = [
            f"{'[bold]' if slot == running else ''}{slot} {version or 'empty'}"
            f"{' runs[/]' if slot == running else ''}"
            for slot, version in self._board.versions.items()
        ]
        self._story.tell("board", f"slots {when}: {', '.join(slots)}")


def _verdict(job: str, state: Path) -> tuple[str, str]:
    """(status, reason) of the job, as the cloud has them."""
    [execution] = json.loads(_sluice("job", "show", job, "--state", state, "--json"))["executions"]
    return execution["status"], execution["statusDetails"].get("reason", "without a reason")


@contextmanager
def _cloud(state: Path) -> Iterator[dict]:
    """The local cloud as a process of its own; what its cloud.json says."""
    from sluice.cloud.mqtt.broker import die_with_parent

    ready, lock = State(state).ready, State(state).lock()
    if lock is None:
        raise SluiceError(f"a cloud runs in {state} already, and the demo starts one of its own")
    with lock:
        ready.unlink(missing_ok=True)  # of a cloud that was killed
    command = _command("cloud", "run", "--state", state, "--port", 0, "--http-port", 0)
    with (state / "cloud.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent()
        )
    try:
        limit = time.monotonic() + READY_S
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > limit:
                last = (state / "cloud.log").read_text(encoding="utf-8").splitlines()[-1:]
                raise SluiceError(" ".join(["the cloud does not start:", *last]))
            time.sleep(0.05)
        yield json.loads(ready.read_text(encoding="utf-8"))
    finally:
        _end(process)


def _end(cloud: subprocess.Popen) -> None:
    """Have it end. SluiceError when it had to be killed."""
    cloud.terminate()
    try:
        cloud.wait(timeout=END_S)
    except subprocess.TimeoutExpired:
        cloud.kill()
        cloud.wait()
        raise SluiceError(f"the cloud did not end within {END_S} s: it was killed") from None


def _sluice(*words: object) -> str:
    """Another command of ours; what it printed. SluiceError with what it complained of."""
    command = _command(*words)
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=UPDATE_S
        )
    except subprocess.TimeoutExpired:
        raise SluiceError(f"`sluice {words[0]}` did not end within {UPDATE_S} s") from None
    if done.returncode:
        raise SluiceError(done.stderr.removeprefix("sluice: "))
    return done.stdout


def _command(*words: object) -> list[str]:
    return [sys.executable, "-P", "-m", "sluice.cli", *map(str, words)]
