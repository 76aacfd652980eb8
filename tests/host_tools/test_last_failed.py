"""`pytest --lf` runs again all that failed, and nothing else: device tests, too."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import LONG_S

from sluice.compile import ROOT

FILES = {
    "firmware/test_one.py": "def test_good():\n    pass\n\ndef test_bad():\n    assert False\n",
    "firmware/test_two.py": "DIFFERS = True\ndef test_bad():\n    assert False\n",
    "firmware/test_three.py": "def test_good():\n    pass\n",
    "test_host.py": """import pytest

@pytest.mark.parametrize("text", ["a::b", "x[1]", "y/z"])
@pytest.mark.parametrize("good", [True, False])
def test_it(text, good):
    assert good
""",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A few tests with the collectors of this checkout."""
    ours = ("conftest.py", "made_bundles.py", "made_containers.py", "runner.py")
    for name in ("conftest.py", *(f"firmware/{name}" for name in ours)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((ROOT / "tests" / name).read_text())
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT} {ROOT / 'tests'}\n")
    return tmp_path


def ran(project: Path, *words: str) -> dict[str, int]:
    """How many tests of the project passed and failed."""
    command = [sys.executable, "-m", "pytest", "-q", *words]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=LONG_S)
    counts = re.findall(r"(\d+) (passed|failed)", done.stdout.splitlines()[-1])
    assert counts, done.stdout + done.stderr
    return {word: int(number) for number, word in counts}


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_last_failed_runs_all_that_failed_and_nothing_else(project, workers):
    failed = 2 + 2 + 3  # on two ports each; all of one release, as this session's is settled
    first = ran(project, "--micropython", "1.25", *workers)
    assert first == {"failed": failed, "passed": 2 + 2 + 3}
    assert ran(project, "--micropython", "1.25", "--lf", *workers) == {"failed": failed}
    (project / "firmware/test_two.py").write_text("def test_bad():\n    pass\n")
    again = ran(project, "--micropython", "1.25", "--lf", *workers)
    assert again == {"failed": failed - 2, "passed": 2}
    assert ran(project, "--micropython", "1.25", "--lf", *workers) == {"failed": failed - 2}
