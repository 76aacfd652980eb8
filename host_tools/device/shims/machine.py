"""The part of ESP32's `machine` that can be had without pins: resets, watchdog, clock."""

import time

import sim_chip as chip

_CAUSES = b"PWRON_RESET HARD_RESET WDT_RESET DEEPSLEEP_RESET SOFT_RESET"


def __getattr__(name):
    """The causes of a reset, from 1 on: constants that cost no names, as in C."""
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


class Timer:
    """Ticks while the REPL waits for a key. On a chip it does while code runs, too."""

    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, id, /, **words):
        self._id = id
        if words:
            self.init(**words)

    def init(self, mode=1, period=-1, callback=None):
        """Call `callback(timer)` every `period` ms, until the next reset."""
        if mode != Timer.PERIODIC or period < 1:
            raise ValueError("only a periodic timer is simulated")
        due = time.ticks_add(time.ticks_ms(), period)
        chip.timers[self._id] = [period, due, lambda: callback(self)]

    def deinit(self):
        """No more calls."""
        chip.timers.pop(self._id, None)


class RTC:
    """The clock: the host's until it is set; what is set here is kept until the reset."""

    def datetime(self, now=None, /):
        """(year, month, day, weekday, hours, minutes, seconds, subseconds), or set it."""
        if now is None:
            date = time.gmtime()
            return date[:3] + (date[6],) + date[3:6] + (0,)
        wanted = time.mktime(tuple(now[:3]) + tuple(now[4:7]) + (0, 0))
        ahead_s = int(wanted) - int(time.time())
        if ahead_s not in (-1, 0, 1):  # less is what the two readings are apart
            chip.shift(ahead_s)
        return None
