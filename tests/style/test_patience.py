"""Tests wait with the fuses of tests/patience.py, not with seconds of their own."""

import ast
from pathlib import Path

import pytest

from sluice.compile import ROOT

TESTS = ROOT / "tests"
ON_BOARDS = {"firmware", "style"}  # code for MicroPython, with a clock of its own
FILES = [
    file
    for file in sorted(TESTS.rglob("*.py"))
    if file.relative_to(TESTS).parts[0] not in ON_BOARDS and file.name != "patience.py"
]
# calls that wait → the place of the seconds, behind what they are called on
WAITING = {"wait_for": 1, "join": 0, "wait": 0, "result": 0, "settimeout": 0, "soon": 1}
WORDS = {"timeout", "deadline_s", "read_timeout", "timeout_s"}
LEAST_S = 2  # below, it is something that must not come: a short look costs no verdict


def seconds(call: ast.Call) -> list[float]:
    """The numbers of seconds that a call waits for, written out."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = [word.value for word in call.keywords if word.arg in WORDS]
    at = WAITING.get(name)
    if at is not None and len(call.args) > at:
        given.append(call.args[at])
    return [
        one.value
        for one in given
        if isinstance(one, ast.Constant) and isinstance(one.value, int | float)
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_wait_has_no_seconds_of_its_own(file: Path):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call):
            found = [one for one in seconds(node) if one >= LEAST_S]
            assert not found, f"{file}:{node.lineno}: {found} s: use patience.FUSE_S"


def test_seconds_are_found():
    lines = ("board.wait_for('idle', 30)", "thread.join(10)", "run(x, timeout=5)", "soon(f, 9)")
    for line in lines:
        assert seconds(ast.parse(line).body[0].value), line
    assert not seconds(ast.parse("board.wait_for('idle', after=30)").body[0].value)
