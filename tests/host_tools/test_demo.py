"""`sluice demo` as a user sees it: in a terminal, in a pipe, interrupted, killed, again."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import FUSE_S, LONG_S

from sluice.commands import demo
from sluice.errors import SluiceError

DEMO = [sys.executable, "-m", "sluice.cli", "demo"]
pytestmark = pytest.mark.usefixtures("release")

NEWER = re.escape(demo.AGENT)
TOLD = (  # in this order
    r"cloud +MQTT on localhost:\d+",
    r"boot loader +starts ota_0, version 1\.0\.0",
    r"board +slots before: ota_0 1\.0\.0 runs, ota_1 empty",
    r"host +signs and deploys .*1,468,006 bytes",
    r"board +hears of job \S+",
    r"359/359 blocks +[\d,]+ KiB/s +heap [\d.]+ KiB free",
    r"board +it is genuine: signed by signer\.crt",
    r"boot loader +starts ota_1, version 1\.1\.0 \(trial\)",
    r"board +is healthy: confirmed",
    r"cloud +\S+: SUCCEEDED after [\d.]+ s, accepted v1\.1\.0",
    r"board +slots after: ota_0 1\.0\.0, ota_1 1\.1\.0 runs",
    r"Version 1\.2\.0: its self-test fails",
    r"boot loader +starts ota_0, version 1\.2\.0 \(trial\)",
    r"board +self-test failed: left unconfirmed",
    r"boot loader +takes ota_0 back",
    r"boot loader +starts ota_1, version 1\.1\.0 \(valid\)",
    r"cloud +\S+: FAILED after [\d.]+ s, rolled back: self-test failed",
    r"board +slots after: .*ota_1 1\.1\.0 runs",
    r"Application 1\.0\.0: a good one",
    r"board +runs agent \S+, application 1\.0\.0, from app\.a",
    r"cloud +\S+: SUCCEEDED after [\d.]+ s, accepted app v1\.0\.0",
    r"Application 1\.1\.0: it raises",
    r"cloud +\S+: FAILED after [\d.]+ s, rolled back: RuntimeError",
    f"Agent {NEWER}",
    rf"board +runs agent {NEWER}, application 1\.0\.0, from agent\.a\+app\.a",
    rf"cloud +\S+: SUCCEEDED after [\d.]+ s, accepted agent v{NEWER}",
    r"5 of 5 updates ended as they should",
)
READING = re.compile(r"application +reading 1: \d+ bytes free")  # beside the agent, so anywhere


def told_in_order(text: str, wanted: tuple[str, ...] = TOLD) -> None:
    at = 0
    for pattern in wanted:
        match = re.compile(pattern).search(text, at)
        assert match, f"no {pattern!r} after:\n{text[:at]}\nin:\n{text[at:]}"
        at = match.end()
    assert READING.search(text), text


def left(folder: Path) -> list[str]:
    """Processes that have the folder in their command line, or are in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
            place = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in words or place.startswith(str(folder)):
            found.append(words.replace("\0", " "))
    return found


