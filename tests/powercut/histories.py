"""Histories of a board whose power fails once to three times in a job, torn at any byte.

At each cut, and at the end, the boot loader's model is asked what would start: with the flash as
it is, with otadata or one of its records lost, and with the running image damaged. Only what was
proven may start, and without that last damage something must. Then the board goes on to the job's
verdict, which must be the truth.

All histories of a story begin with the same flash, that of a board which was updated once where
the story says so. What is random comes from the seed and the first cut.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from damage import forged, losses, outcomes
from stage import HEAP, Cloud, Stage, image, soon

from sluice.device.hardware import FACTORY_VERSION
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.image import make_image
from sluice.image.modules import SELF_TESTS

SIZE = 176_000  # bytes: a checkpoint of the journal lies in mid-download
PARTS = ("nothing", "front", "back", "whole")
NOT_CONFIRMED = "rolled back: not confirmed in its trial"
CONFIG = {"allow_downgrade": True, "allow_same_version": True, "window": 32_768}
# The journal says that the cloud knows; or it did, and the power failed before the board said so.
_TOLD = r"agent REPORTING (reported|gone)|agent boot \S+ \S+ \w+ idle"


def factory(board: str) -> bytes:
    """What a new board runs."""
    return make_image(FACTORY_VERSION, chip=_chip(board), board=board)


def _chip(board: str) -> str:
    return "w800" if board == "SIM_W800" else "esp32"


def _made(version: str, board: str, **more: str) -> bytes:
    return image(version, SIZE, chip=_chip(board), **more)


@dataclass(frozen=True)
class Story:
    """What a job is, and how it may end.

    board    the simulated board
    updated  whether it ran an update before
    ends     status → what the reason begins with
    stays    whether the image may start once the job has ended in FAILED: it ran before
    """

    name: str
    board: str
    updated: bool
    ends: dict[str, str]
    stays: bool = False

    @property
    def before(self) -> list[bytes]:
        """The images that were proven before the job: what runs is the last."""
        ran = [factory(self.board)]
        return [*ran, _made("1.1.0", self.board)] if self.updated else ran

    @property
    def brought(self) -> bytes:
        """The image that the job brings, or goes back to."""
        if self.name == "forged":  # it begins as what lies in its place
            return forged(self.before[-1] if self.board == "SIM_W800" else self.before[0])
        if self.name == "back":
            return self.before[0]
        more = {"app": SELF_TESTS["fail"]} if self.name == "sick" else {}
        if self.name == "delta":
            more = {"padding": "1.1.0"}
        return _made("1.2.0", self.board, **more)

    def begin(self, scene: Stage) -> None:
        """What the board lived through before; it is off afterwards."""
        if self.updated:
            scene.power_on()
            job = scene.deploy(self.before[-1])
            assert scene.settled(job).status == "SUCCEEDED", scene.tail
            scene.board.stop()
        else:
            scene.board.make()

    def losses(self, board: Board) -> list[str]:
        """What could start wrongly now, wherever the job is."""
        proven = [*self.before, *([] if self.name == "forged" else [self.brought])]
        return list(losses(board, proven))

    def wrong(self, board: Board, status: str) -> Iterator[str]:
        """What is wrong with the flash once the job has ended so."""
        proven = self.before
        if status == "SUCCEEDED" or self.stays:
            proven = [*proven, self.brought]
        yield from losses(board, proven)
        wanted = self.brought if status == "SUCCEEDED" else self.before[-1]
        _, content = next(outcomes(board))
        if not content or not content.startswith(wanted):
            yield "another image runs than the job's end says"

    def order(self, scene: Stage) -> str:
        """Make the job; its id."""
        content = self.brought
        if self.name == "forged":
            told = scene.signature(self.before[0])
            return scene.job(scene.document(content, sig_sha256_ecdsa=told))
        if self.name == "back":
            digest = hashlib.sha256(content).hexdigest()
            order = {"operation": "rollback", "size": len(content), "sha256": digest}
            return scene.job(order)
        if self.name == "delta":
            return scene.deploy(content, "--from", scene.file(self.before[-1]))
        if self.name == "compressed":
            return scene.deploy(content, "--compress")
        return scene.deploy(content)


_GOOD = {"SUCCEEDED": "accepted v", "FAILED": NOT_CONFIRMED}
_FORGED = {"FAILED": "bad signature"}
_DELTA = {"SUCCEEDED": "accepted v1.2.0 (delta: ", "FAILED": NOT_CONFIRMED}
_COMPRESSED = {"SUCCEEDED": "accepted v1.2.0 (compressed: ", "FAILED": NOT_CONFIRMED}
STORIES = (
    Story("first", "SIM_ESP32", False, _GOOD),
    Story("next", "SIM_ESP32", True, _GOOD),
    Story("sick", "SIM_ESP32", True, {"FAILED": "rolled back: "}),
    Story("forged", "SIM_ESP32", True, _FORGED),
    Story("back", "SIM_ESP32", True, _GOOD, stays=True),
    Story("delta", "SIM_ESP32", True, _DELTA),
    Story("compressed", "SIM_ESP32", True, _COMPRESSED),
    Story("first", "SIM_W800", False, {"SUCCEEDED": "accepted v"}),
    Story("next", "SIM_W800", True, {"SUCCEEDED": "accepted v"}),
    Story("forged", "SIM_W800", True, _FORGED),
    Story("delta", "SIM_W800", True, {"SUCCEEDED": "accepted v1.2.0 (delta: "}),
)


@dataclass
class History:
    """One of a story's: its cuts, as Board takes them, and what came of it."""

    story: Story
    cuts: list[tuple[int, str | int]]
    blown: int = 0  # of them
    lost: list[str] = field(default_factory=list)
    operations: int = 0

    def __str__(self) -> str:
        return f"{self.story.board} {self.story.name}, cuts {self.cuts}"


