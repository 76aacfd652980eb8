"""How small a delta and a compressed image are, and what they cost the host and the board.

Of two real builds, and of pairs that are made from one: see bench.release. Instructions a byte of
the image are callgrind's, of the older and newer real build: from what a source lends its place to
the sectors, collecting included, without link and flash. Seconds are a simulated board's download
by JSON, over a line like an ESP32's: 5,744 bytes of window, and a round trip of 440 ms, which is
13 KB/s. No real build runs on that board, so its image is one of the model's, with as much that is
new in it as the real delta has.
"""

import hashlib
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from bench import callgrind, release, session, way, wire
from bench.far import FarRelay
from bench.numbers import Effort, Number, Table
from host_tools.device.supervisor import Board
from host_tools.errors import SluiceError
from host_tools.image import make_image, smaller
from host_tools.image.build import pack_image
from host_tools.image.modules import compiled, device_modules

NUMBER = 17  # of the version that is made
SECTORS = (40, 140)  # made in a short and a long run: what is between them is counted
TRIP_S, WINDOW = 0.44, 5_744  # of the thin line
SIZE = 393_216  # bytes of the image that comes over it
NEW = 98_304  # bytes of it that the older one has not


def pairs() -> dict[str, tuple[bytes, bytes]]:
    """{row: (older image, newer one)}."""
    june, august = release.real()
    return {
        "two real builds, 12 weeks apart": (june, august),
        "a function longer, strings and constants": (august, release.released(august, NUMBER)),
        "another version only": (august, release.rebuilt(august, NUMBER)),
    }


def row(name: str, old: bytes, new: bytes) -> Iterator[Number]:
    """One pair."""
    yield Number("smaller", name, "image", len(new), "bytes")
    begin = time.perf_counter()
    delta = smaller.read(smaller.delta(new, old))
    between = time.perf_counter()
    compressed = smaller.read(smaller.compressed(new))
    end = time.perf_counter()
    for kind, found, took in (
        ("delta", delta, between - begin),
        ("compressed", compressed, end - between),
    ):
        yield Number("smaller", name, kind, found.size, "bytes")
        yield Number("smaller", name, f"{kind}, %", 100 * found.share, "% of the image")
        yield Number("smaller", name, f"{kind}, s", took, "s", False)
    yield Number("smaller", name, "median piece of the delta", int(median(delta.pieces)), "bytes")
    yield Number("smaller", name, "its longest", max(delta.pieces), "bytes")


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
            yield Number("smaller", name, column, count, "instructions/byte", True, missing)


def thin() -> Iterator[Number]:
    """Seconds of a download over a thin line, as a delta and as it is."""
    old = make_image("1.0.0", SIZE)
    text = f"DATA = {random.Random(NUMBER).randbytes(NEW)!r}\n"
    content = device_modules("SIM_ESP32") | compiled({"spare.py": text})
    new = pack_image("1.1.0", content, SIZE, padding="1.0.0")
    with session.opened() as cloud, tempfile.TemporaryDirectory() as scratch:
        before, after = Path(scratch, "old.bin"), Path(scratch, "new.bin")
        before.write_bytes(old)
        after.write_bytes(new)
        for name, words in (("delta", ("--from", before)), ("image", ())):
            yield Number(
                "smaller", name, "over 13 KB/s", _over(cloud, old, after, words), "s", False
            )
        share = 100 * len(smaller.delta(new, old)) / len(new)
        yield Number("smaller", "delta", "of that image", share, "%")


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
    """Every pair; then what a board does with the real one, and the thin line."""
    for name, (old, new) in pairs().items():
        yield from row(name, old, new)
    yield from made(*release.real())
    yield from thin()


TABLE = Table(
    "smaller",
    "Smaller images",
    "newer against older",
    "Bytes on the wire for an image of an ESP32, what part of the image it is, and seconds to\n"
    "make it on one core. The first pair is real, and stands on two versions of ESP-IDF. The\n"
    "others are made by `bench/release.py`. Then what a board pays: instructions a byte of the\n"
    "real image, without link and flash; and seconds of a download at 13 KB/s.",
    measure,
    alone=True,
    quick=True,
)
