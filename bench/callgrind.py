"""Counts the instructions of a MicroPython script with callgrind.

Valgrind must run the program itself, not the script that starts it through its loader; hence
`for_valgrind`.
"""

import re
import shutil
import subprocess
from pathlib import Path

from sluice import debian, toolchain
from sluice.errors import SluiceError

MISSING = "valgrind is not installed: no instructions are counted (Debian: apt install valgrind)"


def available() -> bool:
    """Whether this machine has valgrind."""
    return shutil.which("valgrind") is not None


def run(command: list, folder: Path, timeout_s: float = 300) -> subprocess.CompletedProcess:
    """Run in a folder that is also where modules are looked for.

    Neither the folder's name nor who runs this reaches the program: both take room in the heap and
    on the stack, and a collection more or less makes a twentieth of what is counted.
    """
    program = shutil.which(command[0]) or command[0]
    return subprocess.run(
        [program, *(_inside(folder, part) for part in command[1:])],
        cwd=folder,
        env={"MICROPYPATH": ".:.frozen"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def _inside(folder: Path, part: Path | str) -> Path | str:
    """A path of the folder as it is called from there."""
    is_inside = isinstance(part, Path) and part.is_relative_to(folder)
    return part.relative_to(folder) if is_inside else part


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


def instructions(arch: str, script: str, folder: Path, heap: int) -> int:
    """What callgrind counts for the whole run of a script of `folder`, in `heap` bytes.

    raises  SluiceError with the last words of the run, when it failed
    """
    done = _counted(arch, script, folder, heap, folder / f"{script}.out")
    counted = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not counted:
        raise SluiceError(f"callgrind failed on {arch}: {(done.stdout + done.stderr)[-300:]}")
    return int(counted[1])


def stretches(arch: str, script: str, folder: Path, heap: int) -> list[int]:
    """Instructions of each turn of asyncio's loop, once the script has called getenv.

    The loop looks what is ready by `poll`, at every turn: what lies between two is one stretch.
    """
    out = folder / f"{script}.parts"
    done = _counted(arch, script, folder, heap, out, *EACH_TURN, "--dump-before=getenv")
    if done.returncode:
        raise SluiceError(f"callgrind failed on {arch}: {(done.stdout + done.stderr)[-300:]}")
    found = parts(out)
    names = [trigger for trigger, _ in found]
    begin = names.index("getenv", names.index("poll"))  # others are MicroPython's own
    return [count for trigger, count in found[begin + 1 :] if trigger == "poll"]


EACH_TURN = ("--combine-dumps=yes", "--dump-before=poll")


def parts(out: Path) -> list[tuple[str, int]]:
    """(function that it ended before, instructions) of each part of a file of callgrind's."""
    text = out.read_text()
    out.unlink()
    ends = re.findall(r"^desc: Trigger: (?:--dump-before=)?(.*)$", text, re.MULTILINE)
    counts = re.findall(r"^(?:summary|totals): (\d+)$", text, re.MULTILINE)[::2]
    return [(end, int(count)) for end, count in zip(ends, counts, strict=True)]


def _counted(
    arch: str, script: str, folder: Path, heap: int, out: Path, *options: str
) -> subprocess.CompletedProcess:
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *options]
    words = (folder / script).read_text(encoding="utf-8")  # of a file it would keep the whole path
    return run([*tool, *for_valgrind(arch, folder), "-X", f"heapsize={heap}", "-c", words], folder)
