"""One small update with the power cut at a flash operation of it, and what must come of it."""

import contextlib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from damage import losses
from spy import Spy
from stage import CHECKPOINT, HEAP, Cloud, Stage, image

from sluice.device.hardware import FACTORY_VERSION
from sluice.device.supervisor import Board
from sluice.image import make_image

FACTORY = make_image(FACTORY_VERSION)
PARTS = ("nothing", "front", "back", "whole")  # of the operation at which the power fails
SIZE = 176_000  # bytes: a checkpoint of the journal lies in mid-download
BLOCK, WINDOW = 4096, 8  # bytes; blocks asked for at once
# It says so; or its journal did, and the power failed before it could.
TOLD = r"agent REPORTING (reported|gone)|agent boot \S+ \S+ new idle"
NOT_CONFIRMED = "rolled back: not confirmed in its trial"


class Run:
    """A board with an update waiting for it, from power-on to the verdict.

    operation  of flash, counted from power-on, at which the power fails; None: it does not
    part       how much of that operation is done
    updated    the board has had an update before; then `operation` counts from the job on
    """

    def __init__(
        self,
        cloud: Cloud,
        folder: Path,
        operation: int | None = None,
        part: str = "nothing",
        updated: bool = False,
    ) -> None:
        name = f"cut-{uuid.uuid4().hex[:10]}"
        self.scene = Stage(cloud, name, folder, window=WINDOW * BLOCK)
        self.new = image("1.2.0", SIZE)
        self.old, self.slot = ("1.1.0", "ota_0") if updated else ("1.0.0", "ota_1")
        self.ears = Spy(self.scene)
        self._seen = self._counted = 0
        self.lost: list[str] = []  # what would start wrongly after the cut
        cuts = [(operation, part)] if operation and not updated else []
        words = self.scene.root, self.scene.name
        self.board = Board(*words, heap=HEAP, cuts=cuts, on_line=self._hear)
        self.scene.board = self.board
        if updated:
            self._update_once()
        if updated and operation:
            self.board.cut_after(operation, part)
        self.job = self.scene.deploy(self.new)
        if not updated:
            self.board.start()

    def _hear(self, line: str) -> None:
        if line == "power: cut":
            proven = [FACTORY, *([image("1.1.0", SIZE)] if self.old == "1.1.0" else []), self.new]
            self.lost += losses(self.board, proven)

    def _update_once(self) -> None:
        board = self.scene.power_on()
        first = self.scene.deploy(image("1.1.0", SIZE))
        assert self.scene.verdict(first).status == "SUCCEEDED"
        settled = max(n for n, line in enumerate(board.lines) if "agent TRYING healthy" in line)
        board.wait_for("agent idle", after=settled)
        self._seen, self._counted = len(board.lines), board.operations
        self.ears.heard.clear()

    def finish(self) -> None:
        """Wait for the verdict, and for the board to have settled."""
        self.verdict = self.scene.verdict(self.job)
        self.board.wait_for(TOLD, after=self._seen)
        told = max(n for n, line in enumerate(self.board.lines) if re.search(TOLD, line))
        self.board.wait_for("agent idle", after=told)
        self.operations = self.board.operations - self._counted

    def close(self) -> None:
        """Take it all away."""
        self.scene.board.stop()
        self.ears.close()
        self.scene.cloud.forget(self.scene.name)

    @property
    def lines(self) -> list[str]:
        """What the board said about this update."""
        return self.board.lines[self._seen :]

    @property
    def before(self) -> list[str]:
        """What it said before the power failed, if it did."""
        return self.lines[: self.lines.index("power: cut")] if self.was_cut else self.lines

    @property
    def was_cut(self) -> bool:
        """Whether the power failed at all: the last few operations are not always the same."""
        return "power: cut" in self.lines


@contextlib.contextmanager
def ran(*words, **options) -> Iterator[Run]:
    """A Run that has finished, and is cleaned up."""
    run = Run(*words, **options)
    try:
        run.finish()
        yield run
    finally:
        run.close()


def judge(run: Run) -> None:
    """After a cut anywhere: a good image runs, and the job has ended once, with the truth."""
    assert not [line for line in run.lines if line.startswith(("end: ", "reset: panic"))]
    assert not run.lost
    if run.verdict.status == "SUCCEEDED":
        assert run.scene.running == (run.slot, "1.2.0")
        assert run.board.slot_bytes(run.slot, SIZE) == run.new
    else:
        # the boot loader takes back what did not live to be confirmed; nothing before or after
        assert (run.verdict.status, run.verdict.reason) == ("FAILED", NOT_CONFIRMED)
        assert said(run, "agent VERIFYING genuine")
        assert not said(run, "agent TRYING healthy")
        assert run.scene.running[1] == run.old
    assert sum(bool(re.match("boot: .* trial", line)) for line in run.lines) <= 1
    assert run.ears.again <= CHECKPOINT // BLOCK + 2 * WINDOW
    assert run.ears.accepted(run.verdict.status, 0) <= 1


def said(run: Run, words: str) -> bool:
    """Whether the board said so before the power failed."""
    return any(words in line for line in run.before)
