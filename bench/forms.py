"""What it costs a board when an image comes in a smaller form.

Instructions a byte of the image are callgrind's, of the older and newer real build: from what a
source lends its place to the sectors, collecting included, without link and flash. Seconds are a
simulated board's download by JSON, over a line like an ESP32's: 5,744 bytes of window, and a round
trip of 440 ms, which is 13 KB/s. No real build runs on that board, so its image is one of the
model's, with about as much that is new in it as the real delta has.
"""

import hashlib
import random
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench import callgrind, release, session, way, wire
from bench.far import FarRelay
from bench.numbers import Effort, Number, Table
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.image import make_image, smaller
from sluice.image.build import pack_image
from sluice.image.modules import compiled, device_modules

SECTORS = (40, 140)  # made in a short and a long run: what is between them is counted
TRIP_S, WINDOW = 0.44, 5_744  # of the thin line
SIZE = 393_216  # bytes of the image that comes over it
NEW = 98_304  # bytes of it that the older one has not
SEED = 17  # of these


def instructions(folder: Path, name: str, size: int, base: tuple | None) -> float:
    """Of a board, for a byte of the image that it makes of the container of that name."""
    counts = []
    for sectors in SECTORS:
        script = f"{name}{sectors}.py"
        (folder / script).write_text(f"import forms\nforms.run{(name, size, base, sectors)}\n")
        counts.append(callgrind.instructions("i386", script, folder, way.HEAP))
    return round((counts[1] - counts[0]) / ((SECTORS[1] - SECTORS[0]) * smaller.SECTOR), 1)


def made(old: bytes, new: bytes) -> Iterator[Number]:
    """What it costs a board to make the image."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        way.prepare(folder)
        (folder / "older").write_bytes(old)
        forms = {"delta": smaller.delta(new, old), "compressed": smaller.compressed(new)}
        for name, data in forms.items():
            (folder / name).write_bytes(data)
            base = (len(old), hashlib.sha256(old).hexdigest()) if name == "delta" else None
            there = callgrind.available()
            count = instructions(folder, name, len(new), base) if there else None
            missing = "" if there else callgrind.MISSING
            column = "to make of it"
            yield Number("forms", name, column, count, "instructions/byte", True, missing)


def thin() -> Iterator[Number]:
    """Seconds of a download over a thin line, as a delta and as it is."""
    old = make_image("1.0.0", SIZE)
    text = f"DATA = {random.Random(SEED).randbytes(NEW)!r}\n"
    content = device_modules("SIM_ESP32") | compiled({"spare.py": text})
    new = pack_image("1.1.0", content, SIZE, padding="1.0.0")
    with session.opened() as cloud, tempfile.TemporaryDirectory() as scratch:
        before, after = Path(scratch, "old.bin"), Path(scratch, "new.bin")
        before.write_bytes(old)
        after.write_bytes(new)
        for name, words in (("delta", ("--from", before)), ("image", ())):
            yield Number(
                "forms", name, "over 13 KB/s", _over(cloud, old, after, words), "s", False
            )
        share = 100 * len(smaller.delta(new, old)) / len(new)
        yield Number("forms", "delta", "of the image over it", share, "%")


def _over(cloud: session.Session, old: bytes, new: Path, words: tuple) -> float:
    """Seconds from the opened image to its last byte."""
    with closing(FarRelay(cloud.port, TRIP_S, WINDOW)) as relay:
        name = cloud.thing(keepalive_s=1200)
        board = Board(cloud.state, name, factory=old)
        wire.through(board, relay.port)
        with board:
            update = cloud.follow(board, SIZE, lambda: cloud.ordered(board.name, new, *words))
    if not update.succeeded:
        raise SluiceError(f"the update over a thin line: {update.reason}")
    return update.download_ms / 1000


def measure(effort: Effort) -> Iterator[Number]:
    """What a board does with the real pair, and the thin line."""
    yield from made(*release.real())
    yield from thin()


TABLE = Table(
    "forms",
    "What a smaller image costs a board",
    "comes as",
    "Instructions for a byte of the image: of the two real builds, in a heap of 112 KiB,\n"
    "collecting included, without link and flash. Over 13 KB/s: a whole download by JSON, of an\n"
    "image of 393,216 bytes, over a line like an ESP32's, with a window of 5,744 bytes.",
    measure,
    alone=True,
)
