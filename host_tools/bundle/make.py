"""Makes bundles: of an application's folder or file, or of an agent's firmware.

Python is compiled to .mpy, unless the sources are wanted. Data files go as they are. What nobody
means to deploy is left out: hidden files, `.git`, `__pycache__`.
"""

import ast
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluice import boards, toolchain
from sluice.bundle import container, rules
from sluice.bundle.rules import DESCRIPTION
from sluice.compile import compile_module
from sluice.errors import SluiceError
from sluice.image.modules import device_modules, device_sources

LEFT_OUT = ("__pycache__",)  # of a folder, besides what is hidden
VERSION_MODULE = "sluice/version"
STARTERS = ("main.py", "trees.py")  # which no bundle replaces


def application(
    source: Path,
    version: str,
    sources: bool = False,
    board: str | None = None,
    needs: Mapping[str, str] | None = None,
    out: Path | None = None,
) -> bytes:
    """A bundle of kind app.

    source   a folder that holds app.py, or one file of Python, which becomes app.py
    sources  Python goes as it is written, and is compiled on the board
    board    the board that it is for, None for all
    out      the file that it will be; an earlier one is not part of the folder
    raises   SluiceError: no such file, it does not compile, or a board would refuse the bundle
    """
    if not source.exists():
        raise SluiceError(f"no such file or folder: {source}")
    files = _files(source, out) if source.is_dir() else {"app.py": source}
    if not source.is_dir() and source.suffix != ".py":
        raise SluiceError(f"{source} is no folder and no .py")
    if not {"app.py", "app.mpy"} & set(files):
        raise SluiceError(f"{source} has no app.py: an application begins there")
    if board is not None:
        boards.folder(board)  # which names those there are
    members = _built(files, sources, lines=True)
    return container.pack(_description("app", version, members, board, needs), members)


def agent(
    board: str,
    version: str | None = None,
    sources: bool = False,
    needs: Mapping[str, str] | None = None,
    source: Path | None = None,
) -> bytes:
    """A bundle of kind agent, of this installation's firmware or of the folder `source`."""
    members = agent_members(board, version, sources, needs, source)
    description = rules.read(members[DESCRIPTION])
    return container.pack(description, members)


def agent_members(
    board: str,
    version: str | None = None,
    sources: bool = False,
    needs: Mapping[str, str] | None = None,
    source: Path | None = None,
) -> dict[str, bytes]:
    """{path: content} of such a bundle, sluice.json first: what `tree.pack` takes.

    version  what it says it is; None for what its sluice/version.py says
    source   a folder that holds sluice/, and perhaps umqtt/ and board.py; None: this firmware
    raises   SluiceError: no such board, no sluice/ in the folder, it does not compile
    """
    files = dict(device_sources(board)) if source is None else _agent_files(source, board)
    for name in STARTERS:
        files.pop(name, None)
    version = version or stated(files)
    if source is None and not sources:
        members = dict(device_modules(board))
        for name in STARTERS:
            members.pop(str(Path(name).with_suffix(".mpy")), None)
    else:
        members = _built(files, sources)
    members |= _version_module(version, sources)
    description = _description("agent", version, members, board, needs)
    rules.check_description(description)
    rules.check_members(description, members)
    return {DESCRIPTION: rules.written(description)} | dict(sorted(members.items()))


def stated(files: Mapping[str, Path]) -> str:
    """The VERSION of the sluice/version.py among an agent's files."""
    file = files.get(f"{VERSION_MODULE}.py")
    for line in ast.parse(file.read_text(encoding="utf-8")).body if file else ():
        if isinstance(line, ast.Assign) and getattr(line.targets[0], "id", "") == "VERSION":
            return ast.literal_eval(line.value)
    raise SluiceError("the agent's sluice/version.py says no VERSION: --version is needed")


def _agent_files(source: Path, board: str) -> dict[str, Path]:
    """What a folder has of an agent; umqtt and board.py are ours where it has none."""
    source = source.resolve()  # this firmware's own files are known by their paths
    if not (source / "sluice").is_dir():
        raise SluiceError(f"{source} holds no folder sluice/: it is no agent's")
    files = {
        path: file
        for path, file in _files(source).items()
        if path.split("/")[0] in rules.AGENT or path in ("board.py", "board.mpy")
    }
    if not any(path.startswith("umqtt/") for path in files):
        files["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
    if not {"board.py", "board.mpy"} & set(files):
        files["board.py"] = boards.folder(board) / "board.py"
    return files


def _files(folder: Path, out: Path | None = None) -> dict[str, Path]:
    """{path below the folder: file} of what is meant to be deployed, but for `out`."""
    found = {}
    for file in sorted(folder.rglob("*")):
        path = file.relative_to(folder)
        if out and file.resolve() == out.resolve():
            continue
        if any(part.startswith(".") or part in LEFT_OUT for part in path.parts):
            continue
        if file.is_symlink() and not file.exists():
            raise SluiceError(f"{file} is a link to nothing")
        if file.is_file():
            found[path.as_posix()] = file
        elif not file.is_dir():
            raise SluiceError(f"{file} is no file")
    return found


def _built(files: Mapping[str, Path], sources: bool, lines: bool = False) -> dict[str, bytes]:
    """{path: content}: Python compiled, unless sources are wanted; all else as it is.

    lines   see `sluice.compile.compile_module`
    """
    members: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="sluice-bundle-") as scratch:
        for number, (path, file) in enumerate(files.items()):
            if file.suffix == ".py" and not sources:
                compiled = Path(scratch, f"{number}.mpy")
                compile_module(file, compiled, path, lines=lines)
                path, file = f"{path[:-3]}.mpy", compiled
                if path in files:
                    raise SluiceError(f"{path} and its .py are the same module: one of them")
            members[path] = _content(file)
    return members


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SluiceError(f"cannot read {file}: {error.strerror}") from None


def _version_module(version: str, sources: bool) -> dict[str, bytes]:
    """The member that tells an agent its version."""
    with tempfile.TemporaryDirectory(prefix="sluice-bundle-") as scratch:
        file = Path(scratch, "version.py")
        text = f'"""The agent\'s version."""\n\nVERSION = {version!r}\n'
        file.write_text(text, encoding="utf-8")
        return _built({f"{VERSION_MODULE}.py": file}, sources)


def _description(
    kind: str,
    version: str,
    members: Mapping[str, bytes],
    board: str | None,
    needs: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What sluice.json says of these members."""
    shape: dict[str, Any] = {
        "kind": kind,
        "version": version,
        "board": None if board is None else boards.name(board),
        "mpy": rules.format_of(members),
        "needs": dict(needs or {}),
    }
    return {key: value for key, value in shape.items() if value not in (None, {})}
