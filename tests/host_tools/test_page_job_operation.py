"""docs/job-operation.md, word for word: its files are written, its commands are run."""

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.compile import ROOT

PAGE = (ROOT / "docs/job-operation.md").read_text()
PATIENCE_S = 90


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


class Reader:
    """Someone who does what the page says, in a folder of their own; the ports are free ones."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._running: list[subprocess.Popen] = []

    def does(self, line: str) -> str:
        """What a line prints; a line with & is left running until something is there."""
        words = shlex.split(line)
        module = {"sluice": "host_tools.cli", "mpremote": "mpremote"}[words[0]]
        command = [sys.executable, "-m", module, *(word for word in words[1:] if word != "&")]
        if words[1:3] == ["cloud", "run"]:
            command += ["--port", "0", "--http-port", "0"]
        if words[-1] != "&":
            done = subprocess.run(
                command, cwd=self._folder, text=True, capture_output=True, timeout=PATIENCE_S
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            return done.stdout
        log = self._folder / f"{words[1]}.log"
        with log.open("wb") as file:
            self._running.append(
                subprocess.Popen(command, cwd=self._folder, stdout=file, stderr=file)
            )
        awaited = "idle free" if words[1] == "device" else "ready"
        self.waits_for(lambda: awaited in log.read_text(), log)
        return ""

    def waits_for(self, ready, about: object) -> None:
        limit = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < limit, about
            time.sleep(0.1)

    def ends(self) -> None:
        for process in reversed(self._running):
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    person = Reader(tmp_path)
    yield person
    person.ends()


def outcome(reader: Reader, job: str) -> tuple[str, str]:
    """The status that a job ends with, and the reason."""
    found = []

    def over() -> bool:
        told = json.loads(reader.does(f"sluice job show {job} --state lab --json"))
        found[:] = told["executions"]
        return found[0]["status"] not in ("QUEUED", "IN_PROGRESS")

    reader.waits_for(over, found)
    return found[0]["status"], found[0]["details"]["reason"]


def test_page_leads_to_an_operation_that_does_what_it_says(reader, tmp_path):
    (tmp_path / "operations").mkdir()
    (module,) = blocks("python")
    (tmp_path / "operations/setpoint.py").write_text(module)
    (order,) = blocks("json")
    (tmp_path / "set.json").write_text(order)
    for text in blocks("sh"):
        for line in text.splitlines():
            reader.does(line)
    assert outcome(reader, "set-1") == ("SUCCEEDED", "215 tenths of a degree")
    (tmp_path / "set.json").write_text(order.replace("215", '"warm"'))
    reader.does("sluice job create --thing pump --document set.json --id set-2 --state lab")
    assert outcome(reader, "set-2") == ("REJECTED", "job document lacks or misstates tenths")
