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

from bench import callgrind, rv32_port
from sluice import toolchain
from sluice.compile import compile_module
from sluice.device import romfs
from sluice.errors import SluiceError

MACHINE = ["-machine", "virt", "-bios", "none", "-semihosting", "-icount", "shift=0"]
MACHINE += ["-display", "none", "-monitor", "none", "-serial", "stdio"]
RUN_S = 600  # a fuse
FILES, FROZEN = 0x82000000, 0x81000000  # where in the machine's memory these lie
ABSENT = {  # what umqtt.simple and bench/device want, and this port has not got
    "usocket": "",
    "ussl": "",
    "os": "from uos import *\ndef getenv(name):\n    pass\n",
}

# Typed in at MicroPython's raw prompt: the rest lies in flash, and takes little of the heap.
KEYS = """
import sys, uctypes, vfs
vfs.mount(vfs.VfsRom(uctypes.bytearray_at({frozen}, {size})), "/frozen")
sys.path[:] = ["", "/frozen"]
import {name}
"""
START, MARK = "start_here", "instructions"
COUNTED = re.compile(rf"^{MARK} (\d+)\r?$".encode(), re.MULTILINE)
# Files that are read as streams are loaded into the heap.
PRELUDE = """
import gc, io, os, time, uctypes, vfs

class Files:
    def __init__(self, rom):
        self.rom, self.stat, self.chdir, self.getcwd = rom, rom.stat, rom.chdir, rom.getcwd
    def mount(self, *words):
        pass
    def open(self, path, mode):
        file = self.rom.open(path, mode)
        return io.BytesIO(file.read()) if path.endswith(".mpy") else file

rom = vfs.VfsRom(uctypes.bytearray_at({files}, {size}))
vfs.mount(rom if {in_place} else Files(rom), "/files")
os.chdir("/files")
gc.collect()
start = time.ticks_cpu()
__import__("{name}")
print("\\n{mark}", time.ticks_diff(time.ticks_cpu(), start) * 4)
"""


@dataclass(frozen=True)
class Run:
    """What a script did: its instructions, and the last word that it said."""

    instructions: int
    said: str


def on_rv32(folder: Path, script: str, in_place: bool = False) -> Run:
    """Run a script of the folder. SluiceError with its last words, when it failed.

    in_place   modules run where they lie in flash, as those do that are frozen into an image
    """
    built = rv32_port.firmware()
    with tempfile.TemporaryDirectory(prefix="sluice-rv32-") as scratch:
        files = romfs.pack(contents(folder))
        words = {"files": FILES, "size": len(files), "name": Path(script).stem}
        prelude = PRELUDE.format(mark=MARK, in_place=in_place, **words)
        own = {}
        for name, text in {START: prelude, **ABSENT}.items():
            source = Path(scratch, f"{name}.py")
            source.write_text(text)
            compile_module(source, source.with_suffix(".mpy"), source.name)
            own[f"{name}.mpy"] = source.with_suffix(".mpy").read_bytes()
        frozen = romfs.pack(contents(built) | own)
        command = [toolchain.qemu(), *MACHINE, "-kernel", built / "firmware.elf"]
        for address, image in ((FILES, files), (FROZEN, frozen)):
            file = Path(scratch, f"{address:x}.rom")
            file.write_bytes(image)
            command += ["-device", f"loader,file={file},addr={address},force-raw=on"]
        keys = KEYS.format(frozen=FROZEN, size=len(frozen), name=START)
        typed = b"\x01" + keys.encode() + b"\x04\x02import machine; machine.reset()\r"
        try:
            done = subprocess.run(command, input=typed, capture_output=True, timeout=RUN_S)
        except subprocess.TimeoutExpired:
            raise SluiceError(f"{script} did not end on RV32 within {RUN_S} s") from None
    return parsed(script, done.stdout + done.stderr)


def parsed(script: str, output: bytes) -> Run:
    """What came over the machine's console."""
    counted = COUNTED.search(output)
    if not counted:
        ran = output.partition(b">OK")[2] or output
        words = ran.partition(b"\x04>")[0].decode(errors="replace").replace("\x04", " ")
        raise SluiceError(f"{script} failed on RV32: {' '.join(words.split())[-300:]}")
    said = output[: counted.start()].rpartition(b">OK")[2].split()
    return Run(int(counted[1]), said[-1].decode(errors="replace") if said else "")


def contents(folder: Path) -> dict[str, bytes]:
    """The device's files of a folder; what other measurements leave in it is not among them."""
    files = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    return {
        name: file.read_bytes()
        for name, file in files.items()
        if not name.startswith("valgrind") and file.suffix not in (".out", ".elf")
    }


def on_i386(folder: Path, script: str, counted: bool = True) -> Run:
    """The same by MicroPython's unix port. `counted`: else only what it said, which is quicker."""
    if counted:
        return Run(callgrind.instructions("i386", script, folder, rv32_port.HEAP), "")
    command = [toolchain.micropython("i386"), "-X", f"heapsize={rv32_port.HEAP}", script]
    done = callgrind.run(command, folder)
    if done.returncode:
        raise SluiceError(f"{script} failed on i386: {(done.stdout + done.stderr)[-300:]}")
    return Run(0, (done.stdout.split() or [""])[-1])
