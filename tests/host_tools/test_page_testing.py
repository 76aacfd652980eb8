"""Pages for whoever works on Sluice: each of their pytest commands finds tests."""

import shlex
import subprocess
import sys

import pytest
from pages import blocks, lines
from patience import FUSE_S

from sluice.compile import ROOT

PAGES = [ROOT / name for name in ("CONTRIBUTING.md", "docs/testing.md")]
LAST_FAILED = "pytest --lf"  # what it finds is another matter each time
COMMANDS = sorted(
    {
        line
        for page in PAGES
        for text in blocks(page.read_text(), "sh")
        for line in lines(text)
        if line.startswith("pytest ") and line != LAST_FAILED
    }
)


def test_pages_have_such_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("command", COMMANDS)
def test_command_finds_tests(command: str):
    line = [sys.executable, "-m", *shlex.split(command), "--collect-only", "-q", "-n", "0"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=FUSE_S)
    assert done.returncode == 0, done.stdout + done.stderr