def nothing_left(folder: Path) -> None:
    limit = time.monotonic() + FUSE_S
    while (found := left(folder)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not found


class Terminal:
    """The demo in a terminal of its own, 100 columns wide."""

    def __init__(self, folder: Path) -> None:
        self.text = ""
        self._ours, theirs = pty.openpty()
        env = os.environ | {"TMPDIR": str(folder), "COLUMNS": "100", "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            DEMO,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # to control it
        )
        os.close(theirs)

    def read_until(self, pattern: str | None, deadline_s: float = LONG_S) -> None:
        """Take what is shown until the pattern was, or the end without one."""
        limit = time.monotonic() + deadline_s
        while pattern is None or not re.search(pattern, self.text):
            assert time.monotonic() < limit, self.text
            if not select.select([self._ours], [], [], 0.5)[0]:
                continue
            try:
                raw = os.read(self._ours, 65_536)
            except OSError:  # the other end is closed
                raw = b""
            if not raw:
                assert pattern is None, self.text
                return
            self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", raw.decode(errors="replace"))

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


def test_demo_in_a_terminal_shows_progress_and_both_endings(terminal, tmp_path):
    terminal.read_until(None)
    assert terminal.process.wait(FUSE_S) == 0
    told_in_order(terminal.text)
    counts = {int(count) for count in re.findall(r"(\d+)/359 blocks", terminal.text)}
    assert 359 in counts  # how often the bar is drawn on its way is a matter of time
    assert not list(tmp_path.iterdir())
    nothing_left(tmp_path)


def test_demo_in_a_pipe_tells_the_same(tmp_path):
    command = [*DEMO, "--state", str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG_S)
    assert (done.returncode, done.stderr) == (0, ""), done
    told_in_order(done.stdout)
    assert "\x1b" not in done.stdout
    nothing_left(tmp_path)
    again = subprocess.run(command, capture_output=True, text=True, timeout=FUSE_S)
    assert (again.returncode, again.stderr) == (0, ""), again
    assert "starts ota_1, version 1.1.0 (valid)" in again.stdout
    assert re.search(r"SUCCEEDED after [\d.]+ s, accepted v1\.2\.0", again.stdout)


@pytest.mark.parametrize("moment", ["MQTT on", r"[1-9]\d*/359 blocks", "its self-test fails"])
def test_demo_interrupted_with_ctrl_c_leaves_nothing_behind(terminal, tmp_path, moment):
    terminal.read_until(moment)
    assert left(tmp_path)
    terminal.press(b"\x03")
    terminal.read_until(None, 40)
    assert terminal.process.wait(FUSE_S) == 130
    assert "Traceback" not in terminal.text
    assert not list(tmp_path.iterdir())
    nothing_left(tmp_path)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 1), (signal.SIGHUP, 1), (signal.SIGKILL, -9)]
)
def test_demo_ended_by_a_signal_leaves_no_process(terminal, tmp_path, number, code):
    terminal.read_until(r"[1-9]\d*/359 blocks")
    terminal.process.send_signal(number)
    assert terminal.process.wait(FUSE_S) == code
    nothing_left(tmp_path)


def test_what_does_not_end_by_itself_is_told(monkeypatch):
    monkeypatch.setattr(demo, "UPDATE_S", 0)
    with pytest.raises(SluiceError, match="`sluice image` did not end within 0 s"):
        demo._sluice("image", "--help")
    monkeypatch.setattr(demo, "END_S", 0.1)
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True)"
    command = [sys.executable, "-c", f"{deaf}; time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as cloud:
        cloud.stdout.readline()
        with pytest.raises(SluiceError, match=r"cloud did not end within 0\.1 s: it was killed"):
            demo._end(cloud)


E_LINE = "E 812 main cannot start: bad credentials ca invalid cert"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (["boot: ota_0 1.0.0 valid", E_LINE, ">>> "], f"Its last complaint: {E_LINE}"),
        (["Traceback", "ImportError: x", "end: main raised"], "last complaint: ImportError: x"),
        (["boot: ota_0 1.0.0 valid"], "Its last line: boot: ota_0 1.0.0 valid"),
        ([], "Its last line: none"),
    ],
    ids=["log", "traceback", "silent", "nothing"],
)
def test_board_that_does_not_come_up_is_told_with_its_own_last_complaint(said, shown):
    assert demo._cause("\n".join(["no line matches 'agent idle':", *said])).endswith(shown)


def test_demo_without_mosquitto_says_so_in_one_line(tmp_path):
    env = os.environ | {"MOSQUITTO": "/nowhere/mosquitto", "TMPDIR": str(tmp_path)}
    done = subprocess.run(DEMO, capture_output=True, text=True, timeout=FUSE_S, env=env)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done
    assert done.stderr.startswith("sluice: ")
    assert "$MOSQUITTO" in done.stderr
    nothing_left(tmp_path)
