"""Writes what changed, so that a board interrupted at any time starts, or is flashed again.

1. What is to change is written beside its place, as PATH.new. The agent's tree goes where none
   runs, when the record names nothing there: see trees.py. All is read back.
2. It takes its place by renames. The record names the tree. /main.py takes its place last, and is
   what has the new firmware start, where it did not start trees before. A main.py or trees.py that
   we did not write stays as PATH.old.
3. Files that we wrote once and that are no longer part go then, and so do those of an earlier
   layout, and folders that are empty.

Where trees started before, and more than one of /main.py, /trees.py and the record change,
/main.py steps aside before step 2. From there on a board that loses its power stays at its REPL. A
firmware of which only a part is new never runs. Where there is no room for both, /main.py steps
aside and what goes does so first.

Run again, what is there already and is right is not copied anew, and what lies beside its place of
another firmware goes. What we wrote is noted on the board, in /flashed.json: what is there and
what is to be there, before it is written; what is there, after it. Trees are in their record only.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from sluice.board_port import BoardPort
from sluice.errors import SluiceError
from sluice.flash.contents import CHOICE, START
from sluice.flash.trees import Trees

NOTES = "/flashed.json"  # {path: SHA-256 of what we wrote, two of them in between}
STARTER = (CHOICE, START)  # in this order
VEILS = ("/lib/trees", "/lib/trees.py", "/lib/trees.mpy", "/trees")  # come before /trees.py
NOTES_MAX = 32_768  # bytes
INLINE = 512  # bytes of a file that LittleFS may keep in its folder
SPARE_BLOCKS = 8  # of the file system: folders, journal, clock
PIECE = 2_048  # bytes of a larger file that are deflated on their own
WINDOW_BITS = 11  # which is the window for them
_AT_ONCE = 12  # paths in one question to the board
_TRIES = 2  # for a file that reads back differently

Progress = Callable[[str, int], None]  # path, bytes written since the last call


@dataclass(frozen=True)
class Plan:
    """What a board lacks.

    files    {path: content} of all that belongs there, but trees and their record
    changed  paths whose content is another, or not there, in the order to settle them
    beside   those of them whose content is beside its place already
    stale    paths that we wrote, untouched since, or of an earlier layout, that are no longer part
    freed    {path: bytes} of those
    folders  where what is no longer part lay or lies, the deepest first
    veiling  what would be imported in the place of /trees.py
    notes    what /flashed.json says
    between  what it is to say while we write
    noting   what it is to say then
    theirs   files of the starter's names that we did not write
    aside    whether /main.py steps aside meanwhile
    first    whether what goes is to go first, because there is no room for both
    trees    what is to be done about them
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
    theirs: list[str]
    aside: bool
    first: bool = False
    trees: Trees = field(default_factory=Trees)

    @property
    def done(self) -> bool:
        """Whether there is nothing to do."""
        settled = self.notes == self.noting and not self.veiling and not self.trees.record
        return settled and not self.changed and not self.stale

    @property
    def to_copy(self) -> dict[str, bytes]:
        """What has to go over the wire, but the record and our notes."""
        tree = self.trees.content
        files = {path: self.files[path] for path in self.changed if path not in self.beside}
        return files | ({self.trees.path: tree} if tree is not None else {})

    def room(self, block: int) -> int:
        """Bytes of the file system that copying takes, as each file fills whole blocks."""
        files = [content for path, content in self.to_copy.items() if path != self.trees.path]
        blocks = sum(-(-len(content) // block) for content in files) + self.trees.blocks()
        return (blocks + SPARE_BLOCKS) * block if self.to_copy else 0

    def gain(self, block: int) -> int:
        """Bytes of the file system that come free when what is stale goes."""
        return sum(-(-size // block) for size in self.freed.values() if size > INLINE) * block


def plan(
    board: BoardPort,
    files: dict[str, bytes],
    keep: Callable[[str], bool],
    early: Collection[str] = (),
    trees: Trees | None = None,
) -> Plan:
    """Compare the files with the board's, by digests that the board computes.

    keep     paths that are left alone although they are not among the files
    early    paths of an earlier layout: see earlier.py
    trees    what is to be done about them; None: nothing
    """
    trees = trees or Trees()
    notes, digests = _notes(board), {path: _sha256(text) for path, text in files.items()}
    gone = [path for path in notes if path not in files and not keep(path)]
    early = [path for path in early if path not in files]
    every = dict.fromkeys([*files, *gone, *early])
    there = _digests(board, list(every))
    ours = {path for path, digest in there.items() if digest in notes.get(path, "").split()}
    ours |= set(early)
    stale = [path for path in every if path not in files and path in ours]
    changed = [path for path, digest in digests.items() if there[path] != digest]
    changed.sort(key=lambda path: STARTER.index(path) if path in STARTER else -1)
    beside = _digests(board, [f"{path}.new" for path in changed])
    noting = {path: digest for path, digest in notes.items() if keep(path)} | digests
    between = {
        path: f"{there[path]} {digests.get(path, '')}".strip()
        for path in ours
        if there[path] != digests.get(path)
    }
    starting = [path for path in STARTER if path in changed]
    parts = len(starting) + bool(trees.record)
    theirs = [path for path in starting if there[path] and path not in ours]
    return Plan(
        files,
        changed,
        {path for path in changed if beside[f"{path}.new"] == digests[path]},
        stale,
        _asked(board, "sizes", stale),
        sorted(set(_folders([*gone, *early])) - set(_folders(files)), reverse=True),
        present(board, list(VEILS)) if CHOICE in files else [],
        notes,
        noting | between,
        noting,
        theirs,
        bool(there.get(START) and there.get(CHOICE) and parts > 1),
        trees=trees,
    )


def carry_out(board: BoardPort, plan: Plan, progress: Progress) -> None:
    """Make the board what the plan says. SluiceError where flash does not keep what is written."""
    if plan.done:
        return
    _note(board, plan.between)
    left = {*plan.notes, *plan.files}.difference(plan.changed)  # by a run that was cut off
    _each(board, "remove", [f"{path}.new" for path in sorted(left)])
    aside = plan.aside or plan.first and START in plan.files
    if aside and plan.first:
        _step_aside(board, plan)
    if plan.first:
        _each(board, "remove", plan.stale)
    files = {path: content for path, content in plan.to_copy.items() if path in plan.files}
    _copy(board, files, progress)
    _make(board, plan.trees, progress)
    if aside and not plan.first:
        _step_aside(board, plan)
    for path in [*plan.veiling, *(path for path in plan.theirs if path != START)]:
        board.run(f"set_aside({path!r}, {path + '.old'!r})")
    _each(board, "settle", [path for path in plan.changed if path != START])
    if plan.trees.record:
        _record(board, *plan.trees.record)
    if START in plan.theirs and not aside:
        board.run(f"set_aside({START!r}, {START + '.old'!r})")
    _each(board, "settle", [START] if aside or START in plan.changed else [])
    _each(board, "remove", plan.stale)
    _each(board, "remove_folders", plan.folders)
    _note(board, plan.noting)


def _step_aside(board: BoardPort, plan: Plan) -> None:
    """Nothing starts from here on, until /main.py is back."""
    if START in plan.theirs:
        board.run(f"set_aside({START!r}, {START + '.old'!r})")
    else:
        board.run(f"hold({START!r})")


def _make(board: BoardPort, trees: Trees, progress: Progress) -> None:
    """Write the agent's tree, which nothing names meanwhile."""
    if trees.emptied:
        _record(board, *trees.emptied)
    if trees.content is not None:
        _each(board, "remove", [trees.path])  # so that its blocks are free
        _write(board, trees.path, trees.path, trees.content, progress)


def _record(board: BoardPort, path: str, content: bytes) -> None:
    """Write a cell of the trees' record. Until it is whole the other one is in force."""
    _write(board, path, path, content, lambda path, size: None)


def present(board: BoardPort, paths: list[str]) -> list[str]:
    """Those of the paths that the board has."""
    found = set()
    for at in range(0, len(paths), _AT_ONCE):
        some = paths[at : at + _AT_ONCE]
        found |= set(board.value(f"present({some!r})")) & set(some)
    return [path for path in paths if path in found]


def _copy(board: BoardPort, files: dict[str, bytes], progress: Progress) -> None:
    """Write each beside its place."""
    board.run(f"make_folders({_folders(files)!r})")
    for path, content in files.items():
        _write(board, path, f"{path}.new", content, progress)


def _write(board: BoardPort, path: str, place: str, content: bytes, progress: Progress) -> None:
    """Write what is to be at `path`, and have the board read it back."""
    packs = None if len(content) > PIECE else False
    for _ in range(_TRIES):
        before = 0

        def step(written: int, _: int) -> None:
            nonlocal before
            progress(path, written - before)
            before = written

        if packs is None:
            packs = board.value("DeflateIO is not None")
        if packs:
            _put(board, place, content, step)
        else:
            board.put(place, content, step)
        if _digests(board, [place])[place] == _sha256(content):
            return
    raise SluiceError(f"{path} reads back differently from what was written: bad flash or line")


def _put(
    board: BoardPort, place: str, content: bytes, progress: Callable[[int, int], None]
) -> None:
    """As the board's `put`, with half of the bytes on the wire."""
    board.run(f"begin({place!r})")
    for at in range(0, len(content), PIECE):
        piece = content[at : at + PIECE]
        packer = zlib.compressobj(9, zlib.DEFLATED, WINDOW_BITS)
        packed = packer.compress(piece) + packer.flush()
        board.run(f"more({base64.b64encode(packed)!r})")
        progress(at + len(piece), len(content))
    board.run("into.close()")


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
