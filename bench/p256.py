"""What verifying a signature costs on MicroPython's unix port, 32 and 64 bits.

    .venv/bin/python -m bench.p256

Instructions are callgrind's, one verification more minus one less, in a 96 KB heap; without
valgrind that column is empty. Heap is the smallest `-X heapsize` that works, less what an empty
script needs: the modules' imports, a public key in PEM and the verification. No times: they
would be this machine's.
"""

import hashlib
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench import callgrind, tables
from bench.command import guarded
from host_tools import toolchain
from host_tools.compile import FIRMWARE, compile_module

MODULES = ("errors", "trust/p256", "trust/rsa", "trust/x509")
HEAP = 96_000
STEP = 64  # bytes, the resolution of a heap's size
ROUNDS = 5  # keys over which the instructions are averaged
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
    """A new key's public half and its signature, as the script reads them."""
    if algorithm == "P-256":
        key = ec.generate_private_key(ec.SECP256R1())
        signature = key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
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


def measure(algorithm: str, arch: str, folder: Path) -> list[object]:
    """One row of the table."""
    module = "p256" if algorithm == "P-256" else "rsa"
    counts = []
    for _ in range(ROUNDS if callgrind.available() else 0):
        make_case(algorithm, folder)
        once, twice = (
            callgrind.instructions(arch, f"run_{module}{n}.py", folder, HEAP) for n in (1, 2)
        )
        counts.append(twice - once)
    make_case(algorithm, folder)
    heap = least_heap(arch, f"run_{module}1.py", folder)
    heap -= least_heap(arch, "run_nothing.py", folder)
    shown = f"{sum(counts) / len(counts) / 1e6:.1f} M" if counts else None
    return [f"{algorithm}, {arch}", shown, heap]


def main() -> int:
    """Print the table."""
    if not callgrind.available():
        print(callgrind.MISSING)
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        compile_all(folder)
        algorithms = ("P-256", "RSA-2048", "RSA-4096")
        rows = [measure(kind, arch, folder) for kind in algorithms for arch in ("i386", "amd64")]
    tables.show(
        "Verifying a signature",
        ["key, port", "instructions", "heap, bytes"],
        rows,
        f"Mean of {ROUNDS} keys. Heap: the modules, a key in PEM, and the verification.",
    )
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
