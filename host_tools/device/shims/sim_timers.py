"""What `machine` has for the time: Timer and RTC."""

import time

import sim_chip as chip


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
