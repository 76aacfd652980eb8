"""What is printed at a terminal: broken at blanks, and after Ctrl-C on a line of its own."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import pytest
from patience import FUSE_S

from sluice import help_text

NARROW = 60


class Screen:
    """A terminal that programs run at; nothing is echoed."""

    def __init__(self, columns: int) -> None:
        self._ours, self.theirs = pty.openpty()
        size = struct.pack("HHHH", 24, columns, 0, 0)
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, size)
        self.text = ""

    def run(self, *words: object) -> subprocess.Popen:
        """`sluice` at this terminal."""
        return self.python("-m", "sluice.cli", *words)

    def python(self, *words: object) -> subprocess.Popen:
        """Python at this terminal."""
        command = [sys.executable, *map(str, words)]
        return subprocess.Popen(command, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs)

    def read(self) -> None:
        """Take what was shown by now."""
        while select.select([self._ours], [], [], 0.05)[0]:
            self.text += os.read(self._ours, 65_536).decode().replace("\r\n", "\n")

    def read_until(self, wanted: str) -> None:
        """Take what is shown, until that was."""
        limit = time.monotonic() + FUSE_S
        while wanted not in self.text:
            assert time.monotonic() < limit, self.text
            self.read()

    def close(self) -> None:
        os.close(self._ours)
        os.close(self.theirs)


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen(NARROW)
    yield made
    made.close()


MISTAKES = [
    ("deploy", "app.py", "--thing", "pump"),
    ("job", "list", "--state", "."),
    ("image", "mak"),
]


@pytest.mark.parametrize("words", MISTAKES)
def test_error_is_broken_at_blanks_at_a_terminal_and_is_one_line_elsewhere(
    words, screen, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.py").write_text("")
    command = [sys.executable, "-m", "sluice.cli", *words]
    plain = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S).stderr
    assert plain.count("\n") == 1
    assert screen.run(*words).wait(FUSE_S)
    screen.read()
    assert " ".join(screen.text.split()) == plain.strip()
    assert max(map(len, screen.text.splitlines())) <= NARROW


def test_backticks_are_kept_whole_where_the_terminal_has_room_for_them():
    text = "run `a b c` and `one two three four`"
    assert help_text.wrapped(text, 12) == "run `a b c`\nand `one two\nthree four`"


INTERRUPTED = """\
import os, signal, sys
from sluice import cli
def run(args):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        print("told")
        raise
cli._run = run
sys.stdout.write("^C")
sys.stdout.flush()
sys.exit(cli.main(["completion", "bash"]))
"""
STOPPED = """\
import os, signal, sys
from sluice.commands import device
class Board:
    on = True
    def stop(self):
        print("told")
device._end_by_signals(Board())
sys.stdout.write("^C")
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGINT)
"""
SERVED = """\
import os, signal, sys
from sluice.page import serving
class Web:
    endpoint = "http://a"
    def stop(self):
        print("told")
class Page:
    def address(self, endpoint):
        os.kill(os.getpid(), signal.SIGINT)
        return endpoint
serving.serving = lambda *words, **more: Web()
sys.stdout.write("^C")
sys.stdout.flush()
serving.print = lambda *words, **more: None
serving.serve(Page(), 0)
"""


@pytest.mark.parametrize(
    ("program", "code"),
    [(INTERRUPTED, 130), (STOPPED, 0), (SERVED, 0)],
    ids=["cli", "board", "page"],
)
def test_what_is_said_after_ctrl_c_has_a_line_of_its_own_at_a_terminal(program, code, screen):
    assert screen.python("-c", program).wait(FUSE_S) == code
    screen.read()
    assert screen.text == "^C\ntold\n"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S)
    assert (done.returncode, done.stdout, done.stderr) == (code, "^Ctold\n", "")


def test_cloud_that_ctrl_c_ends_leaves_the_line_of_the_key(screen, tmp_path):
    words = ("--state", tmp_path / "lab", "--port", 0, "--http-port", 0)
    process = screen.run("cloud", "run", *words)
    screen.read_until("page http")
    screen.read_until("\n")
    process.send_signal(signal.SIGINT)
    assert process.wait(FUSE_S) == 0
    screen.read()
    assert screen.text.endswith("\n\n")
