"""The board comes up: mounts the file systems, then runs the device's own code.

/boot.py and /main.py of the board's file system, if they are there, else the image's `main`.
Afterwards a board with a terminal is at its REPL; one whose watchdog is armed sits still; any
other ends: 0, or 1 after a traceback. The mode, last of sys.argv:

    pipe   no terminal
    main   a terminal; the REPL after main
    raw    a terminal, after a soft reset in raw mode: boot.py, then the raw REPL
"""

import gc
import os
import sys
import time

import esp32
import sim_chip as chip
import vfs
from sim_start import mapped

mode = sys.argv[6]


def mount():
    """LittleFS on the flash at /, the image's modules at /rom; the model's are at /shims."""
    frozen = "rom.bin" in os.listdir()
    rom = vfs.VfsRom(mapped("rom.bin")) if frozen else vfs.VfsPosix(os.getcwd() + "/rom")
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(esp32.Partition.find(1, label="vfs")[0]), "/")
    vfs.mount(rom, "/rom", readonly=True)
    os.chdir("/")
    sys.path[:] = ["", "/shims", ".frozen", "/rom", "/lib"]


def run():
    """The exit code of boot.py and main."""
    spaces = {"__name__": "__main__"}
    try:
        names = os.listdir("/")
        if "boot.py" in names:
            execfile("/boot.py", spaces)  # noqa: F821
        if mode == "raw":
            return 0
        gc.collect()
        if "main.py" in names:
            execfile("/main.py", spaces)  # noqa: F821
        else:
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
if mode == "pipe":
    code = run()
    while chip.armed() and code != chip.SOFT_RESET:
        time.sleep(60)
else:
    import sim_repl

    sim_repl.take_terminal()
    code = run()
    if code != chip.SOFT_RESET:
        code = sim_repl.serve(mode == "raw")
chip.leave(code)
