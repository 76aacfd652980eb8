"""How long the agent keeps everybody else from running: instructions between two awaits.

Callgrind's instructions on the i386 unix port, code loaded into the heap. Downloads are run as in
bench/way.py, with the link, its route, the image and its map, and every turn of asyncio's loop is
counted apart: the longest is shown, collections included. Where the clock matters it stands still,
so a turn ends by what was read and never by its time. The other rows are the difference of two
runs, so that starting up does not count. Flash operations come on top, because flash here costs
nothing: tests/firmware/test_awaits.py counts them.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench import callgrind, p256, packets, way
from bench.numbers import Effort, Number, Table
from sluice.compile import compile_module

LIMIT = 8_000_000  # instructions between two awaits that DESIGN.md promises at most
DOWNLOADS: tuple[packets.Case, ...] = (
    (256, packets.JSON),
    (4_096, packets.JSON),
    (65_536, packets.JSON),
    (256, packets.ESCAPED),
    (4_096, packets.ESCAPED),
    (256, packets.MIXED),
    (4_096, packets.MIXED),
    (256, packets.CBOR),
    (4_096, packets.CBOR),
    (65_536, packets.CBOR),
    (4_096, packets.HTTP),
)
QUICK: tuple[packets.Case, ...] = ((256, packets.JSON), (4_096, packets.JSON))
HEAP = 4 * 96_000

# name → (what is set up, what is done each time); `n` counts the times
# fmt: off
STRETCHES = {
    "a P-256 slice, the first":    ("s = prepared('p256')", "next(s)"),
    "a P-256 slice, the others":   ("s = prepared('p256'); next(s); next(s)", "next(s)"),
    "an RSA-4096 slice":           ("s = prepared('rsa'); next(s)", "next(s)"),
    "reading a message of 8 KiB":  ("text = message()", "json.loads(text)"),
    "loading the largest module":  ("from sluice.loading import *; used = set(sys.modules)",
                                    "plug_in('sluice.trust.p256', 'steps'); forget(used)"),
    "collecting a heap of 80 KB":  ("keep = [bytearray(64) for _ in range(800)]", "gc.collect()"),
    "the digest of 16 sectors":    ("import hashlib; sha, buffer = hashlib.sha256(), bytes(4096)",
                                    "for sector in range(16): sha.update(buffer)"),
    "a record of the journal":     ("journal = noted()", "journal.write(written=bytes(48))"),
    "the map of 1.4 MiB, recalled":  ("written = known()", "recalled(written)"),
    "the map of 1.4 MiB, looked at": ("image = recalled(known())",
                                      "image.missing(); image.sectors()"),
    "4 KiB by HTTP, and its head": ("http = serving(4096, 512)", "taken(http, 4096)"),
    "a head of 4 KiB by HTTP":     ("http = serving(0, 4096)", "asked(http)"),
}
# fmt: on

SCRIPT = """
import gc, json, sys
from steps import *

{before}
for n in range({times}):
    {each}
"""


def prepare(folder: Path) -> None:
    """The device code, keys and signatures."""
    way.prepare(folder)
    p256.make_case("P-256", folder)
    (folder / "signature").rename(folder / "p256.sig")
    (folder / "key.pem").rename(folder / "p256.pem")
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(p256.MESSAGE)
    signed = key.sign(p256.MESSAGE, PKCS1v15(), hashes.SHA256())
    (folder / "rsa.sig").write_bytes(digest.finalize() + signed)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "rsa.pem").write_bytes(public)


def instructions(folder: Path, name: str) -> int:
    """Of one time of a stretch."""
    before, each = STRETCHES[name]
    counts = []
    for times in (1, 2) if "slice" not in name else (0, 1):
        source = folder / f"stretch{times}.py"
        source.write_text(SCRIPT.format(before=before, each=each, times=times))
        compile_module(source, source.with_suffix(".mpy"), source.name, among=True)
        source.unlink()
        script = folder / f"run{times}.py"
        script.write_text(f"import stretch{times}\n")
        counts.append(callgrind.instructions("i386", script.name, folder, HEAP))
        source.with_suffix(".mpy").unlink()
    return counts[1] - counts[0]


def download(folder: Path, case: packets.Case) -> int:
    """The longest stretch of a download, once its code is loaded."""
    size = way.SMALL if case[1] in (packets.ESCAPED, packets.MIXED) else way.sizes(case)[0]
    script = way.OURS.script(folder, case, size, "")
    return max(callgrind.stretches("i386", script, folder, way.HEAP))


def named(case: packets.Case) -> str:
    """What a download is called."""
    block, form = case
    return "a download by HTTP" if form == packets.HTTP else f"a download, {form} {block:,}"


def measure(effort: Effort) -> Iterator[Number]:
    """Each stretch."""
    if not callgrind.available():
        yield Number("blocking", "all", "instructions", None, "", True, callgrind.MISSING)
        return
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        prepare(folder)
        for case in QUICK if effort == Effort.QUICK else DOWNLOADS:
            longest = download(folder, case)
            yield Number("blocking", named(case), "instructions", longest, "instructions")
        for name in STRETCHES if effort > Effort.QUICK else ():
            counted = instructions(folder, name)
            same = "RSA" not in name  # whose key is new
            yield Number("blocking", name, "instructions", counted, "instructions", same)


TABLE = Table(
    "blocking",
    "Between two awaits",
    "longest stretch of",
    "Instructions. In a download each turn of the loop is counted, with the route, the map and\n"
    "collections in it. Flash costs nothing here: firmware/DESIGN.md says what it adds.",
    measure,
    quick=True,
)
