"""Stories of applications and agents that come as bundles.

At each cut the record of the trees names only trees that are whole, and that a job brought and
proved. So what the next start takes is one of two: the one before, or the new one.
"""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from damage import Copy, losses
from histories import NOT_CONFIRMED, Story, factory
from littlefs import LittleFS
from littlefs.errors import LittleFSError
from stage import Stage
from typed import good

from sluice import __version__
from sluice.bundle import container, make, tree
from sluice.device import norflash, provision
from sluice.device.meter import raise_power_cut
from sluice.device.norflash import NORFlash
from sluice.device.supervisor import Board
from sluice.image.modules import SELF_TESTS

VERSIONS = (f"{__version__}.1", f"{__version__}.2")  # before the job, and what it brings
GOOD = "async def main(link):\n    print('runs {}')\n"


@cache
def bundle(kind: str, version: str, board: str, text: str) -> bytes:
    """The bundle of an application that is this text, or of this firmware's agent."""
    if kind == "agent":
        return make.agent(board, version)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "app.py")
        file.write_text(text)
        return make.application(file, version)


@dataclass(frozen=True)
class BundleStory(Story):
    """A job that brings a bundle of the kind that its name ends with, or goes back to one."""

    @property
    def kind(self) -> str:
        """Of the bundle."""
        return "agent" if self.name.endswith("agent") else "app"

    @property
    def before(self) -> list[bytes]:
        """The image that runs all the time."""
        return [factory(self.board)]

    @property
    def old(self) -> list[bytes]:
        """The bundles that were proved before the job: what runs is the last."""
        number = 2 if self.name == "back to app" else int(self.updated)
        versions = VERSIONS[:number]
        return [bundle(self.kind, text, self.board, GOOD.format(text)) for text in versions]

    @property
    def brought(self) -> bytes:
        """The bundle that the job brings, or goes back to."""
        if self.name == "back to app":
            return self.old[0]
        text = SELF_TESTS["fail"] if self.name == "sick app" else GOOD.format(VERSIONS[1])
        return bundle(self.kind, VERSIONS[1], self.board, text)

    def begin(self, scene: Stage) -> None:
        """The bundles of before are deployed."""
        scene.configure(allow_rollback=True)
        scene.board.make()
        if self.old:
            scene.power_on()
        for content in self.old:
            assert scene.settled(_deployed(scene, content)).status == "SUCCEEDED", scene.tail
        scene.board.stop()

    def order(self, scene: Stage) -> str:
        """Make the job; its id."""
        if self.name == "back to app":
            order = {"operation": "rollback", "kind": "app", "version": VERSIONS[0]}
            return scene.job(order)
        return _deployed(scene, self.brought)

    def losses(self, board: Board) -> list[str]:
        """The image runs as before, and each tree that is named is whole and proved."""
        return [*losses(board, self.before), *self._unknown(board)]

    def wrong(self, board: Board, status: str) -> Iterator[str]:
        """The same, and that runs which the job's end says; nothing is on trial any more."""
        yield from self.losses(board)
        record = recorded(board)
        runs = [entry[1] for entry in (record or {}).get(self.kind, ())][:1]
        wanted = [self.brought] if status == "SUCCEEDED" else self.old[-1:]
        if runs != [digest(content) for content in wanted]:
            yield "another tree runs than the job's end says"
        if record and record["new"]:
            yield "a tree is on trial still"

    def _unknown(self, board: Board) -> Iterator[str]:
        files = files_of(board)
        known = {digest(content) for content in [*self.old, self.brought]}
        for kind in ("app", "agent"):
            for letter, named, *_ in (recorded(board) or {}).get(kind, ()):
                content = files.get(f"{kind}.{letter}", b"")
                if sha256(content).hexdigest() != named:
                    yield f"{kind}.{letter} is not what the record says"
                if named not in known:
                    yield f"{kind}.{letter} was proved by nobody"


def _deployed(scene: Stage, content: bytes) -> str:
    file = scene.file(content)
    return good("deploy", file, "--thing", scene.name, "--state", scene.root).strip()


def digest(content: bytes) -> str:
    """Of the tree that a bundle becomes."""
    description, members = container.unpack(content)
    assert json.loads(members["sluice.json"]) == description
    return sha256(tree.pack(members)).hexdigest()


def recorded(board: Board) -> dict | None:
    """The record of trees that is in force."""
    files = files_of(board)
    return tree.read_record([files.get(f"trees.{number}") for number in (0, 1)])


def files_of(board: Board) -> dict[str, bytes]:
    """The trees and their record, from a copy of the flash: the board does not notice."""
    memory = Copy(board).memory
    meter = memoryview(bytearray(norflash.meter_size(len(memory))))
    partition = board.table.labelled(provision.FILE_SYSTEM)
    flash = NORFlash(memoryview(memory), meter, raise_power_cut)
    context = provision.PartitionContext(flash, partition)
    blocks = partition.size // norflash.SECTOR
    root = LittleFS(context=context, mount=False, block_count=blocks, **provision.LITTLEFS)
    try:
        root.mount()
    except LittleFSError:  # it was never made
        return {}
    found = {}
    for name in root.listdir("/"):
        if name.startswith(("app.", "agent.", "trees.")):
            with root.open(f"/{name}", "rb") as file:
                found[name] = file.read()
    return found


_GOOD = {"SUCCEEDED": "accepted ", "FAILED": NOT_CONFIRMED}
_SICK = {"FAILED": "rolled back: "}
BUNDLES = (
    BundleStory("first app", "SIM_ESP32", False, _GOOD),
    BundleStory("next app", "SIM_ESP32", True, _GOOD),
    BundleStory("sick app", "SIM_ESP32", True, _SICK),
    BundleStory("back to app", "SIM_ESP32", True, _GOOD),
    BundleStory("first agent", "SIM_ESP32", False, _GOOD),
    BundleStory("next agent", "SIM_ESP32", True, _GOOD),
    BundleStory("next app", "SIM_W800", True, _GOOD),
)
