"""The chip under this process: its flash and meter, mapped from their files; its life.

sys.argv[1] is what the supervisor passes, in words: the slot that runs ("ota_0"), the reset cause
(a number of `machine`), the supervisor's process id, the device's name, the chip id, a mode, the
module that is the chip's own ("esp32"), how many seconds its clock is ahead, and where the heap is
divided, in bytes before its end, or 0; see sim_start. The modes:

    pipe   no terminal
    main   a terminal; the REPL after main
    raw    a terminal, after a soft reset in raw mode: boot.py, then the raw REPL

The working directory is the device's folder. linker.py joins this file to norflash.py.
"""

import gc
import os
import struct
import sys
import time

import vfs
from sim_norflash import WATCHDOG_MS, NORFlash
from sim_start import libc, mapped

# exit codes, known to the supervisor; a soft reset to raw mode runs boot.py and not main.py
SOFT_RESET_RAW, SOFT_RESET, HARD_RESET, PANIC, POWER_CUT = 16, 17, 32, 33, 77
_DIE_WITH_PARENT, _KILL = 1, 9  # prctl: PR_SET_PDEATHSIG; SIGKILL

timers = {}  # id → [period in ms, when it is due, what is called]; see machine.Timer

words = sys.argv[1].split()
running = words[0]
cause = int(words[1])

_exit = libc.func("v", "_exit", "i")


def leave(code):
    """End this life at once: no finally, no flush, as a reset on a chip. A soft reset does not
    feed the watchdog, so what it has left is noted for the next life."""
    if code in (SOFT_RESET, SOFT_RESET_RAW) and armed():
        span = bytearray(struct.calcsize("llll"))
        libc.func("i", "getitimer", "ip")(0, span)
        _, _, seconds, micros = struct.unpack("llll", span)
        left_ms = seconds * 1000 + micros // 1000
        struct.pack_into("<I", meter, WATCHDOG_MS, left_ms or 1)
    _exit(code)


def control(name, file, request):
    """A call of the C library with two numbers: `ioctl` without an argument, `prctl`."""
    libc.func("i", name, "iii")(file, request, 0)


control("prctl", _DIE_WITH_PARENT, _KILL)  # with the supervisor, however it dies
if libc.func("i", "getppid", "")() != int(words[2]):
    leave(0)
meter = mapped("meter.bin")
flash = NORFlash(mapped("flash.bin"), meter, lambda: leave(POWER_CUT))


def panic(reason):
    """What ESP-IDF does on abort(): a word on the console and a reset."""
    print("abort() was called: " + reason)
    leave(PANIC)


def timer(timeout_ms):
    """A timer that ends this process after that time, unless set again; 0 stops it."""
    struct.pack_into("<I", meter, WATCHDOG_MS, timeout_ms)
    span = struct.pack("llll", 0, 0, timeout_ms // 1000, timeout_ms % 1000 * 1000)
    libc.func("i", "setitimer", "ipp")(0, span, None)


def armed():
    """The watchdog's timeout in ms, or 0; it outlives a soft reset, as the chip's does."""
    return struct.unpack_from("<I", meter, WATCHDOG_MS)[0]


_ahead = [0]  # seconds of the board's clock before the host's


def shift(more_s):
    """Set the clock so many seconds ahead of what it shows."""
    _ahead[0] += more_s
    if _ahead[0]:
        __import__("sim_clock").shift(_ahead[0])
    elif "sim_clock" in sys.modules:
        sys.modules["sim_clock"].shift(0)


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
        code = _run()
        while armed() and code != SOFT_RESET:
            time.sleep(60)
    else:
        __import__("sim_tty").take_terminal()
        code = _run()
        if code != SOFT_RESET:
            import sim_repl

            code = sim_repl.serve(words[5] == "raw")
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


def _run():
    """The exit code of `boot`, then of `main`: the image's frozen one, or else the file's.

    Files run in the globals of `__main__`, which are the REPL's, as on a chip.
    """
    code = 0
    for name in ("boot",) if words[5] == "raw" else ("boot", "main"):
        gc.collect()
        code = 0
        try:
            _execute(name)
        except SystemExit:
            return SOFT_RESET
        except BaseException as error:  # as the port does: shown on the console, and gone on
            sys.print_exception(error)
            code = 1
    return code


def _execute(name):
    """As pyexec_file_if_exists: what is frozen comes first. The supervisor gave it a name of its
    own, as `import` would look for it in the root first."""
    if "frozen_%s.mpy" % name in os.listdir("/rom"):
        __import__("frozen_" + name)
    elif name + ".py" in os.listdir("/"):
        execfile("/%s.py" % name, __import__("__main__").__dict__)  # noqa: F821
