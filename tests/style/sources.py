"""The device's sources as syntax trees, for tests of how they are written."""

import ast
from collections.abc import Iterator
from pathlib import Path

from sluice.compile import FIRMWARE, ROOT, firmware_sources

BOARDS = ROOT / "boards"
PLAIN = {"main", "trees"}  # names that are words, too


def trees() -> dict[str, ast.Module]:
    """Each module of firmware/ by its dotted name; a package by the name of its folder."""
    return {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): parsed(file)
        for path, file in firmware_sources().items()
    }


def device_files() -> list[Path]:
    """Every file that is written for the device, the boards' own included."""
    return sorted(FIRMWARE.rglob("*.py")) + sorted(BOARDS.rglob("board.py"))


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def where(file: Path, node: ast.AST) -> str:
    """For messages: the file from the checkout on, and the line."""
    return f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def imports(tree: ast.Module, known: set[str]) -> Iterator[str]:
    """The modules that a tree imports anywhere, or plugs in by a constant name.

    known   our modules: `from ota import log` means sluice.log, not ota
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in inside)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "plug_in"):
            if isinstance(node.args[0], ast.Constant):
                yield node.args[0].value
        elif isinstance(node, ast.Constant) and node.value in known - PLAIN:
            yield node.value  # a row of a registry, or the argument of plug_in
