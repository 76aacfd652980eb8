"""Copies what changed, so that a board interrupted at any time runs the old or the new firmware.

1. What is to change is written beside its place, as PATH.new, and read back there.
2. If modules are among it, /main.py steps aside; one that we did not write stays as /main.py.old.
   From here on a board that loses its power stays at its REPL. A firmware of which only a part is
   new never runs.
3. Each takes its place by a rename; files that we wrote once and that are no longer part go, and
   so do those of an earlier layout, and folders that are empty then.
4. /main.py takes its place, last.

Where there is no room for both, what goes does so first, after /main.py stepped aside.

Run again, what lies beside its place already and is right is not copied anew, and what lies there
of another firmware goes. What we wrote is noted on the board, in /flashed.json: what is there and
what is to be there, before it is written; what is there, after it.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

from host_tools.board_port import BoardPort
from host_tools.errors import SluiceError
from host_tools.flash.contents import START

NOTES = "/flashed.json"  # {path: SHA-256 of what we wrote, two of them in between}
KEPT = "/main.py.old"  # a main.py that was there before us
OURS = "/lib/sluice/"  # whatever lies there is the firmware's
BOARD = "/lib/board.mpy"
NOTES_MAX = 32_768  # bytes
INLINE = 512  # bytes of a file that LittleFS may keep in its folder
SPARE_BLOCKS = 8  # of the file system: folders, journal, clock
_AT_ONCE = 12  # paths in one question to the board
_TRIES = 2  # for a file that reads back otherwise

Progress = Callable[[str, int], None]  # path, bytes written since the last call


@dataclass(frozen=True)
class Plan:
    """What a board lacks.

    files    {path: content} of all that belongs there
    changed  paths whose content is another, or not there, in the order to settle them
    beside   those of them whose content is beside its place already
    stale    paths that we wrote, untouched since, or of an earlier layout, that are no longer part
    freed    {path: bytes} of those
    folders  where what is no longer part lay or lies, the deepest first
    veiling  sources that would be imported in the place of what we write
    notes    what /flashed.json says
    between  what it is to say while we write
    noting   what it is to say then
    theirs   whether there is a /main.py that we did not write
    first    whether what goes is to go first, because there is no room for both
    """

    files: dict[str, bytes]
    changed: list[str]
    beside: set[str]
    stale: list[str]
    freed: dict[str, int]
    folders: list[str]
    veiling: list[str]
    notes: dict[str, str]
    between: dict[str, str]
    noting: dict[str, str]
    theirs: bool
    first: bool = False

    @property
    def done(self) -> bool:
        """Whether there is nothing to do."""
        settled = self.notes == self.noting and not self.veiling
        return settled and not self.changed and not self.stale

    @property
    def to_copy(self) -> dict[str, bytes]:
        """What has to go over the wire."""
        return {path: self.files[path] for path in self.changed if path not in self.beside}

    def room(self, block: int) -> int:
        """Bytes of the file system that copying takes, as each file fills whole blocks."""
        blocks = sum(-(-len(content) // block) for content in self.to_copy.values())
        return (blocks + SPARE_BLOCKS) * block if blocks else 0

    def gain(self, block: int) -> int:
        """Bytes of the file system that come free when what is stale goes."""
        return sum(-(-size // block) for size in self.freed.values() if size > INLINE) * block


def plan(
    board: BoardPort,
    files: dict[str, bytes],
    keep: Callable[[str], bool],
    early: Collection[str] = (),
) -> Plan:
    """Compare the files with the board's, by digests that the board computes.

    keep     paths that are left alone although they are not among the files
    early    paths of an earlier layout: see earlier.py
    """
    notes, digests = _notes(board), {path: _sha256(text) for path, text in files.items()}
    gone = [path for path in notes if path not in files and not keep(path)]
    early = [path for path in early if path not in notes and path not in files]
    early += _twins(board, [path for path in files if path.startswith(OURS)])
    there = _digests(board, [*files, *gone, *early])
    ours = {path for path, digest in there.items() if digest in notes.get(path, "").split()}
    ours |= set(early)
    stale = [path for path in [*gone, *early] if path in ours]
    changed = [path for path, digest in digests.items() if there[path] != digest]
    changed.sort(key=lambda path: path == START)
    beside = _digests(board, [f"{path}.new" for path in changed])
    noting = {path: digest for path, digest in notes.items() if keep(path)} | digests
    between = {
        path: f"{there[path]} {digests.get(path, '')}".strip()
        for path in ours
        if there[path] != digests.get(path)
    }
    return Plan(
        files,
        changed,
        {path for path in changed if beside[f"{path}.new"] == digests[path]},
        stale,
        _asked(board, "sizes", stale),
        sorted(set(_folders([*gone, *early])) - set(_folders(files)) - {"/lib"}, reverse=True),
        _twins(board, [path for path in files if path == BOARD]),
        notes,
        noting | between,
        noting,
        START in changed and there[START] != "" and START not in ours,
    )


def carry_out(board: BoardPort, plan: Plan, progress: Progress) -> None:
    """Make the board what the plan says. SluiceError where flash does not keep what is written."""
    if plan.done:
        return
    _note(board, plan.between)
    left = {*plan.notes, *plan.files}.difference(plan.changed)  # by a run that was cut off
    _each(board, "remove", [f"{path}.new" for path in sorted(left)])
    modules = any(path.endswith((".mpy", ".py")) for path in [*plan.changed, *plan.stale])
    last = [START] if modules or plan.veiling else []
    if plan.first:
        _step_aside(board, plan)
        _each(board, "remove", plan.stale)
    _copy(board, plan.to_copy, plan.noting, progress)
    if last and not plan.first:
        _step_aside(board, plan)
    _each(board, "settle", [path for path in plan.changed if path != START])
    _each(board, "remove", plan.stale)
    _each(board, "remove_folders", plan.folders)
    _each(board, "settle", last)
    _note(board, plan.noting)


def _step_aside(board: BoardPort, plan: Plan) -> None:
    """Nothing starts from here on, until /main.py is back."""
    board.run(f"set_aside({START!r}, {KEPT!r})" if plan.theirs else f"hold({START!r})")
    for path in plan.veiling:
        board.run(f"set_aside({path!r}, {path + '.old'!r})")


def _twins(board: BoardPort, modules: list[str]) -> list[str]:
    """The sources beside these modules. MicroPython takes a .py before the .mpy of its name."""
    return present(board, [path.replace(".mpy", ".py") for path in modules])


def present(board: BoardPort, paths: list[str]) -> list[str]:
    """Those of the paths that the board has."""
    found = set()
    for at in range(0, len(paths), _AT_ONCE):
        some = paths[at : at + _AT_ONCE]
        found |= set(board.value(f"present({some!r})")) & set(some)
    return [path for path in paths if path in found]


def _copy(
    board: BoardPort, files: dict[str, bytes], digests: dict[str, str], progress: Progress
) -> None:
    """Write each beside its place and have the board read it back."""
    board.run(f"make_folders({_folders(files)!r})")
    for path, content in files.items():
        for _ in range(_TRIES):
            _put(board, path, content, progress)
            if _digests(board, [f"{path}.new"])[f"{path}.new"] == digests[path]:
                break
        else:
            raise SluiceError(
                f"{path} reads back otherwise than it was written: bad flash or line"
            )


def _put(board: BoardPort, path: str, content: bytes, progress: Progress) -> None:
    before = 0

    def step(written: int, _: int) -> None:
        nonlocal before
        progress(path, written - before)
        before = written

    board.put(f"{path}.new", content, step)


def _folders(paths: Iterable[str]) -> list[str]:
    """All that the paths need, those above first."""
    found = set()
    for path in paths:
        parts = path.split("/")[1:-1]
        found |= {"/" + "/".join(parts[: depth + 1]) for depth in range(len(parts))}
    return sorted(found)


def _notes(board: BoardPort) -> dict[str, str]:
    size = board.value(f"size({NOTES!r})")
    raw = board.get(NOTES) if size in range(1, NOTES_MAX + 1) else b"{}"  # in pieces: RAM is small
    try:
        found = json.loads(raw)
        sound = {str(path): str(digest) for path, digest in found.items()}
    except (ValueError, AttributeError):
        return {}
    return {path: digest for path, digest in sound.items() if path.startswith("/")}


def _note(board: BoardPort, notes: dict[str, str]) -> None:
    board.put(f"{NOTES}.new", (json.dumps(notes, indent=0, sort_keys=True) + "\n").encode())
    board.run(f"settle([{NOTES!r}])")


def _digests(board: BoardPort, paths: list[str]) -> dict[str, str]:
    """{path: SHA-256 in hex, "" where there is no such file}, computed by the board."""
    return _asked(board, "digests", paths)


def _asked(board: BoardPort, what: str, paths: list[str]) -> dict[str, Any]:
    """{path: what the board answers of it}."""
    found = {}
    for at in range(0, len(paths), _AT_ONCE):
        some = paths[at : at + _AT_ONCE]
        answers = board.value(f"{what}({some!r})")
        if not isinstance(answers, list) or len(answers) != len(some):
            raise SluiceError("the board does not answer what it was asked")
        found |= dict(zip(some, answers, strict=True))
    return found


def _each(board: BoardPort, action: str, paths: list[str]) -> None:
    for at in range(0, len(paths), _AT_ONCE):
        board.run(f"{action}({paths[at : at + _AT_ONCE]!r})")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
