"""What verifying a signature costs on MicroPython's unix port, 32 and 64 bits.

Instructions are callgrind's, one verification more minus one less, in a 96 KB heap; without
valgrind that column is empty. Heap is the smallest `-X heapsize` that works, less what an empty
script needs: the modules' imports, a public key in PEM and the verification. No times: they
would be this machine's.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench import callgrind
from bench.numbers import Effort, Number, Table
from sluice import toolchain
from sluice.compile import FIRMWARE, compile_module

MODULES = ("errors", "trust/p256", "trust/rsa", "trust/x509")
HEAP = 96_000
STEP = 64  # bytes, the resolution of a heap's size
ALGORITHMS = ("P-256", "RSA-2048", "RSA-4096")
SECRET = 0x5EA1ED << 200 | 0x51C1E  # of the P-256 key: the same one every time
MESSAGE = b"an image"

SCRIPT = """
from sluice.trust.{module} import verify
from sluice.trust.x509 import public_key
with open("signature", "rb") as file:
    digest, signature = file.read(32), file.read()
with open("key.pem", "rb") as file:
    _, first, second = public_key(file.read())
for _ in range({times}):
    if not verify(first, second, digest, signature):  # an assert would be compiled away
        raise SystemExit(1)
"""


def make_case(algorithm: str, folder: Path) -> None:
    """A key's public half and its signature, as the script reads them; an RSA key is new."""
    if algorithm == "P-256":
        key = ec.derive_private_key(SECRET, ec.SECP256R1())
        signature = key.sign(MESSAGE, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=int(algorithm[4:]))
        signature = key.sign(MESSAGE, PKCS1v15(), hashes.SHA256())
    (folder / "signature").write_bytes(hashlib.sha256(MESSAGE).digest() + signature)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "key.pem").write_bytes(pem)


def compile_all(folder: Path) -> None:
    """The modules, and a script for none, one and two verifications of each kind, as .mpy."""
    for name in MODULES:
        compile_module(FIRMWARE / f"sluice/{name}.py", folder / f"sluice/{name}.mpy", f"{name}.py")
    for module in ("p256", "rsa"):
        for times in (1, 2):
            source = folder / f"{module}{times}.py"
            source.write_text(SCRIPT.format(module=module, times=times))
            compile_module(source, source.with_suffix(".mpy"), source.name, among=True)
            source.unlink()
            (folder / f"run_{source.name}").write_text(f"import {source.stem}\n")
    (folder / "run_nothing.py").write_text("")


def least_heap(arch: str, script: str, folder: Path) -> int:
    """Bytes of the smallest heap in which the script runs."""
    low, high = 0, HEAP
    while high - low > STEP:
        middle = (low + high) // 2
        command = [toolchain.micropython(arch), "-X", f"heapsize={middle}", script]
        if callgrind.run(command, folder).returncode:
            low = middle
        else:
            high = middle
    return high


def row(algorithm: str, arch: str, folder: Path) -> Iterator[Number]:
    """One row of the table."""
    module, name = "p256" if algorithm == "P-256" else "rsa", f"{algorithm}, {arch}"
    make_case(algorithm, folder)
    found, note = None, callgrind.MISSING
    if callgrind.available():
        once, twice = (
            callgrind.instructions(arch, f"run_{module}{n}.py", folder, HEAP) for n in (1, 2)
        )
        found, note = twice - once, ""
    same = algorithm == "P-256"
    yield Number("p256", name, "instructions", found, "instructions", same, note)
    heap = least_heap(arch, f"run_{module}1.py", folder)
    heap -= least_heap(arch, "run_nothing.py", folder)
    yield Number("p256", name, "heap", heap, "bytes", same)


def measure(effort: Effort) -> Iterator[Number]:
    """Each kind of key on each port, and the digest of an image."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        compile_all(folder)
        for algorithm in ALGORITHMS:
            for arch in ("i386", "amd64") if effort > Effort.QUICK else ("i386",):
                yield from row(algorithm, arch, folder)


TABLE = Table(
    "p256",
    "Verifying a signature",
    "key, port",
    "Instructions of one verification. The P-256 key is always the same, the RSA keys are new.\n"
    "Heap: bytes for the modules, a key in PEM and the verification.",
    measure,
    quick=True,
)
