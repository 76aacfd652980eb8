"""Runs a script of a folder on RV32 and on i386, and counts its instructions.

RV32 is qemu's, which counts with `-icount`; the script reads the count from the processor. i386 is
MicroPython's unix port under callgrind. Either has a heap of the same size, and the folder's
modules are loaded into it, as from a file system.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench import callgrind
from bench.rv32 import port
from host_tools import toolchain
from host_tools.device import romfs
from host_tools.errors import SluiceError

COUNTED = re.compile(rb"^instructions (\d+)\r?$", re.MULTILINE)
MACHINE = ["-machine", "virt", "-bios", "none", "-semihosting", "-icount", "shift=0"]
MACHINE += ["-display", "none", "-monitor", "none", "-serial", "stdio"]
RUN_S = 600  # a fuse
FILES, FROZEN = 0x82000000, 0x81000000  # where in the machine's memory these lie
ABSENT = ("usocket", "ussl")  # what umqtt.simple imports and this port has not got

# Typed in at MicroPython's raw prompt. Files that are read as streams are loaded into the heap.
PRELUDE = """
import gc, io, os, sys, time, uctypes, vfs

class Files:
    def __init__(self, rom):
        self.rom, self.stat, self.chdir, self.getcwd = rom, rom.stat, rom.chdir, rom.getcwd
    def mount(self, *words):
        pass
    def open(self, path, mode):
        file = self.rom.open(path, mode)
        return io.BytesIO(file.read()) if path.endswith(".mpy") else file

def mapped(address, size):
    return vfs.VfsRom(uctypes.bytearray_at(address, size))

vfs.mount({files}, "/files")
vfs.mount(mapped({frozen}), "/frozen")
os.chdir("/files")
sys.path[:] = ["", "/frozen"]
gc.collect()
start = time.ticks_cpu()
import {name}
print("\\ninstructions", time.ticks_diff(time.ticks_cpu(), start) * 4)
"""


@dataclass(frozen=True)
class Run:
    """What a script did: its instructions, and the last word that it said."""

    instructions: int
    said: str


def on_rv32(folder: Path, name: str, in_place: bool = False) -> Run:
    """Run a module of the folder. SluiceError with its last words, when it failed.

    in_place   modules run where they lie in flash, as those do that are frozen into an image
    """
    built = port.firmware()
    with tempfile.TemporaryDirectory(prefix="sluice-rv32-") as scratch:
        images = {
            FILES: romfs.pack(contents(folder)),
            FROZEN: romfs.pack(contents(built) | {f"{name}.py": b"" for name in ABSENT}),
        }
        command = [toolchain.qemu(), *MACHINE, "-kernel", built / "firmware.elf"]
        for address, image in images.items():
            file = Path(scratch, f"{address:x}.rom")
            file.write_bytes(image)
            command += ["-device", f"loader,file={file},addr={address},force-raw=on"]
        done = subprocess.run(
            command,
            input=typed(name, len(images[FILES]), len(images[FROZEN]), in_place),
            capture_output=True,
            timeout=RUN_S,
        )
    return parsed(name, done.stdout + done.stderr)


def typed(name: str, files: int, frozen: int, in_place: bool) -> bytes:
    """The keys that have the machine run a module, and end."""
    there = f"mapped({FILES}, {files})"
    script = PRELUDE.format(
        files=there if in_place else f"Files({there})", frozen=f"{FROZEN}, {frozen}", name=name
    )
    return b"\x01" + script.encode() + b"\x04\x02import machine; machine.reset()\r"


def parsed(name: str, output: bytes) -> Run:
    """What came over the machine's console."""
    counted = COUNTED.search(output)
    if not counted:
        ran = output.partition(b">OK")[2] or output
        words = ran.partition(b"\x04>")[0].decode(errors="replace").replace("\x04", " ")
        raise SluiceError(f"{name} failed on RV32: {' '.join(words.split())[-300:]}")
    said = output[: counted.start()].rpartition(b">OK")[2].split()
    return Run(int(counted[1]), said[-1].decode(errors="replace") if said else "")


def contents(folder: Path) -> dict[str, bytes]:
    """The device's files of a folder; what other measurements leave in it is not among them."""
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    return {
        name: file.read_bytes()
        for name, file in files.items()
        if not name.startswith(("valgrind", "callgrind")) and file.suffix != ".elf"
    }


def on_i386(folder: Path, name: str, counted: bool = True) -> Run:
    """The same by MicroPython's unix port. `counted`: else only what it said, which is quicker."""
    heap = ["-X", f"heapsize={port.HEAP}", "-m", name]
    if counted:
        return Run(callgrind.instructions("i386", "-m", folder, port.HEAP, name), "")
    done = callgrind.run([toolchain.micropython("i386"), *heap], folder)
    if done.returncode:
        raise SluiceError(f"{name} failed on i386: {(done.stdout + done.stderr)[-300:]}")
    return Run(0, done.stdout.split()[-1])
