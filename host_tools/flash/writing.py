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
import json
import zlib
from collections.abc import Callable

from sluice.board_port import BoardPort
from sluice.errors import SluiceError
from sluice.flash.asking import digests, each, sha256
from sluice.flash.contents import START
from sluice.flash.planning import NOTES, Plan, folders
from sluice.flash.trees import Trees

PIECE = 2_048  # bytes of a larger file that are deflated on their own
WINDOW_BITS = 11  # which is the window for them
_TRIES = 2  # for a file that reads back differently

Progress = Callable[[str, int], None]  # path, bytes written since the last call


def carry_out(board: BoardPort, plan: Plan, progress: Progress) -> None:
    """Make the board what the plan says. SluiceError where flash does not keep what is written."""
    if plan.done:
        return
    _note(board, plan.between)
    left = {*plan.notes, *plan.files}.difference(plan.changed)  # by a run that was cut off
    each(board, "remove", [f"{path}.new" for path in sorted(left)])
    aside = plan.aside or plan.first and START in plan.files
    if aside and plan.first:
        _step_aside(board, plan)
    if plan.first:
        each(board, "remove", plan.stale)
    files = {path: content for path, content in plan.to_copy.items() if path in plan.files}
    _copy(board, files, progress)
    _make(board, plan.trees, progress)
    if aside and not plan.first:
        _step_aside(board, plan)
    for path in [*plan.veiling, *(path for path in plan.theirs if path != START)]:
        board.run(f"set_aside({path!r}, {path + '.old'!r})")
    each(board, "settle", [path for path in plan.changed if path != START])
    if plan.trees.record:
        _record(board, *plan.trees.record)
    if START in plan.theirs and not aside:
        board.run(f"set_aside({START!r}, {START + '.old'!r})")
    each(board, "settle", [START] if aside or START in plan.changed else [])
    each(board, "remove", plan.stale)
    each(board, "remove_folders", plan.folders)
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
        each(board, "remove", [trees.path])  # so that its blocks are free
        _write(board, trees.path, trees.path, trees.content, progress)


def _record(board: BoardPort, path: str, content: bytes) -> None:
    """Write a cell of the trees' record. Until it is whole the other one is in force."""
    _write(board, path, path, content, lambda path, size: None)


def _copy(board: BoardPort, files: dict[str, bytes], progress: Progress) -> None:
    """Write each beside its place."""
    board.run(f"make_folders({folders(files)!r})")
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
        if digests(board, [place])[place] == sha256(content):
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


def _note(board: BoardPort, notes: dict[str, str]) -> None:
    board.put(f"{NOTES}.new", (json.dumps(notes, indent=0, sort_keys=True) + "\n").encode())
    board.run(f"settle([{NOTES!r}])")