def history(story: Story, first: int, span: int, seed: int) -> History:
    """One whose power fails at the operation `first`, and later once or twice more, or not.

    span   operations of the job without a cut
    """
    dice = random.Random(f"{seed} {story.board} {story.name} {first}")
    count = dice.choice((1, 1, 2, 3))
    places = [first, *(dice.randint(1, span) for _ in range(count - 1))]
    return History(story, [(place, _part(dice)) for place in places])


def _part(dice: random.Random) -> str | int:
    return dice.choice((*PARTS, *(dice.randint(-4096, 4096) for _ in range(4))))


class Theatre:
    """A thing whose board plays histories of one story, each from the same flash."""

    def __init__(self, cloud: Cloud, story: Story, folder: Path) -> None:
        self.story = story
        self.scene = cloud.stage(folder, **CONFIG)
        self._board([])
        story.begin(self.scene)
        self._flash = bytes(self.scene.board.flash)

    def _board(self, cuts: list, on_line: Callable[[str], None] | None = None) -> Board:
        words = self.scene.root, self.scene.name, self.story.board
        self.scene.board = Board(*words, heap=HEAP, cuts=cuts, on_line=on_line)
        return self.scene.board

    def undisturbed(self) -> History:
        """The one whose power does not fail; it tells how many operations the job takes."""
        return self.play(History(self.story, []))

    def play(self, one: History) -> History:
        """Have it happen; what went wrong is in its `lost`."""
        story, scene = self.story, self.scene

        def on_line(line: str) -> None:
            if line == "power: cut":
                one.blown += 1
                one.lost += [f"cut {one.blown}: {loss}" for loss in story.losses(board)]

        board = self._board(one.cuts, on_line)
        board.flash[:] = self._flash
        job = story.order(scene)
        board.start()
        try:
            verdict = scene.verdict(job)
            soon(lambda: _settled(board.lines))
            one.operations = board.operations
            one.lost += self._judged(verdict.status, verdict.reason)
        except (AssertionError, TimeoutError, SluiceError, ValueError) as error:
            one.lost.append(f"no end: {error}")
        finally:
            board.stop()
        return one

    def _judged(self, status: str, reason: str) -> Iterator[str]:
        """What is wrong at the end."""
        story, board = self.story, self.scene.board
        if not reason.startswith(story.ends.get(status, "\0")):
            yield f"the job ended {status}: {reason}"
        yield from (f"at the end: {loss}" for loss in story.wrong(board, status))
        for line in board.lines:
            if line.startswith(("end: ", "reset: panic")):
                yield line


def _settled(lines: list[str]) -> bool:
    """Whether the board has heard that the cloud knows the job's end, and is idle again."""
    reports = [number for number, line in enumerate(lines) if "agent report " in line]
    after = "\n".join(lines[reports[-1] :]) if reports else ""
    told = re.search(_TOLD, after)
    return bool(told) and "agent idle" in after[told.end() :]


@contextmanager
def theatre(cloud: Cloud, story: Story, folder: Path) -> Iterator[Theatre]:
    """A Theatre, which is taken down afterwards."""
    made = Theatre(cloud, story, folder)
    try:
        yield made
    finally:
        made.scene.board.stop()
        cloud.forget(made.scene.name)
