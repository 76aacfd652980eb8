"""What verifying a signature costs on MicroPython's unix port, 32 and 64 bits.

    .venv/bin/python -m bench.p256

Instructions are callgrind's, one verification more minus one less, in a 96 KB heap; without
valgrind that column is empty. Heap is the smallest `-X heapsize` that works, less what an empty
script needs: the modules' imports, a public key in PEM and the verification. No times: they
would be this machine's.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from host_tools import toolchain
from host_tools.compile import FIRMWARE, compile_module

MODULES = ("__init__", "errors", "p256", "rsa", "x509")
HEAP = 96_000
STEP = 64  # bytes, the resolution of a heap's size
ROUNDS = 5  # keys over which the instructions are averaged
MESSAGE = b"an image"

SCRIPT = """
from ota.{module} import verify
from ota.x509 import public_key
with open("signature", "rb") as file:
    digest, signature = file.read(32), file.read()
with open("key.pem", "rb") as file:
    _, first, second = public_key(file.read())
for _ in range({times}):
    assert verify(first, second, digest, signature)
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
        compile_module(FIRMWARE / f"ota/{name}.py", folder / f"ota/{name}.mpy", f"{name}.py")
    for module in ("p256", "rsa"):
        for times in (1, 2):
            source = folder / f"{module}{times}.py"
            source.write_text(SCRIPT.format(module=module, times=times))
            compile_module(source, source.with_suffix(".mpy"), source.name)
            source.unlink()
            (folder / f"run_{source.name}").write_text(f"import {source.stem}\n")
    (folder / "run_nothing.py").write_text("")


def run(command: list, folder: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "MICROPYPATH": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def least_heap(arch: str, script: str, folder: Path) -> int:
    """Bytes of the smallest heap in which the script runs."""
    low, high = 0, HEAP
    while high - low > STEP:
        middle = (low + high) // 2
        command = [toolchain.micropython(arch), "-X", f"heapsize={middle}", script]
        if run(command, folder).returncode:
            low = middle
        else:
            high = middle
    return high


def for_valgrind(arch: str, folder: Path) -> list[Path | str]:
    """The command that starts MicroPython where valgrind can follow it.

    Debian's libraries are padded with `lea` under a CS prefix, which does nothing and which
    valgrind 3.19 takes for an illegal instruction: they are copied with the prefix DS instead.
    """
    program = toolchain.micropython(arch)
    loader = next(program.parent.glob(f"usr/lib*/**/{toolchain.LOADERS[arch]}"), None)
    if loader is None:
        return [program]
    libraries = program.parent / "usr/lib" / toolchain.TRIPLETS[arch]
    copies = folder / arch
    copies.mkdir(exist_ok=True)
    for file in (loader, program.parent / "usr/bin/micropython", *libraries.glob("*.so*")):
        code = re.sub(rb"\x2e(?=\x8d[\xb4\x74]\x26)", b"\x3e", file.read_bytes())
        (copies / file.name).write_bytes(code)
        (copies / file.name).chmod(0o755)
    return [copies / loader.name, "--library-path", copies, copies / "micropython"]


def instructions(arch: str, script: str, folder: Path) -> int:
    """What callgrind counts for the whole run of a script."""
    output = folder / "callgrind.out"
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
    micropython = [*for_valgrind(arch, folder), "-X", f"heapsize={HEAP}", script]
    done = run([*tool, *micropython], folder)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not counted:
        raise SystemExit(f"bench: callgrind failed on {arch}: {done.stderr[-300:]}")
    return int(counted[1])


def measure(algorithm: str, arch: str, folder: Path) -> str:
    """One line of the table."""
    module = "p256" if algorithm == "P-256" else "rsa"
    counts = []
    for _ in range(ROUNDS if shutil.which("valgrind") else 0):
        make_case(algorithm, folder)
        once, twice = (instructions(arch, f"run_{module}{n}.py", folder) for n in (1, 2))
        counts.append(twice - once)
    make_case(algorithm, folder)
    heap = least_heap(arch, f"run_{module}1.py", folder) - least_heap(
        arch, "run_nothing.py", folder
    )
    shown = f"{sum(counts) / len(counts) / 1e6:8.1f} M" if counts else f"{'-':>10}"
    return f"{algorithm:10} {arch:6} {shown} {heap:10,} B"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as scratch:
        folder = Path(scratch)
        compile_all(folder)
        print(f"{'algorithm':10} {'port':6} {'instrs':>10} {'heap':>12}")
        for algorithm in ("P-256", "RSA-2048", "RSA-4096"):
            for arch in ("i386", "amd64"):
                print(measure(algorithm, arch, folder), flush=True)
        sizes = {name: (folder / f"ota/{name}.mpy").stat().st_size for name in MODULES[2:]}
        print(".mpy:", ", ".join(f"{name} {size:,} B" for name, size in sizes.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
