"""Counts the instructions of a MicroPython script with callgrind.

Valgrind must run the program itself, not the script that starts it through its loader; hence
`for_valgrind`.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from host_tools import debian, toolchain
from host_tools.errors import SluiceError

MISSING = "valgrind is not installed: no instructions are counted (Debian: apt install valgrind)"


def available() -> bool:
    """Whether this machine has valgrind."""
    return shutil.which("valgrind") is not None


def run(command: list, folder: Path, timeout_s: float = 300) -> subprocess.CompletedProcess:
    """Run in a folder that is also where modules are looked for."""
    environment = {**os.environ, "MICROPYPATH": f"{folder}:.frozen"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout_s
    )


def for_valgrind(arch: str, folder: Path) -> list[Path | str]:
    """The command that starts MicroPython where valgrind can follow it.

    Debian's libraries are padded with `lea` under a CS prefix, which does nothing and which
    valgrind 3.19 takes for an illegal instruction: they are copied with the prefix DS instead.
    """
    program = toolchain.micropython(arch)
    loader = next(program.parent.glob(f"usr/lib*/**/{debian.LOADERS[arch]}"), None)
    if loader is None:
        return [program]
    libraries = program.parent / "usr/lib" / debian.TRIPLETS[arch]
    copies = folder / f"valgrind-{arch}"
    copies.mkdir(exist_ok=True)
    for file in (loader, program.parent / "usr/bin/micropython", *libraries.glob("*.so*")):
        code = re.sub(rb"\x2e(?=\x8d[\xb4\x74]\x26)", b"\x3e", file.read_bytes())
        (copies / file.name).write_bytes(code)
        (copies / file.name).chmod(0o755)
    return [copies / loader.name, "--library-path", copies, copies / "micropython"]


def instructions(arch: str, script: str, folder: Path, heap: int, *args: str) -> int:
    """What callgrind counts for the whole run of a script of `folder`, in `heap` bytes.

    raises  SluiceError with the last words of the run, when it failed
    """
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind.out'}"]
    micropython = [*for_valgrind(arch, folder), "-X", f"heapsize={heap}", script, *args]
    done = run([*tool, *micropython], folder)
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not counted:
        raise SluiceError(f"callgrind failed on {arch}: {(done.stdout + done.stderr)[-300:]}")
    return int(counted[1])
