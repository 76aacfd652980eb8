"""Someone who does what a page of documentation says, word for word."""

import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from patience import LONG_S

from sluice.compile import ROOT
from sluice.toolchain import ASKED

BEGINNING = """make setup
export PATH="$PWD/.venv/bin:$PATH"
"""  # of every page with commands
CHECKOUT = (
    "Makefile",
    "setup.py",
    "pyproject.toml",
    "requirements.txt",
    "firmware",
    "boards",
    "docs",
)
FOLDER = "my boards and more"  # a stranger's: its name has spaces
_NARROW = {"COLUMNS": "60", "NO_COLOR": "1"}
_WITHOUT_ROOT = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
_READY = {"cloud": "ready", "device": "idle free"}  # what a command left running says first


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of that language."""
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def lines(text: str) -> list[str]:
    """The commands of a shell block: continued lines are one, comments are none."""
    joined = text.replace("\\\n", " ").splitlines()
    return [line for line in joined if line.strip() and not line.startswith("#")]


@functools.cache
def unprivileged() -> list[str]:
    """The words before a command that take root's powers, where root runs the tests."""
    if os.geteuid() != 0 or shutil.which(_WITHOUT_ROOT[0]) is None:
        return []
    tried = subprocess.run([*_WITHOUT_ROOT, "true"], capture_output=True)
    return _WITHOUT_ROOT if tried.returncode == 0 else []


def checkout(folder: Path) -> dict[str, str]:
    """Make a folder look like a checkout whose environment is the one that runs the tests.

    Returns the variables of a shell there: a narrow terminal without colors, nothing of AWS or of
    an outer make, and no environment on the path, because a page's first lines put it there.
    """
    folder.mkdir()
    for name in CHECKOUT:
        (folder / name).symlink_to(ROOT / name)
    environment = folder / ".venv"
    environment.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name != ".ready":
            (environment / entry.name).symlink_to(entry)
    (environment / ".ready").touch()  # newer than the requirements: there is nothing to install
    hidden = ("AWS_", "SLUICE_", "MAKE", "MFLAGS", "PYTHONPATH")
    variables = {
        key: text for key, text in os.environ.items() if key == ASKED or not key.startswith(hidden)
    }
    mine = str(Path(sys.prefix) / "bin")
    path = [part for part in variables["PATH"].split(os.pathsep) if part != mine]
    return variables | _NARROW | {"PATH": os.pathsep.join(path)}


class Reader:
    """Runs a page's lines in a checkout of its own, as a shell would; a cloud takes free ports.

    The shell is a stranger's: `FOLDER`, 60 columns, no colors, no terminal, and no power of root.
    """

    def __init__(self, inside: Path):
        self.folder = inside / FOLDER
        self._variables = checkout(self.folder)
        self._running: list[subprocess.Popen] = []

    def begins(self) -> None:
        """Do what every page begins with."""
        for line in lines(BEGINNING):
            self.does(line)

    def does(self, line: str) -> str:
        """What a line prints. One with & is left running, once it says that it is ready."""
        words = shlex.split(line, comments=True)
        if words[1:3] == ["cloud", "run"]:
            line = line.replace(" run ", " run --port 0 --http-port 0 ", 1)
        if words[0] == "export":
            self._exports(line, words[1].partition("=")[0])
            return ""
        if len(words) == 1 and words[0].partition("=")[0].isidentifier() and "=" in line:
            self._exports(line, words[0].partition("=")[0])
            return ""
        if words[0] == "eval":
            self._evaluates(line)
            return ""
        if words[-1] == "&":
            self._leaves(line.rpartition("&")[0], words[1])
            return ""
        done = self._shell(line)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        return done.stdout

    def fails(self, line: str) -> str:
        """What a line prints and complains of that ends with exit code 1."""
        done = self._shell(line)
        assert done.returncode == 1, (line, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def sets(self, **variables: str) -> None:
        """Variables of the shell."""
        self._variables |= variables

    def pastes(self, script: str) -> subprocess.CompletedProcess:
        """What comes of many lines that are pasted at once."""
        return self._shell(script)

    def _shell(self, line: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*unprivileged(), "bash", "-c", line],
            cwd=self.folder,
            env=self._variables,
            text=True,
            capture_output=True,
            timeout=LONG_S,
        )

    def _exports(self, line: str, name: str) -> None:
        done = self._shell(f'{line}\nprintf %s "${name}"')
        assert done.returncode == 0, (line, done.stderr)
        self.sets(**{name: done.stdout})

    def _evaluates(self, line: str) -> None:
        done = self._shell(f"set -e\n{line}\nenv -0")
        assert done.returncode == 0, (line, done.stderr)
        self.sets(**dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair))

    def _leaves(self, line: str, name: str) -> None:
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*unprivileged(), "bash", "-c", f"exec {line}"],
                cwd=self.folder,
                env=self._variables,
                stdout=file,
                stderr=file,
            )
        self._running.append(process)
        if "--pty" in line:
            return  # the page has to say how its port is waited for
        self.waits_for(lambda: _READY[name] in log.read_text(errors="replace"), log)

    def waits_for(self, ready: Callable[[], bool], about: object) -> None:
        """Until it is so; AssertionError with `about` when it is not in time."""
        limit = time.monotonic() + LONG_S
        while not ready():
            assert time.monotonic() < limit, about
            time.sleep(0.1)

    def ends(self) -> None:
        """End what was left running."""
        for process in reversed(self._running):
            process.terminate()
        for process in self._running:
            process.wait(timeout=LONG_S)
