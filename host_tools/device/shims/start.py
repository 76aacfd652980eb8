"""What the boot loader starts: mounts the file systems, then runs the device's own code.

/boot.py and /main.py of the board's file system, if they are there, else the image's `main`.
Afterwards the board sits still if its watchdog is armed, and otherwise ends: 0, or 1 after a
traceback.
"""

import gc
import os
import sys
import time

import chip
import esp32
import vfs


def mount():
    """LittleFS on the flash at /, the image's modules at /rom, this model's at /shims."""
    here = os.getcwd()
    model, rom = vfs.VfsPosix(here + "/shims"), vfs.VfsPosix(here + "/rom")
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(esp32.Partition.find(1, label="vfs")[0]), "/")
    vfs.mount(model, "/shims", readonly=True)
    vfs.mount(rom, "/rom", readonly=True)
    os.chdir("/")
    sys.path[:] = ["", "/shims", ".frozen", "/rom", "/lib"]


def run():
    """The exit code of boot.py and main."""
    try:
        names = os.listdir("/")
        if "boot.py" in names:
            execfile("/boot.py", {"__name__": "__main__"})  # noqa: F821
        if "main.py" in names:
            execfile("/main.py", {"__name__": "__main__"})  # noqa: F821
        else:
            gc.collect()
            __import__("main")
    except SystemExit:
        return chip.SOFT_RESET
    except BaseException as error:  # as the port does: shown on the console, never swallowed
        sys.print_exception(error)
        return 1
    return 0


mount()
if chip.armed():
    chip.timer(chip.armed())
code = run()
while chip.armed() and code != chip.SOFT_RESET:
    time.sleep(60)
chip.leave(code)
