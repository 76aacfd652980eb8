"""The first instruction: finds this model's own modules and goes on with `sim_chip`.

They lie in shims.rom, mapped outside the heap and run in place, where MicroPython can do that
(1.25); in 1.24 they are files and take heap.
"""

import gc
import os
import sys

import ffi
import uctypes
import vfs

_READ_WRITE, _SHARED = 3, 1  # mmap: PROT_READ | PROT_WRITE, MAP_SHARED

libc = ffi.open(None)


def mapped(file):
    """A file of the working directory as memory; what is written there is in the file."""
    size = os.stat(file)[6]
    opened = libc.func("i", "open", "si")(file, 2)
    address = libc.func("p", "mmap", "Pliiil")(0, size, _READ_WRITE, _SHARED, opened, 0)
    if opened < 0 or address == -1:
        raise OSError("cannot map %s" % file)
    return memoryview(uctypes.bytearray_at(address, size))


def divide(behind):
    """Have nothing lie across a place of the heap, `behind` bytes before its end.

    The heap of an ESP32 is two areas once it has grown, and the one of this port is one. A dead
    block stands between them; the heap ends behind the largest piece that is to be had.

    returns   the block, which whoever calls keeps
    """
    gc.collect()
    size, front = gc.mem_free(), None
    while front is None:
        try:
            front = bytearray(size)
        except MemoryError:
            size -= 32
    front = None
    gc.collect()
    front = bytearray(size - behind)
    return bytearray(1)


if __name__ == "__main__":
    behind = int(sys.argv[1].split()[-1])
    dead = divide(behind) if behind else None
    if hasattr(vfs, "VfsRom"):
        vfs.mount(vfs.VfsRom(mapped("shims.rom")), "/shims")
    else:
        vfs.mount(vfs.VfsPosix(os.getcwd() + "/shims"), "/shims", readonly=True)
    sys.path[:] = ["/shims"]
    chip = __import__("sim_chip")
    chip.dead = dead  # this module is forgotten, and the chip is not
    del dead
    gc.collect()
    chip.start()
