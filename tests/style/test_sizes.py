"""Small files and short functions."""

import ast
import statistics

import pytest
from sources import device_files, parsed, where

from sluice.compile import ROOT

FILE_LINES = 300
FUNCTION_LINES = 40
MEDIAN_LINES = 10


def functions(file):
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize(
    "file", device_files(), ids=lambda file: f"{file.parent.name}/{file.name}"
)
def test_device_file_and_its_functions_are_short(file):
    lines = len(file.read_text().splitlines())
    assert lines <= FILE_LINES, f"{file.name} has {lines} lines"
    for node in functions(file):
        size = node.end_lineno - node.lineno + 1
        assert size <= FUNCTION_LINES, f"{where(file, node)}: {node.name} has {size} lines"


@pytest.mark.parametrize(
    "file",
    sorted((ROOT / "host_tools").rglob("*.py")),
    ids=lambda file: f"{file.parent.name}/{file.name}",
)
def test_host_file_and_its_functions_are_short(file):
    lines = len(file.read_text().splitlines())
    assert lines <= FILE_LINES, f"{file.name} has {lines} lines"
    for node in functions(file):
        size = node.end_lineno - node.lineno + 1
        assert size <= FUNCTION_LINES, f"{where(file, node)}: {node.name} has {size} lines"


def test_device_functions_are_short_by_habit():
    sizes = [n.end_lineno - n.lineno + 1 for file in device_files() for n in functions(file)]
    assert statistics.median(sizes) <= MEDIAN_LINES
    print(f"{len(sizes)} functions, median {statistics.median(sizes)} lines, longest {max(sizes)}")
