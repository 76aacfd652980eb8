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

import struct
import sys

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


libc.func("i", "prctl", "ii")(_DIE_WITH_PARENT, _KILL)  # with the supervisor, however it dies
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
