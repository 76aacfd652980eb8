"""How small a delta and a compressed image are, and how long it takes to make one.

Of two real builds, and of pairs that are made from one: see bench.release. bench.forms measures
what they cost a board.
"""

import time
from collections.abc import Iterator
from statistics import median

from bench import release
from bench.numbers import Effort, Number, Table
from sluice.image import smaller

NUMBER = 17  # of the version that is made


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


def measure(effort: Effort) -> Iterator[Number]:
    """Every pair."""
    for name, (old, new) in pairs().items():
        yield from row(name, old, new)


TABLE = Table(
    "smaller",
    "Smaller images",
    "newer against older",
    "Bytes on the wire for an image of an ESP32, what part of the image it is, and seconds to\n"
    "make it on one core. The first pair is real, and stands on two versions of ESP-IDF. The\n"
    "others are made by `bench/release.py`.",
    measure,
    alone=True,
    quick=True,
)
