"""One life of the board: the file systems, the device's own code, and the REPL after it.

sim_start begins it. Its modes are those of sim_chip. linker.py joins this file to that one: a
module of its own would take heap.
"""

import gc
import os
import sys
import time

import vfs
from sim_chip import SOFT_RESET, armed, leave, shift, timer, words
from sim_start import mapped


def start():
    """The board comes up: mounts the file systems, then runs the device's own code.

    Afterwards a board with a terminal is at its REPL; one whose watchdog is armed sits still; any
    other ends: 0, or 1 after a traceback.
    """
    sys.modules.pop("__main__")  # sim_start took its place
    _mount()
    shift(int(words[7]))
    if armed():
        timer(armed())
    if words[5] == "pipe":
        code = _run(None)
        while armed() and code != SOFT_RESET:
            time.sleep(60)
    else:
        tty = __import__("sim_tty")
        tty.attach()
        code = _run(tty)
        if code != SOFT_RESET:
            code = __import__("sim_repl").serve(words[5] == "raw")
    leave(code)


def _mount():
    """LittleFS on the flash at /, the image's modules at /rom; the model's are at /shims."""
    native = __import__(words[6])
    frozen = "rom.bin" in os.listdir()
    rom = vfs.VfsRom(mapped("rom.bin")) if frozen else vfs.VfsPosix(os.getcwd() + "/rom")
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(native._disk()), "/")
    vfs.mount(rom, "/rom", readonly=True)
    os.chdir("/")
    sys.path[:] = ["", "/shims", ".frozen", "/rom", "/lib"]


def _run(tty):
    """The exit code of `boot`, then of `main`: the image's frozen one, or else the file's.

    Files run in the globals of `__main__`, which are the REPL's, as on a chip. `tty` is the module
    of the terminal, if there is one; Ctrl-C interrupts within the `try` alone.
    """
    for name in ("boot",) if words[5] == "raw" else ("boot", "main"):
        ended = None
        gc.collect()
        try:
            if tty:
                sys.modules["micropython"].kbd_intr(3)
            _execute(name)
        except BaseException as error:
            ended = error
        if tty:
            tty.deaf()
        if isinstance(ended, SystemExit):
            return SOFT_RESET
        code = 0 if ended is None else 1
        if code:  # as the port does: shown on the console, and gone on
            sys.print_exception(ended)
    return code


def _execute(name):
    """As pyexec_file_if_exists: what is frozen comes first. The supervisor gave it a name of its
    own, as `import` would look for it in the root first."""
    if "frozen_%s.mpy" % name in os.listdir("/rom"):
        __import__("frozen_" + name)
    elif name + ".py" in os.listdir("/"):
        execfile("/%s.py" % name, __import__("__main__").__dict__)  # noqa: F821
