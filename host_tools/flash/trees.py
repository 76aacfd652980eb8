"""The trees on a board, as `sluice flash` finds them, and what it writes of the agent's.

The agent's tree goes where no tree runs: first the record names nothing there, then the tree is
written, then the record names it. The tree that ran before stays, because it is the way back.
Trees of an application stay unchanged. So does their part of the record. What the restart would
take back, or would try, is named no more where a record is written.
"""

from dataclasses import dataclass
from typing import Any

from sluice.board_port import BoardPort
from sluice.bundle import tree

CELLS = ("/trees.0", "/trees.1")
CELL_MAX = 2_048  # bytes of one that a board reads
LETTERS = ("a", "b")
KINDS = ("agent", "app")
BY_HAND = ("/app.py", "/app.mpy")  # the user's own, which an application's tree comes before

Entry = list[Any]  # letter, SHA-256 in hex, version, .mpy format
Cell = tuple[str, bytes]  # path, content


@dataclass(frozen=True)
class Agent:
    """The tree that a board is to run its agent from."""

    content: bytes
    version: str
    mpy: int

    @property
    def digest(self) -> str:
        """As the record has it."""
        return tree.digest(self.content)

    def entry(self, letter: str) -> Entry:
        """What the record says of it."""
        return [letter, self.digest, self.version, self.mpy]


@dataclass(frozen=True)
class Trees:
    """What a board has of trees, and lacks of the agent's.

    path      where the agent's tree is to run from; "" where it is not ours to write
    content   what to write there; None: it is there
    freed     bytes that lie there now
    emptied   the record to write before that; None: none names what is there
    record    the record that names it; None: one does
    replaced  the entry of the agent that runs, if it is another
    dropped   trees that were to be tried or were on trial, as "app.b 1.3.0"
    app       the entry of the application's tree that runs; None: none does
    passed    the user's own application, which is passed over then; "": there is none
    agent     the entry of the agent's tree that runs; None: none does
    """

    path: str = ""
    content: bytes | None = None
    freed: int = 0
    emptied: Cell | None = None
    record: Cell | None = None
    replaced: Entry | None = None
    dropped: tuple[str, ...] = ()
    app: Entry | None = None
    passed: str = ""
    agent: Entry | None = None

    def blocks(self) -> int:
        """Of the file system, that writing it takes beside what lies there."""
        return max(tree.blocks(len(self.content or b"")) - tree.blocks(self.freed), 0)


def look(board: BoardPort, ours: Agent | None, slot: str) -> Trees:
    """Compare the trees of a board with the agent that it is to run.

    ours   None: the image that runs brings its agent, and no tree is written
    slot   the label of the image's slot that runs
    """
    found = tree.read_record([_cell(board, path) for path in CELLS])
    found = found or {"seq": 0, "app": [], "agent": [], "new": [], "tried": 0, "slot": None}
    record, dropped = settled(found, slot)
    ended = dropped if found["tried"] and not found["slot"] else ()  # by our soft reset
    whole = {kind: _whole(board, kind, record[kind]) for kind in KINDS}
    before, app = (next(iter(whole[kind]), None) for kind in KINDS)
    there = board.value(f"present({list(BY_HAND)!r})") if app else []
    seen = {"app": app, "passed": there[0] if there else "", "agent": before}
    if ours is None:
        return Trees(dropped=ended, **seen)
    waits = dropped and not ended and "agent" in found["new"]  # another would be tried
    if before and before == record["agent"][0] and before[1] == ours.digest and not waits:
        return Trees(f"/agent.{before[0]}", dropped=ended, **seen)
    letter = _letter(before, ours)
    path = f"/agent.{letter}"
    right = board.value(f"digest({path!r})") == ours.digest
    emptied = None
    kept = [one for one in record["agent"] if one[0] != letter]
    if not right and len(kept) < len(record["agent"]):
        record = _next(record, kept)
        emptied = _written(record)
    back = [one for one in whole["agent"] if one[0] != letter]
    record = _next(record, [ours.entry(letter), *back[:1]])
    return Trees(
        path,
        None if right else ours.content,
        0 if right else board.value(f"size({path!r})"),
        emptied,
        _written(record),
        before if before and before[1] != ours.digest else None,
        dropped,
        **seen,
    )


def _letter(before: Any, ours: Agent) -> str:
    """That of the tree that is to be ours: the one that is it already, else the one that does not
    run."""
    if before and before[1] == ours.digest:
        return before[0]
    return next(one for one in LETTERS if not before or one != before[0])


def settled(record: dict[str, Any], slot: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(the record without what is new, what that was).

    What came with the image that runs, which is confirmed, is not new any more but in force.
    """
    lists = {kind: [list(one) for one in record[kind]] for kind in KINDS}
    dropped = []
    if record["slot"] != slot:
        for kind in record["new"]:
            letter, _, version, *_ = lists[kind].pop(0)
            dropped.append(f"{kind}.{letter} {version}")
    return {"seq": record["seq"], **lists}, tuple(dropped)


def _whole(board: BoardPort, kind: str, entries: list[Entry]) -> list[Entry]:
    """Those that are as recorded. The first of them runs: the starter passes over the damaged."""
    digests = board.value(f"digests({[f'/{kind}.{entry[0]}' for entry in entries]!r})")
    return [entry for entry, digest in zip(entries, digests, strict=True) if digest == entry[1]]


def _cell(board: BoardPort, path: str) -> bytes | None:
    if board.value(f"size({path!r})") not in range(1, CELL_MAX + 1):
        return None
    return board.get(path)


def _next(record: dict[str, Any], agent: list[Entry]) -> dict[str, Any]:
    return {"seq": record["seq"] + 1, "app": record["app"], "agent": agent}


def _written(record: dict[str, Any]) -> Cell:
    """Where it goes, over the older of the two cells, and its text."""
    return CELLS[record["seq"] & 1], tree.record(record["seq"], record["app"], record["agent"])
