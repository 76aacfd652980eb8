"""Runs partition_rules.py on simulated boards, 32-bit and 64-bit; a test for each function."""

import ast
import json
from functools import lru_cache
from pathlib import Path

import pytest

from sluice.device.supervisor import Board
from sluice.image import make_image

RULES = Path(__file__).with_name("partition_rules.py")
RUNNER = Path(__file__).parents[2] / "firmware/runner.py"
MAIN = 'import sys\nsys.argv[1] = "partition_rules"\nimport runner\n'
HEAPS = {"i386": "160k", "amd64": "320k"}
NAMES = [
    node.name
    for node in ast.parse(RULES.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
]


@lru_cache
def outcomes(arch: str, folder: Path) -> dict[str, str]:
    """{test: its traceback, or ""} of one board; the whole output under "output"."""
    thing = folder / "things/lamp"
    thing.mkdir(parents=True)
    (thing / "config.json").write_text("{}")
    modules = {"main.py": MAIN, "runner.py": RUNNER}
    factory = make_image("1.0.0", modules=modules)
    board = Board(folder, "lamp", factory=factory, arch=arch, heap=HEAPS[arch])
    board.make()
    board.write_file("/partition_rules.py", RULES.read_bytes())  # as source, for its asserts
    board.put_image("ota_1", make_image("2.0.0", 1_000_000, modules={"main.py": ""}))
    board.start().join()
    tests = [json.loads(line[6:]) for line in board.lines if line.startswith("@TEST ")]
    return dict(tests) | {"output": "\n".join(board.lines)}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory, release: str) -> dict[str, Path]:
    return {arch: tmp_path_factory.mktemp(arch) for arch in ("i386", "amd64")}


@pytest.mark.parametrize("arch", ["i386", "amd64"])
@pytest.mark.parametrize("name", NAMES)
def test_partition_rule(name: str, arch: str, folders: dict[str, Path]):
    seen = outcomes(arch, folders[arch])
    assert name in seen, seen["output"]
    assert seen[name] == "", seen[name]
