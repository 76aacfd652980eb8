"""Commands where the locale knows ASCII alone, in a folder whose name it does not know."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from patience import LONG_S

from sluice.image import make_image

pytestmark = pytest.mark.usefixtures("release")

WORD = "lämp"
ROLE = "arn:aws:iam::123456789012:role/sluice"
LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
HIDDEN = ("PYTHONIOENCODING", "LANG", "LC_CTYPE")
JSON = """{"operation": "echo", "words": "ä…"}"""
LINES = [  # each after the ones before it
    "demo --state {state}",
    "thing create lamp --state {state}",
    "thing list --state {state}",
    "thing list --state {state} --json",
    "image make a.bin --version 2.0.0",
    "image compress a.bin a.small",
    "image show a.bin",
    "image show a.small --json",
    "bundle make app.py a.bundle --version 1.0.0",
    "bundle show a.bundle",
    "sign a.bin --key new.key --new-key",
    "deploy a.bin --thing lamp --dry-run --aws --bucket bbb --role {role} --key new.key",
    "product list --state {state}",
    "completion bash",
    "completion fish",
    "setup",
    "--version",
]
REFUSED = [  # in one line, whatever is in it
    "thing create {word} --state {state}",
    "thing list --state {word}",
    "device run {word} --state {state}",
    "device run lamp --state {state} --board ./{word}",
    "image show {word}",
    "bundle make app.py a.bundle --version {word}",
    "image make b.bin --version {word}",
    "job create --thing lamp --document latin.json --state {state}",
    "flash --port {word} --thing lamp --state {state}",
    "doctor --port {word}",
    "cloud env --state {word}",
    "{word}",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the commands run."""
    folder = tmp_path / f"my {WORD}"
    folder.mkdir()
    (folder / "app.py").write_text("# ä…\nasync def main(link):\n    pass\n", encoding="utf-8")
    (folder / "latin.json").write_bytes(JSON.encode("utf-16"))
    return folder


def ran(folder: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    words = [word.format(state=folder / "läb", word=WORD, role=ROLE) for word in line.split()]
    kept = {key: text for key, text in os.environ.items() if key not in HIDDEN}
    command = [sys.executable, "-m", "sluice.cli", *words]
    where = {"cwd": folder, "env": kept | LOCALE, "timeout": LONG_S}
    done = subprocess.run(command, capture_output=True, **where)
    assert b"Traceback" not in done.stderr, (line, done.stderr.decode())
    return done


def test_commands_do_what_they_do_in_any_locale(folder):
    for line in LINES:
        done = ran(folder, line)
        assert done.returncode == 0, (line, done.stderr.decode())


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused_is_told_in_one_line(folder, line):
    done = ran(folder, line)
    assert done.returncode in (1, 2) and done.stderr.count(b"\n") == 1, done
    assert done.stderr.isascii() and done.stderr.startswith(b"sluice")


def test_sign_that_the_output_has_not_is_replaced_and_a_name_of_a_file_is_not(folder):
    (folder / "a.bin").write_bytes(make_image("1.0.0-é", modules={"main.py": ""}))
    assert b"version  1.0.0-?\n" in ran(folder, "image show a.bin").stdout
    said = ran(folder, "image make {word}.bin --version 1.0.0").stdout
    assert said.startswith(f"{WORD}.bin: esp32".encode())
