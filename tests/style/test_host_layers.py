"""Arrows point down only on the host, too: from commands to rooms, from rooms to the ground."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.compile import ROOT

HOST = ROOT / "host_tools"
# From the bottom up: a room, which is a folder or a file, imports rooms of the rows below its own.
ROOMS = (
    (
        *("board_clock", "complaints", "errors", "examples", "help_text", "holding"),
        *("places", "releases", "short_texts", "version_word"),
    ),
    ("audit", "debian", "documents", "shorten", "signing", "terminal", "transport"),
    ("agreed_names", "board_port", "toolchain"),
    ("cloud", "compile"),
    ("boards", "chromium", "diagram", "package", "picture", "traceback_names"),
    ("image", "serial_console"),
    ("bundle", "device"),
    ("doctor", "flash", "fleet"),
    ("page",),
    ("commands",),
    ("cli",),
    ("reference",),
    ("made",),
)
CLOUD = (
    ("apart", "looks", "message", "names", "refusal", "state"),
    ("store",),
    ("http", "listing"),
    ("announce", "product", "s3", "shadow", "tags"),
    ("things",),
    ("index", "streams"),
    ("jobs",),
    ("faults",),
    ("http_faults", "mqtt"),
    ("run",),
)
BOARDS_OWN = (  # run elsewhere
    "device/shims",
    "doctor/measuring.py",
    "doctor/on_board.py",
    "flash/on_board.py",
)


STARTED = ("sim_start", "sim_chip")  # what __main__ goes on with, which asks sim_start


def modules() -> dict[str, Path]:
    """{dotted name: file} of all that runs on the host."""
    files = (file for file in HOST.rglob("*.py") if not is_boards_own(file))
    return {_dotted(file): file for file in files}


def _dotted(file: Path) -> str:
    return ".".join(("sluice", *file.relative_to(HOST).with_suffix("").parts))


def is_boards_own(file: Path) -> bool:
    return file.relative_to(HOST).as_posix().startswith(BOARDS_OWN)


MODULES = modules()


def imported(name: str) -> Iterator[str]:
    """The modules of ours that one imports, wherever in it."""
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [one if one in MODULES else node.module or "" for one in inside]
        else:
            continue
        for one in found:
            here = one if one in MODULES else f"{one}.__init__"
            if here in MODULES and here not in (name, "sluice.__init__"):
                yield here


def row(room: str, rows: tuple[tuple[str, ...], ...]) -> int:
    """The number of a room's row."""
    found = [number for number, those in enumerate(rows) if room in those]
    assert found, f"{room} stands in no row: give it one"
    return found[0]


def room(name: str, depth: int) -> str:
    """The room of a module: the word at that depth of its dotted name."""
    return name.split(".")[depth]


@pytest.mark.parametrize(("within", "rows"), [("", ROOMS), ("cloud.", CLOUD)])
def test_room_imports_only_rooms_below_it(within, rows):
    head, depth = f"sluice.{within}", within.count(".") + 1
    names = [name for name in MODULES if name.startswith(head) and not name.endswith("__init__")]
    wrong = [
        f"{name} imports {other}"
        for name in names
        for other in imported(name)
        if other.startswith(head)
        and room(other, depth) != room(name, depth)
        and row(room(other, depth), rows) >= row(room(name, depth), rows)
    ]
    assert names and not wrong


def test_no_module_imports_itself_by_way_of_others():
    done: set[str] = set()

    def follow(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for other in imported(name):
                follow(other, (*path, name))
            done.add(name)

    for name in MODULES:
        if not name.endswith("__init__"):
            follow(name, ())
    assert len(done) > 150


def test_no_module_of_the_model_imports_itself_by_way_of_others():
    shims = {file.stem: file for file in (HOST / "device/shims").glob("*.py")}

    def follow(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path[path.index(name) :], name))
        for node in ast.walk(ast.parse(shims[name].read_text())):
            found = []
            if isinstance(node, ast.Import):
                found = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                found = [node.module]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "__import__":
                found = [ast.unparse(node.args[0]).strip("'")]
            for other in found:
                if other in shims and (name, other) != STARTED:
                    follow(other, (*path, name))

    for name in shims:
        follow(name, ())


def test_rows_name_rooms_that_there_are_and_all_of_them():
    for folder, rows in ((HOST, ROOMS), (HOST / "cloud", CLOUD)):
        there = {file.stem for file in folder.glob("*.py")} - {"__init__"}
        there |= {file.parent.name for file in folder.glob("*/__init__.py")}
        assert there == {name for those in rows for name in those}
