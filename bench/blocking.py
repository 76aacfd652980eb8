"""How long the agent keeps everybody else from running: instructions between two awaits.

    .venv/bin/python -m bench.blocking

Callgrind's instructions on the i386 unix port, code loaded into the heap, each a difference of two
runs, so that starting up does not count. Flash operations come on top, as flash here costs
nothing: tests/firmware/test_awaits.py counts them. No times: those would be this machine's. A turn
of the link ends when a sector was written, after 16 messages, or after a read with escapes in it.
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

READ = 2_048  # bytes that the link takes from the socket at a time
TURN = 4_096 + READ  # bytes of firmware in a turn of the link, at most
MESSAGES = 16  # messages in it, at most
ESCAPES = {stream.ESCAPED: 8, stream.MIXED: 4}  # bytes of the wire for one of a block, at least
SAMPLE = 16_384  # bytes of an image that turns of the link are reckoned from
LIMIT = 8_000_000  # instructions between two awaits that DESIGN.md promises at most
TURNS = (  # turns of the link: form of the stream, bytes of a block, instructions at most
    (stream.JSON, 256, LIMIT),
    (stream.JSON, 4_096, LIMIT),
    (stream.ESCAPED, 256, LIMIT),
    (stream.ESCAPED, 4_096, LIMIT),
    (stream.MIXED, 256, LIMIT),
    (stream.MIXED, 4_096, LIMIT),
    (stream.CBOR, 256, LIMIT),
    (stream.CBOR, 4_096, LIMIT),
)
HEAP = 96_000

# name → (what is set up, what is done each time); `n` counts the times
# fmt: off
STRETCHES = {
    "a P-256 slice, the first":    ("steps = prepared('p256')", "next(steps)"),
    "a P-256 slice, the others":   ("steps = prepared('p256'); next(steps); next(steps)",
                                    "next(steps)"),
    "an RSA-4096 slice":           ("steps = prepared('rsa'); next(steps)", "next(steps)"),
    "reading a message of 8 KiB":  ("text = message()", "json.loads(text)"),
    "loading the largest module":  ("from sluice.loading import *; used = set(sys.modules)",
                                    "plug_in('sluice.trust.p256', 'steps'); forget(used)"),
    "collecting a heap of 80 KB":  ("keep = [bytearray(64) for _ in range(800)]", "gc.collect()"),
    "the digest of 16 sectors":    ("import hashlib; sha, buffer = hashlib.sha256(), bytes(4096)",
                                    "for sector in range(16): sha.update(buffer)"),
    "a record of the journal":     ("journal = noted()", "journal.write(written=bytes(48))"),
    "4 KiB by HTTP, and its head": ("http = serving(4096, 512)", "taken(http, 4096)"),
    "a head of 4 KiB by HTTP":     ("http = serving(0, 4096)", "asked(http)"),
}
# fmt: on

SCRIPT = """
import gc, json

def prepared(kind):
    from sluice.trust.x509 import public_key
    with open(kind + ".pem", "rb") as file:
        _, first, second = public_key(file.read())
    with open(kind + ".sig", "rb") as file:
        digest, signature = file.read(32), file.read()
    module = __import__("sluice.trust." + kind, None, None, ("steps",))
    return module.steps(first, second, digest, signature)

def message():
    return json.dumps({{"k%d" % n: "v" * 20 for n in range(250)}})[:8192]

class Cell:
    def load(self):
        return b""
    def save(self, data):
        pass

def noted():
    from sluice.journal import Journal
    journal = Journal((Cell(), Cell()))
    journal.write(job="j" * 64, image="1468006-" + "0" * 32, slot="ota_1", version="1.0.0")
    return journal

class Slot:
    def writeblocks(self, number, data, offset=None):
        pass
    def readblocks(self, number, data, offset=0):
        pass

class Server:
    '''A socket that has the same answer for each request.'''
    def __init__(self, size, head):
        said = b"HTTP/1.1 206 Partial Content\\r\\nContent-Length: %d\\r\\n" % size
        said += b"Content-Range: bytes 0-%d/%d\\r\\n" % (size - 1, size)
        while len(said) < head - 80:
            said += b"x-amz-meta-%03d: 0123456789abcdef\\r\\n" % (len(said) % 1000)
        self.answer = said + b"X: " + bytes(head - len(said) - 7) + b"\\r\\n\\r\\n" + bytes(size)
        self.at = 0
    def write(self, data):
        self.at = 0
        return len(data)
    def readinto(self, buf):
        part = memoryview(self.answer)[self.at : self.at + len(buf)]
        buf[: len(part)] = part
        self.at += len(part)
        return len(part)
    def turn(self):
        pass
    def ticks_ms(self):
        return 0
    def ticks_diff(self, later, earlier):
        return later - earlier
    async def sleep_ms(self, ms):
        pass

class Sources:
    link, name, times = None, "", 0
    def __init__(self, http):
        self.http = lambda: http

async def nothing():
    pass

def serving(size, head):
    import sluice.net.http
    server = Server(size, head)
    async def dial(*words):
        return server, server
    sluice.net.http.plug_in = lambda path, name: dial
    return sluice.net.http.HTTP(server, server, ["http://files"], ("",))

URL = "http://files/app.bin?" + "s" * 1000

def finished(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise SystemExit(1)

def asked(http):
    finished(http.get(URL, "bytes=0-65535"))

def taken(http, size):
    from sluice.transfer.image import Image
    from sluice.job import File
    from sluice.transfer.http_range import HTTPRange
    file, image = File(size, "http_range"), Image(Slot(), size)
    file.url = URL
    finished(HTTPRange(Sources(http), file, 4096).fetch(image, nothing))

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
        compile_module(source, source.with_suffix(".mpy"), source.name, among=True)
        source.unlink()
        script = folder / f"run{times}.py"
        script.write_text(f"import stretch{times}\n")
        counts.append(callgrind.instructions("i386", script.name, folder, HEAP * 4))
        source.with_suffix(".mpy").unlink()
    return counts[1] - counts[0]


def turn(folder: Path, block: int, form: str = stream.JSON) -> int:
    """Of one turn of the link in the middle of a download, at most."""
    size = READ // ESCAPES[form] if form in ESCAPES else min(TURN, MESSAGES * block)
    return stream.per_byte(folder, (block, form), SAMPLE) * size


def rows(folder: Path) -> list[list[object]]:
    """[what, instructions, instructions at most]."""
    turns = [
        [f"a turn of the link, {form} blocks of {block:,}", turn(folder, block, form), limit]
        for form, block, limit in TURNS
    ]
    return turns + [[name, instructions(folder, name), LIMIT] for name in STRETCHES]


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
        ["stretch", "instructions", "at most"],
        found,
        "DESIGN.md promises what is in the last column, and says what flash adds.",
    )
    return 0 if all(counted <= limit for _, counted, limit in found) else 1


if __name__ == "__main__":
    sys.exit(guarded(main))
