"""What goes into an image: the agent, its board, umqtt.simple and the application, as .mpy."""

import ast
import tempfile
from functools import lru_cache
from pathlib import Path

from sluice import boards, toolchain
from sluice.compile import (
    EXAMPLES,
    STARTERS,
    agreed_names,
    agreeing,
    compile_tree,
    firmware_sources,
    renamed,
)
from sluice.errors import SluiceError
from sluice.places import FIRMWARE

EXAMPLE = EXAMPLES / "app.py"  # an application to copy

SELF_TESTS = {  # what --self-test puts in the image as app.py
    "fail": "async def healthy():\n    return False\n",
    "hang": "while True:\n    pass\n",
    "crash": "raise RuntimeError('this application cannot be imported')\n",
}


def device_sources(board: str) -> dict[str, Path]:
    """{path: source} of the whole of firmware/, `board`'s board.py and umqtt.simple.

    raises  SluiceError: no such board
    """
    sources = firmware_sources()
    sources["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
    sources["board.py"] = boards.folder(board) / "board.py"
    if boards.is_path(board):
        check_imports(sources["board.py"])
    return sources


def check_imports(file: Path) -> None:
    """Refuse a board.py that imports a name that only the firmware's sources have.

    Compiling makes names short that no document, and no board of ours, speaks of.
    """
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        raise SluiceError(f"{file}: {error}") from None
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("sluice."):
            continue
        source = FIRMWARE / f"{node.module.replace('.', '/')}.py"
        short = agreed_names() | (renamed(source) if source.is_file() else {})
        for alias in node.names:
            if alias.name in short:
                raise SluiceError(f"{file}: {alias.name} of {node.module} is not for boards")


def device_modules(board: str) -> dict[str, bytes]:
    """The same, compiled: {path: .mpy}."""
    return _modules(str(boards.folder(board).absolute()))


@lru_cache
def _modules(folder: str) -> dict[str, bytes]:
    return compiled(device_sources(folder))


def compiled(sources: dict[str, Path | str]) -> dict[str, bytes]:
    """{path: .mpy} of {path such as "sluice/agent/agent.py": a file, or the text itself}."""
    with tempfile.TemporaryDirectory(prefix="sluice-image-") as scratch:
        files = {}
        for number, (name, source) in enumerate(sources.items()):
            if isinstance(source, str):
                text = source
                source = Path(scratch, f"{number}.py")
                source.write_text(text, encoding="utf-8")
                ours = firmware_sources().get(name)
                if ours and ours not in STARTERS:  # it speaks of the others
                    source.write_text(agreeing(source), encoding="utf-8")
            files[name] = source
        into = Path(scratch, "mpy")
        compile_tree(files, into)
        return {
            str(file.relative_to(into)): file.read_bytes() for file in sorted(into.rglob("*.mpy"))
        }
