"""The chip under this process: its flash and meter, mapped from their files; how it ends.

sys.argv is what the supervisor passes: the slot that runs ("ota_0"), the reset cause (a number of
`machine`), the supervisor's process id, the device's name, the chip id, and the mode of sim_run.
The working directory is the device's folder.
"""

import sys

from sim_norflash import WATCHDOG_MS, NORFlash
from sim_start import libc, mapped

# exit codes, known to the supervisor; a soft reset to raw mode runs boot.py and not main.py
SOFT_RESET_RAW, SOFT_RESET, HARD_RESET, PANIC, POWER_CUT = 16, 17, 32, 33, 77
_DIE_WITH_PARENT, _KILL = 1, 9  # prctl: PR_SET_PDEATHSIG; SIGKILL

running = sys.argv[1]
cause = int(sys.argv[2])
name = sys.argv[4]
ID = int(sys.argv[5])

leave = libc.func("v", "_exit", "i")  # at once: no finally, no flush, as a reset on a chip


def control(file, request):
    """ioctl without an argument."""
    libc.func("i", "ioctl", "ili")(file, request, 0)


def _bind(supervisor):
    """Die with the supervisor, however it dies."""
    libc.func("i", "prctl", "ili")(_DIE_WITH_PARENT, _KILL, 0)
    if libc.func("i", "getppid", "")() != supervisor:
        leave(0)


_bind(int(sys.argv[3]))
meter = mapped("meter.bin")
flash = NORFlash(mapped("flash.bin"), meter, lambda: leave(POWER_CUT))


def panic(reason):
    """What ESP-IDF does on abort(): a word on the console and a reset."""
    print("abort() was called: " + reason)
    leave(PANIC)


def timer(timeout_ms):
    """A timer that ends this process after that time, unless set again; 0 stops it."""
    import struct

    span = struct.pack("llll", 0, 0, timeout_ms // 1000, timeout_ms % 1000 * 1000)
    libc.func("i", "setitimer", "ipp")(0, span, None)
    struct.pack_into("<I", meter, WATCHDOG_MS, timeout_ms)


def armed():
    """The watchdog's timeout in ms, or 0; it outlives a soft reset, as the chip's does."""
    import struct

    return struct.unpack_from("<I", meter, WATCHDOG_MS)[0]
