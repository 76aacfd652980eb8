"""--log FILE: each line of a cloud and of a board with its time, and the terminal as before."""

import logging
import re
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from patience import FUSE_S
from typed import complaint, good

from sluice.commands.log_file import LogFile, logged, of_logging
from sluice.errors import SluiceError

STAMPED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (.+)")


def told(file: Path) -> list[str]:
    """The lines without their times, each of which must be one of this hour's."""
    lines = [STAMPED.fullmatch(line) for line in file.read_text().splitlines()]
    assert all(lines), file.read_text()
    for line in lines:
        age = datetime.now(UTC) - datetime.fromisoformat(line[1])
        assert timedelta(0) <= age + timedelta(milliseconds=1) < timedelta(hours=1)
    return [line[2] for line in lines]


def test_lines_are_added_and_the_file_is_its_owners(tmp_path):
    path = tmp_path / "log"
    for text in ("one", "two\nthree"):
        with logged(path) as file:
            file.line(text)
    assert told(path) == ["one", "two", "three"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with logged(None) as file:
        file.line("one")
    assert list(tmp_path.iterdir()) == []


def test_presigned_query_and_what_moves_a_cursor_stay_out(tmp_path):
    with logged(tmp_path / "log") as file:
        file.line("GET 'http://x/a?versionId=1&X-Amz-Signature=abc&b=1' failed\x1b[2J?")
    assert told(tmp_path / "log") == ["GET 'http://x/a?…' failed[2J?"]


def test_error_that_ends_the_command_is_in_it(tmp_path):
    with pytest.raises(SluiceError), logged(tmp_path / "log"):
        raise SluiceError("no power")
    assert told(tmp_path / "log") == ["ERROR no power"]


@pytest.mark.parametrize("place", ["none/log", "."])
def test_file_that_cannot_be_written_is_told_before_anything_runs(tmp_path, place):
    log = ("--log", tmp_path / place)
    (tmp_path / "things").mkdir()
    for words in (("device", "run", "lamp"), ("cloud", "run", "--port", 0, "--http-port", 0)):
        said = complaint(*words, "--state", tmp_path, *log)
        assert said.startswith(f"sluice: cannot write {tmp_path / place}: ")
    assert [file.name for file in tmp_path.iterdir()] == ["things"]


def test_disk_that_is_full_is_told_once_and_ends_only_the_log(capsys):
    file = LogFile(Path("/dev/full"))
    file.line("one\ntwo")
    file.line("three")
    file.close()
    said = "sluice: /dev/full: No space left on device; nothing more is logged there\n"
    assert capsys.readouterr() == ("", said)


def test_terminal_gets_of_logging_what_it_got_without(tmp_path):
    script = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from sluice.commands.log_file import logged, of_logging\n"
        "path = Path(sys.argv[1]) if sys.argv[1:] else None\n"
        "with logged(path) as file, of_logging(file):\n"
        "    for name in ('sluice.cloud', 'another'):\n"
        "        logging.getLogger(name).info('quiet %s', name)\n"
        "        logging.getLogger(name).warning('loud %s', name)\n"
    )
    bare = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=FUSE_S)
    line = [sys.executable, "-c", script, tmp_path / "log"]
    done = subprocess.run(line, capture_output=True, timeout=FUSE_S)
    assert done.stderr == bare.stderr == b"loud sluice.cloud\nloud another\n"
    assert told(tmp_path / "log") == [
        "INFO quiet sluice.cloud",
        "WARNING loud sluice.cloud",
        "WARNING loud another",
    ]


def test_logging_is_afterwards_as_it_was(tmp_path):
    ours, root = logging.getLogger("sluice"), logging.getLogger()
    before = ours.level, list(root.handlers)
    with logged(tmp_path / "log") as file, of_logging(file):
        pass
    assert (ours.level, root.handlers) == before


def test_cloud_and_board_log_into_one_file(tmp_path):
    path, state = tmp_path / "log", tmp_path / "state"
    ports = ("--port", "0", "--http-port", "0")
    line = [sys.executable, "-m", "sluice.cli", "cloud", "run", "--state", str(state), *ports]
    with subprocess.Popen([*line, "--log", str(path)], stdout=subprocess.PIPE, text=True) as cloud:
        try:
            ready = cloud.stdout.readline()
            good("thing", "create", "lamp", "--state", state)
            words = [sys.executable, "-m", "sluice.cli", "device", "run", "lamp", "--blank"]
            words += ["--state", str(state), "--log", str(path)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=FUSE_S)
        finally:
            cloud.send_signal(signal.SIGTERM)
    assert cloud.returncode == 0
    first, *lines, last = told(path)
    assert first == f"INFO {ready.strip()}" and last == "INFO cloud ended"
    assert lines == done.stdout.splitlines() and len(lines) > 2


def test_exports_are_taken_back_without_a_cloud(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = "export AWS_ENDPOINT_URL=x AWS_SECRET_ACCESS_KEY=y SLUICE_CA=z; "
    script += f"eval '{good('cloud', 'env', '--unset')}'; env"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert not re.search("^(AWS_ENDPOINT_URL|AWS_SECRET_ACCESS_KEY|SLUICE_CA)=", done.stdout, re.M)
    assert done.returncode == 0
