"""The part of ESP32's `machine` that can be had without pins: resets, watchdog, clock."""

import sim_chip as chip

_CAUSES = b"PWRON_RESET HARD_RESET WDT_RESET DEEPSLEEP_RESET SOFT_RESET"


def __getattr__(name):
    """The causes of a reset, from 1 on: constants that cost no names, as in C. And what few boards
    use, which is loaded only then."""
    if name in ("Timer", "RTC"):
        return getattr(__import__("sim_timers"), name)
    causes = _CAUSES.split()
    if name.encode() not in causes:
        raise AttributeError(name)
    return causes.index(name.encode()) + 1


def reset():
    """Through the boot loader, at once."""
    chip.leave(chip.HARD_RESET)


def soft_reset():
    """A fresh heap, the same slot; not through the boot loader."""
    chip.leave(chip.SOFT_RESET)


def reset_cause():
    """One of the causes above; a panic counts as HARD_RESET, as on the chip."""
    return chip.cause


def unique_id():
    """Six bytes, the same for a name at every boot."""
    import hashlib

    return hashlib.sha256(chip.words[3]).digest()[:6]


def freq(hz=160000000, /):
    """The clock does not change."""
    return 160000000


class WDT:
    """Resets the board when it is not fed in time; cannot be stopped."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("only WDT(0) exists")
        if timeout < 1:
            raise ValueError("timeout")
        self._timeout_ms = timeout
        chip.timer(timeout)

    def feed(self):
        """Start the wait again."""
        chip.timer(self._timeout_ms)
