"""`make powercut`: every operation of every story, with cuts, tears and damages; a table of them.

    python tests/powercut [--stride N] [--seed N] [--board NAME] [--story NAME] [--workers N]
                          [--micropython VERSION]

Exits with 1 where anything was lost. A history is told by its seed, story and first operation, so
the same words play it again: --story NAME --seed N --only OPERATION.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "scenarios"), str(TESTS / "powercut")]

from bundle_stories import BUNDLES  # noqa: E402
from histories import STORIES, History, Story, history, theatre  # noqa: E402
from stage import Cloud  # noqa: E402

from sluice import toolchain  # noqa: E402

ALL = (*STORIES, *BUNDLES)
PIECE = 12  # histories that a worker plays before it tells: each costs an update beforehand
_clouds: list[Cloud] = []  # of this process: the worker's own


@dataclass
class Row:
    """What came of a story so far."""

    histories: int = 0
    cuts: int = 0
    lost: list[str] = field(default_factory=list)


def main(words: list[str] | None = None) -> int:
    """Play them all; the exit code."""
    args = _parser().parse_args(words)
    if args.micropython:
        os.environ[toolchain.ASKED] = args.micropython
    version = toolchain.version_of(toolchain.micropython("i386"))
    chosen = [
        story
        for story in ALL
        if args.board in (None, story.board) and args.story in (None, story.name)
    ]
    print(f"seed {args.seed}, MicroPython {version}", flush=True)
    with tempfile.TemporaryDirectory(prefix="powercut-") as folder:
        rows = _played(chosen, args, Path(folder))
    _show(rows)
    return 1 if any(row.lost for row in rows.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make powercut", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--stride", type=int, default=1, metavar="N", help="only each N-th operation")
    add("--only", type=int, metavar="OPERATION", help="only this one")
    add("--seed", type=int, default=1, metavar="N", help="for what is random")
    add("--board", choices=sorted({story.board for story in ALL}))
    add("--story", choices=sorted({story.name for story in ALL}))
    add("--workers", type=int, default=os.cpu_count() or 2, metavar="N")
    add("--micropython", metavar="VERSION", help="which release plays the boards")
    return parser


def _played(
    stories: list[Story], args: argparse.Namespace, folder: Path
) -> dict[tuple[str, str], Row]:
    rows = {(story.board, story.name): Row() for story in stories}
    with ProcessPoolExecutor(args.workers, initializer=_open, initargs=(folder,)) as pool:
        whole = list(pool.map(partial(_undisturbed, folder), stories))
        _count(rows, whole)
        pieces = [
            pool.submit(_play, folder, one.story, operations, one.operations, args.seed)
            for one in whole
            for operations in _pieces(one.operations, args)
        ]
        for done in as_completed(pieces):
            _count(rows, done.result())
    return rows


def _pieces(span: int, args: argparse.Namespace) -> Iterator[list[int]]:
    """The first cuts of the histories, dealt out to the workers."""
    operations = [args.only] if args.only else list(range(1, span + 1, args.stride))
    count = -(-len(operations) // PIECE)
    yield from (operations[at::count] for at in range(count))


def _count(rows: dict[tuple[str, str], Row], played: list[History]) -> None:
    for one in played:
        row = rows[one.story.board, one.story.name]
        row.histories += 1
        row.cuts += one.blown
        row.lost += one.lost
        for loss in one.lost:
            print(f"LOST {one}: {loss}", flush=True)


def _show(rows: dict[tuple[str, str], Row]) -> None:
    print("\n| board | story | histories | cuts | losses |\n|---|---|--:|--:|--:|")
    for (board, name), row in rows.items():
        print(f"| {board} | {name} | {row.histories} | {row.cuts} | {len(row.lost)} |")
    histories, cuts = (
        sum(getattr(row, key) for row in rows.values()) for key in ("histories", "cuts")
    )
    print(f"| | | {histories} | {cuts} | {sum(len(row.lost) for row in rows.values())} |")


# -- in a worker ---------------------------------------------------------------------------------


def _open(folder: Path) -> None:
    """A cloud of its own for this process; ended with it."""
    cloud = Cloud(folder / f"state-{os.getpid()}").start()
    _clouds.append(cloud)
    Finalize(None, cloud.stop, exitpriority=10)


def _undisturbed(folder: Path, story: Story) -> History:
    with theatre(_clouds[0], story, folder) as stage:
        return stage.undisturbed()


def _play(
    folder: Path, story: Story, operations: list[int], span: int, seed: int
) -> list[History]:
    with theatre(_clouds[0], story, folder) as stage:
        return [stage.play(history(story, first, span, seed)) for first in operations]


if __name__ == "__main__":
    sys.exit(main())
