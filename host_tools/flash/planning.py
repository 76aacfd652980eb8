"""Finds what a board lacks of what belongs there, by digests that the board computes."""

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from sluice.board_port import BoardPort
from sluice.flash.asking import asked, digests, present, sha256
from sluice.flash.contents import CHOICE, START
from sluice.flash.trees import Trees

NOTES = "/flashed.json"  # {path: SHA-256 of what we wrote, two of them in between}
STARTER = (CHOICE, START)  # in this order
VEILS = ("/lib/trees", "/lib/trees.py", "/lib/trees.mpy", "/trees")  # come before /trees.py
NOTES_MAX = 32_768  # bytes
INLINE = 512  # bytes of a file that LittleFS may keep in its folder
SPARE_BLOCKS = 8  # of the file system: folders, journal, clock


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


class _Survey:
    """What a board has of what belongs there, and of what does no longer.

    files   {path: content} of what belongs there
    notes   what /flashed.json says
    keep    paths that are left alone although they are not among the files
    early   paths of an earlier layout
    """

    def __init__(
        self,
        board: BoardPort,
        files: dict[str, bytes],
        keep: Callable[[str], bool],
        early: Collection[str],
    ) -> None:
        self.notes = _notes(board)
        self.wanted = {path: sha256(content) for path, content in files.items()}
        gone = [path for path in self.notes if path not in files and not keep(path)]
        early = [path for path in early if path not in files]
        self.going = list(dict.fromkeys([*gone, *early]))
        self.there = digests(board, [*files, *self.going])
        self.ours = {path for path, digest in self.there.items() if digest in self._noted(path)}
        self.ours |= set(early)
        self.changed = [path for path, digest in self.wanted.items() if self.there[path] != digest]
        self.changed.sort(key=lambda path: STARTER.index(path) if path in STARTER else -1)
        beside = digests(board, [f"{path}.new" for path in self.changed])
        self.beside = {one for one in self.changed if beside[f"{one}.new"] == self.wanted[one]}

    def _noted(self, path: str) -> list[str]:
        return self.notes.get(path, "").split()

    @property
    def between(self) -> dict[str, str]:
        """What is to be noted, beside what will be there, while we write."""
        return {
            path: f"{self.there[path]} {self.wanted.get(path, '')}".strip()
            for path in self.ours
            if self.there[path] != self.wanted.get(path)
        }


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
    trees, seen = trees or Trees(), _Survey(board, files, keep, early)
    stale = [path for path in seen.going if path in seen.ours]
    noting = {path: digest for path, digest in seen.notes.items() if keep(path)} | seen.wanted
    starting = [path for path in STARTER if path in seen.changed]
    started = seen.there.get(START) and seen.there.get(CHOICE)
    return Plan(
        files,
        seen.changed,
        seen.beside,
        stale,
        asked(board, "sizes", stale),
        sorted(set(folders(seen.going)) - set(folders(files)), reverse=True),
        present(board, list(VEILS)) if CHOICE in files else [],
        seen.notes,
        noting | seen.between,
        noting,
        [path for path in starting if seen.there[path] and path not in seen.ours],
        bool(started and len(starting) + bool(trees.record) > 1),
        trees=trees,
    )


def folders(paths: Iterable[str]) -> list[str]:
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
