"""A clock of the board's own, where it is not the host's: for MicroPython and for mbedTLS alike.

Both ask the C library. Here its `time` and `gettimeofday` are led to functions of ours, in this
process only: a jump is written over the first bytes of each. So `time.time()` follows what
`machine.RTC` was set to, and certificates are judged by it. Loaded only by a board whose clock
differs from the host's, so its names may cost something, and are public.
"""

import struct

import ffi
import uctypes
from sim_start import libc

ALL, PAGE = 7, 4096  # mprotect: PROT_READ | PROT_WRITE | PROT_EXEC
WIDE = struct.calcsize("P") == 8
MASK = (1 << struct.calcsize("P") * 8) - 1
OWN = "qq" if WIDE else "ii"  # a time as the C library has it
# i386: calls our function with its caller's argument, and makes 64 bits of the answer.
LONG = (b"\xff\x74\x24\x04\xb8", b"\xff\xd0\x83\xc4\x04\x99\xc3")

state = [0]  # the offset in seconds, then what must not be collected
now = bytearray(16)
ask = libc.func("i", "clock_gettime", "ip")  # which is left alone


def shift(ahead_s):
    """Have the clock show so many seconds more than the host's."""
    state[0] = ahead_s
    if len(state) > 1:
        return
    lead("gettimeofday", ffi.callback("i", moment, "pp"))
    lead("__gettimeofday64", ffi.callback("i", moment64, "pp"))
    lead("time", ffi.callback("l", seconds, "p"))
    lead("__time64", ffi.callback("l", seconds, "p"), LONG)


def seconds(place):
    """The C library's `time`."""
    ask(0, now)
    return struct.unpack_from(OWN, now)[0] + state[0]


def moment(place, zone, form=OWN):
    """The C library's `gettimeofday`."""
    second = seconds(0)
    found = uctypes.bytearray_at(place, struct.calcsize(form))
    struct.pack_into(form, found, 0, second, struct.unpack_from(OWN, now)[1] // 1_000)
    return 0


def moment64(place, zone):
    """The same where a time has 64 bits on i386."""
    return moment(place, zone, "qq")


def lead(name, function, code=None):
    """Lead a function of the C library to ours, where there is one of that name."""
    try:
        address = libc.addr(name) & MASK
    except OSError:
        return
    state.append(function)
    target = (function.cfun() & MASK).to_bytes(8 if WIDE else 4, "little")
    if WIDE:
        jump = b"\x48\xb8" + target + b"\xff\xe0"  # mov rax, target; jmp rax
    else:
        jump = target.join(code) if code else b"\xb8" + target + b"\xff\xe0"
    libc.func("i", "mprotect", "Pii")(address // PAGE * PAGE, 2 * PAGE, ALL)
    uctypes.bytearray_at(address, len(jump))[:] = jump
