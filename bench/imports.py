"""What an import through a tree costs beside one from a file, both on LittleFS.

Ten modules of the agent are imported: from ten files of a file system in RAM, or from a tree in
it. Instructions are callgrind's. What proves the tree and mounts it is a number of its own.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import callgrind
from bench.numbers import Effort, Number, Table
from sluice import toolchain
from sluice.bundle import make, tree
from sluice.compile import FIRMWARE
from sluice.errors import SluiceError

BOARD = "SIM_ESP32"
HEAP = 4_194_304
COUNT = 10
SCRIPT = """
import gc, os, sys, vfs

class Flash:
    def __init__(self, size):
        self.data = bytearray(size)
    def readblocks(self, block, buf, offset=0):
        at = block * 4096 + offset
        buf[:] = self.data[at:at + len(buf)]
    def writeblocks(self, block, buf, offset=0):
        at = block * 4096 + offset
        self.data[at:at + len(buf)] = buf
    def ioctl(self, op, arg):
        return {{4: len(self.data) // 4096, 5: 4096, 6: 0}}.get(op)

flash = Flash(1 << 20)
vfs.VfsLfs2.mkfs(flash)
held = {{}}
for name in {names}:
    with open(name, "rb") as file:
        held[name] = file.read()
import trees
names = {modules}
fs = vfs.VfsLfs2(flash)
vfs.umount("/")
vfs.mount(fs, "/")
os.mkdir("/plain")
for name in held:
    place = "/" + name
    for at in range(1, len(place)):
        if place[at] == "/":
            try:
                os.mkdir(place[:at])
            except OSError:
                pass
    with open(place, "wb") as file:
        file.write(held[name])
held = None
sys.path[:] = ["/plain", ".frozen"]
if {mounted}:
    buffer = bytearray(4100)
    vfs.mount(trees.Tree("/tree", "{digest}", buffer), "/.agent")
    sys.path[:] = ["/.agent", ".frozen"]
gc.collect()
before = gc.mem_alloc()
if {imported}:
    for name in names:
        __import__(name)
gc.collect()
print("heap", gc.mem_alloc() - before)
"""


def prepared(folder: Path) -> dict[str, object]:
    """The modules as files and as a tree; what the script is made of."""
    members = make.agent_members(BOARD)
    rooms = [
        path
        for path in sorted(members)
        if path.startswith(("sluice/trust/", "sluice/transfer/")) and path.endswith(".mpy")
    ]
    modules = rooms[:COUNT]
    errors = [f"sluice/{name}.mpy" for name in ("errors", "loading", "log", "job", "fields")]
    held = [*rooms, *errors]  # some of the ten import others of their rooms
    for path in held:
        file = folder / "plain" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(members[path])
    content = tree.pack({name: members[name] for name in ("sluice.json", *sorted(held))})
    (folder / "tree").write_bytes(content)
    (folder / "trees.py").write_text((FIRMWARE / "trees.py").read_text())
    return {
        "names": [f"plain/{path}" for path in held] + ["tree"],
        "modules": [path.removesuffix(".mpy").replace("/", ".") for path in modules],
        "digest": hashlib.sha256(content).hexdigest(),
    }


def counted(folder: Path, words: dict, mounted: bool, imported: bool) -> tuple[int, int]:
    """(instructions, bytes of heap) of a run."""
    script = folder / f"run{mounted:d}{imported:d}.py"
    script.write_text(SCRIPT.format(**words, mounted=mounted, imported=imported))
    done = callgrind.run(
        [toolchain.micropython("i386"), "-X", f"heapsize={HEAP}", script.name], folder
    )
    if done.returncode:
        raise SluiceError(f"the modules cannot be imported: {done.stderr[-300:]}")
    held = int(done.stdout.split()[-1])
    return callgrind.instructions("i386", script.name, folder, HEAP), held


def measure(effort: Effort) -> Iterator[Number]:
    """Files, and a tree."""
    if not callgrind.available():
        yield Number("imports", "files", "instructions", None, "", True, callgrind.MISSING)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        words = prepared(folder)
        empty = {mounted: counted(folder, words, mounted, False) for mounted in (False, True)}
        for mounted, name in ((False, "from files"), (True, "from a tree")):
            full = counted(folder, words, mounted, True)
            for at, column, unit in ((0, "instructions", "instructions"), (1, "heap", "bytes")):
                each = (full[at] - empty[mounted][at]) // COUNT
                yield Number("imports", name, f"{column} a module", each, unit)
        proof = empty[True][0] - empty[False][0]
        yield Number("imports", "proving and mounting that tree", "instructions", proof, "")


TABLE = Table(
    "imports",
    "An import through a tree",
    "what",
    f"Of {COUNT} modules of the agent on LittleFS in RAM: what one takes, on average.",
    measure,
    quick=True,
)
