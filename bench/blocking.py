"""How long the agent keeps everybody else from running: instructions between two awaits.

    .venv/bin/python -m bench.blocking

Callgrind's instructions on the i386 unix port, code loaded into the heap, each a difference of two
runs, so that starting up does not count. Flash operations come on top, as flash here costs
nothing: tests/firmware/test_awaits.py counts them. No times: those would be this machine's. What a
turn of the link takes from the socket, 4,096 bytes at most, is whole messages of a stream here.
"""

import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench import callgrind, p256, stream, tables
from bench.command import guarded
from host_tools.compile import compile_module

TURN = 4_096  # bytes that one turn of the link reads at most: 8 times 512
FRAME = 110  # bytes of a small block's message that are not base64, at least
LIMIT = 8_000_000  # instructions between two awaits that DESIGN.md promises at most
HEAP = 96_000

# name → (what is set up, what is done each time); `n` counts the times
# fmt: off
STRETCHES = {
    "a P-256 slice, the first":    ("steps = prepared('p256')", "next(steps)"),
    "a P-256 slice, the others":   ("steps = prepared('p256'); next(steps); next(steps)",
                                    "next(steps)"),
    "an RSA-4096 slice":           ("steps = prepared('rsa'); next(steps)", "next(steps)"),
    "reading a message of 8 KiB":  ("text = message()", "json.loads(text)"),
    "loading the largest module":  ("from ota.loading import *",
                                    "plug_in('ota.p256', 'steps'); let_go('ota.p256')"),
    "collecting a heap of 80 KB":  ("keep = [bytearray(64) for _ in range(800)]", "gc.collect()"),
    "the digest of 16 sectors":    ("import hashlib; sha, buffer = hashlib.sha256(), bytes(4096)",
                                    "for sector in range(16): sha.update(buffer)"),
    "a record of the journal":     ("journal = noted()", "journal.write(written=bytes(48))"),
}
# fmt: on

SCRIPT = """
import gc, json

def prepared(kind):
    from ota.x509 import public_key
    with open(kind + ".pem", "rb") as file:
        _, first, second = public_key(file.read())
    with open(kind + ".sig", "rb") as file:
        digest, signature = file.read(32), file.read()
    module = __import__("ota." + kind, None, None, ("steps",))
    return module.steps(first, second, digest, signature)

def message():
    return json.dumps({{"k%d" % n: "v" * 20 for n in range(250)}})[:8192]

class Cell:
    def load(self):
        return b""
    def save(self, data):
        pass

def noted():
    from ota.journal import Journal
    journal = Journal((Cell(), Cell()))
    journal.write(job="j" * 64, image="1468006-" + "0" * 32, slot="ota_1", version="1.0.0")
    return journal

{before}
for n in range({times}):
    {each}
"""


def prepare(folder: Path) -> None:
    """The device code, keys and signatures."""
    stream.prepare(folder)
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
        compile_module(source, source.with_suffix(".mpy"), source.name)
        source.unlink()
        script = folder / f"run{times}.py"
        script.write_text(f"import stretch{times}\n")
        counts.append(callgrind.instructions("i386", script.name, folder, HEAP * 4))
        source.with_suffix(".mpy").unlink()
    return counts[1] - counts[0]


def turn(folder: Path, block: int) -> int:
    """Of one turn of the link in the middle of a download, at most."""
    wire = block * 4 // 3 + FRAME if block < TURN else TURN * 4 // 3
    image = TURN * block // wire if block < TURN else TURN * 3 // 4
    return stream.per_byte(folder, (block, stream.JSON)) * image


def rows(folder: Path) -> list[list[object]]:
    """[what, instructions]."""
    turns = [[f"a turn of the link, blocks of {b:,}", turn(folder, b)] for b in (256, 4_096)]
    return turns + [[name, instructions(folder, name)] for name in STRETCHES]


def main() -> int:
    """Print the table."""
    if not callgrind.available():
        print(callgrind.MISSING)
        return 0
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        prepare(folder)
        found = rows(folder)
    tables.show(
        "Between two awaits",
        ["stretch", "instructions"],
        found,
        f"DESIGN.md promises {LIMIT:,} at most, and says what flash adds.",
    )
    return 0 if max(row[1] for row in found) <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
