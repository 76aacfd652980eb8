"""`make audit`: an advisory, its absence and an index that is out of reach are told apart."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from patience import FUSE_S

from sluice.audit import main
from sluice.compile import ROOT

GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "X-1", "fix_versions": ["2.1"]}]}
OPEN = {"name": "c", "version": "3", "vulns": [{"id": "X-2", "fix_versions": []}]}
UNKNOWN = {"name": "d", "skip_reason": "Dependency not found"}


@pytest.fixture
def program(tmp_path):
    """A function: makes a program that answers for each index as told, None being trouble."""

    def make(**answers: list | None) -> str:
        lines = ["#!/bin/sh"]
        for service, rows in answers.items():
            said = "echo no such host >&2"
            if rows is not None:
                said = f"echo {shlex.quote(json.dumps({'dependencies': rows}))}"
            case = rf"*={service}\ --requirement=one.txt"
            lines.append(f'case "$*" in {case}) {said};; esac')
        file = tmp_path / "audit"
        file.write_text("\n".join(lines) + "\n")
        file.chmod(0o700)
        return str(file)

    return make


@pytest.mark.parametrize(
    ("pypi", "osv", "code", "said"),
    [
        ([GOOD], [], 0, ["1 looked up, 0 advisories"]),
        ([GOOD, BAD, OPEN], [], 1,
         ["b 2: X-1, mended in 2.1", "c 3: X-2, mended in no version",
          "3 looked up, 2 advisories"]),
        ([GOOD, UNKNOWN], [], 2, ["1 looked up, 0 advisories", "not looked up: d"]),
        ([BAD, UNKNOWN], [], 1,
         ["b 2: X-1, mended in 2.1", "1 looked up, 1 advisories", "not looked up: d"]),
        ([UNKNOWN], [GOOD], 0,
         ["no advisories can be had of pypi: it knows none of the dependencies",
          "1 looked up, 0 advisories"]),
        ([UNKNOWN], [UNKNOWN], 2,
         ["no advisories can be had of pypi: it knows none of the dependencies",
          "no advisories can be had of osv: it knows none of the dependencies",
          "nothing was looked up"]),
        (None, None, 2,
         ["no advisories can be had of pypi: no such host",
          "no advisories can be had of osv: no such host", "nothing was looked up"]),
    ],
)  # fmt: skip
def test_advisories_and_what_was_not_looked_up_are_told(program, capsys, pypi, osv, code, said):
    assert main([program(pypi=pypi, osv=osv), "one.txt"]) == code
    assert capsys.readouterr().out.splitlines() == [f"audit: {line}" for line in said]


def test_program_that_is_not_there_is_said(capsys, tmp_path):
    assert main([str(tmp_path / "none"), "requirements.txt"]) == 2
    assert "No such file" in capsys.readouterr().out


def pinned(name: str) -> dict[str, int]:
    """The dependencies of a file, and how many hashes each has."""
    text = (ROOT / name).read_text()
    found = re.findall(r"^([\w.-]+)==\S+ \\\n((?: +--hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.M)
    assert len(found) == len(re.findall(r"^\w", text, re.M))
    return {package: hashes.count("--hash") for package, hashes in found}


def test_every_dependency_is_pinned_with_its_hash_the_builds_own_too():
    assert all(pinned("requirements.txt").values())
    assert "setuptools" in pinned("requirements.txt")
    assert "pip-audit" in pinned("requirements-audit.txt")


def test_installation_takes_nothing_that_is_not_pinned():
    makefile = (ROOT / "Makefile").read_text()
    lines = [line for line in makefile.splitlines() if "pip install" in line]
    assert len(lines) == 3
    for line in lines:
        assert "--require-hashes" in line or "--no-build-isolation --no-deps" in line
    assert Path(ROOT / "requirements-audit.txt").is_file()


def test_make_setup_ends_with_what_to_do_next_and_no_other_target_does():
    def last(target: str) -> str:
        # `make test` runs this test, and a make inside of a make says which folder it enters.
        command = ["make", "--no-print-directory", "-n", target]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=FUSE_S)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert last("setup").endswith("echo 'next: export PATH=\"$PWD/.venv/bin:$PATH\"'\n")
    assert "next:" not in last("lint")
