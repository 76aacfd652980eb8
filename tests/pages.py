"""Someone who does what a page of documentation says, word for word."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 90
_READY = {"cloud": "ready", "device": "idle free"}  # what a command left running says first


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def lines(text: str) -> list[str]:
    """The commands of a shell block: continued lines are one, comments are none."""
    joined = text.replace("\\\n", " ").splitlines()
    return [line for line in joined if line.strip() and not line.startswith("#")]


class Reader:
    """Runs `sluice` and `mpremote` lines in a folder of its own; the cloud takes free ports."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._running: list[subprocess.Popen] = []

    def does(self, line: str) -> str:
        """What a line prints. One with & is left running, once it says that it is ready."""
        words = shlex.split(line, comments=True)
        module = {"sluice": "host_tools.cli", "mpremote": "mpremote"}[words[0]]
        command = [sys.executable, "-m", module, *(word for word in words[1:] if word != "&")]
        if words[1:3] == ["cloud", "run"]:
            command += ["--port", "0", "--http-port", "0"]
        if words[-1] == "&":
            self._leaves(command, words[1])
            return ""
        done = subprocess.run(
            command, cwd=self.folder, text=True, capture_output=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    def _leaves(self, command: list[str], name: str) -> None:
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(command, cwd=self.folder, stdout=file, stderr=file)
        self._running.append(process)
        self.waits_for(lambda: _READY[name] in log.read_text(errors="replace"), log)

    def waits_for(self, ready: Callable[[], bool], about: object) -> None:
        """Until it is so; AssertionError with `about` when it is not in time."""
        limit = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < limit, about
            time.sleep(0.1)

    def ends(self) -> None:
        """End what was left running, the last first."""
        for process in reversed(self._running):
            process.terminate()
            process.wait(timeout=20)
