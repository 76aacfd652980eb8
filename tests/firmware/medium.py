"""A LittleFS as the board's root, on a flash in RAM whose power can fail at any operation."""

import os
import sys

import vfs

BLOCK = 4096
FILES = {"keep.txt": b"as it was"}


HOST = "/host"  # where this computer's own files are meanwhile


class PowerCut(BaseException):
    """The power failed."""


class Chip:
    """Flash for a file system; `left` operations succeed, half of the next one, and no more."""

    def __init__(self, blocks=64):
        self.data = bytearray(blocks * BLOCK)  # in one piece, and no other of its size
        erased = b"\xff" * BLOCK
        for at in range(0, len(self.data), BLOCK):
            self.data[at : at + BLOCK] = erased
        self.left = None
        self.operations = self.erases = 0  # the former are erases and programs
        self.read = 0  # bytes

    def readblocks(self, n, buf, offset=0):
        at = n * BLOCK + offset
        buf[:] = self.data[at : at + len(buf)]
        self.read += len(buf)

    def writeblocks(self, n, buf, offset=0):
        at = n * BLOCK + offset
        size = self._allowed(len(buf))
        self.data[at : at + size] = buf[:size]
        self._check()

    def ioctl(self, op, arg):
        if op == 6:
            self.erases += 1
            size = self._allowed(BLOCK)
            self.data[arg * BLOCK : arg * BLOCK + size] = b"\xff" * size
            self._check()
        return {4: len(self.data) // BLOCK, 5: BLOCK}.get(op, 0)

    def _allowed(self, size):
        self.operations += 1
        if self.left is None:
            return size
        self.left -= 1
        return size if self.left >= 0 else size // 2 if self.left == -1 else 0

    def _check(self):
        if self.left is not None and self.left < 0:
            raise PowerCut


class Board:
    """The file system of a board, mounted as the root for as long as `with` lasts.

    mends    as a board's start does it, whenever it is mounted: LittleFS 2.10 and later mends what
             a power cut tore at the first call that writes
    over     what is mounted in the place of the file system, made of it
    """

    def __init__(self, blocks=64, files=FILES):
        self.mends = True
        self.over = lambda files: files
        self.chip = Chip(blocks)
        vfs.VfsLfs2.mkfs(self.chip)
        with self:
            for path, data in files.items():
                write("/" + path, data)

    def __enter__(self):
        vfs.umount("/")
        vfs.mount(vfs.VfsPosix("/"), HOST)
        files = vfs.VfsLfs2(self.chip, progsize=32, readsize=32, lookahead=32)
        vfs.mount(self.over(files), "/")
        _look_for_modules(lambda path: HOST + path if path[:1] == "/" else path)
        if self.mends:
            try:
                os.remove("/.mend")
            except OSError:
                pass
        return self

    def __exit__(self, *error):
        left, self.chip.left = self.chip.left, None
        vfs.umount("/")
        vfs.umount(HOST)
        vfs.mount(vfs.VfsPosix("/"), "/")
        _look_for_modules(lambda path: path[len(HOST) :] if path.startswith(HOST) else path)
        self.chip.left = left

    def cut_after(self, operations):
        """The power fails in the operation after so many; None: never."""
        self.chip.left = operations


def _look_for_modules(where):
    """Have modules found where the file system with them is now."""
    sys.path[:] = [where(path) for path in sys.path]
    for module in sys.modules.values():
        if hasattr(module, "__path__"):
            module.__path__ = where(module.__path__)


def write(path, data):
    """A file, with the folders to it."""
    at = path.find("/", 1)
    while at > 0:
        try:
            os.mkdir(path[:at])
        except OSError:
            pass
        at = path.find("/", at + 1)
    with open(path, "wb") as file:
        file.write(data)


def fill():
    """Leave no block of the file system free."""
    number = 0
    try:
        while True:
            write("/filler.%d" % number, bytes(3_000))
            number += 1
    except OSError:
        pass


def read(path):
    """A file's bytes."""
    with open(path, "rb") as file:
        return file.read()


OURS = ("/staged/journal.", "/proof.")  # what the agent keeps


def tree(folder="/"):
    """{path: content} of every file but what the agent keeps of jobs; of folders {path: None}."""
    found = {}
    for name, kind, *_ in os.ilistdir(folder):
        path = folder.rstrip("/") + "/" + name
        if path in (HOST, "/failures", "/boot.py") or path.startswith(OURS):
            continue
        if kind == 0x4000:
            found[path] = None
            found.update(tree(path))
        else:
            found[path] = read(path)
    found.pop("/staged", None)
    return found
