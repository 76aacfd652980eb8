"""The board's time: ticks to wait by, seconds since 1970, and how they are set.

Time reaches the agent as an object of this class. Who may move the clock, and how far:

    the cloud          its answers carry its time, over TLS: the clock is set to it (`cloud_says`)
    our CA             a certificate that it signed is of the past: forwards (`vouched`)
    a time server      nobody signs what it says: forwards, to between the floor and twenty years
                       later; back to the floor only where the broker's certificate has expired
    nobody             the floor itself, where no server answers: a guess that TLS judges

The floor is a time that is past for certain: when this was written, or what the cloud or our CA
said last. No time server can raise it. So a forged answer cannot bring back a certificate that had
expired by then. Nor can it make the board refuse honest answers later.
"""

import asyncio
import time

from micropython import const

from sluice.loading import Scope, plug_in
from sluice.log import Log

# 2026-09-01. Each release moves it on, to a day before it: no clock that is right shows less.
_WRITTEN_S = const(1_788_220_800)
_SPAN_S = const(631_152_000)  # twenty years
_DAY_S = const(86_400)
_OFF_S = const(300)  # that the clock may be from the cloud's: an answer may take 15 s

_TO_2000_S = const(946_684_800)  # from 1970, the start of the ESP32 port's time

log = Log("clock")


class Clock:
    """The time of one board.

    board   set_time(unix_s) sets its clock
    path    file that keeps the floor over power cuts, or None
    source  the module `time`, or a double of it
    """

    def __init__(self, board, path=None, source=time):
        self._board = board
        self._path = path
        self._time = source
        self._epoch_s = _TO_2000_S if source.gmtime(0)[0] == 2000 else 0
        self.ticks_ms = source.ticks_ms
        self.ticks_diff = source.ticks_diff
        self.ticks_add = source.ticks_add
        with Scope():  # what is loaded when the agent begins stays
            load = plug_in("sluice.net.ntp", "load")
            self._floor_s = load(path, _WRITTEN_S, _WRITTEN_S + _SPAN_S)
        self.guessed = False  # the time is the floor, or little better: a server is to be asked

    async def sleep_ms(self, wait_ms):
        """Let the others run for so long."""
        await asyncio.sleep_ms(wait_ms)

    def now_s(self):
        """Seconds since 1970, whatever the port counts from."""
        return int(self._time.time()) + self._epoch_s

    def plausible(self):
        """Whether the clock has been set: it is past the floor, and not absurdly far."""
        return self.possible(self.now_s())

    def possible(self, unix_s):
        """Whether that could be the time: not before the floor, and not absurdly far."""
        return self._floor_s <= unix_s < _WRITTEN_S + _SPAN_S

    async def synchronise(self, servers, deadline_ms, back=False):
        """Ask the servers in turn until one gives a possible time; set the clock if it is behind.

        servers  "host" or "host:port"; 123 unless said
        back     set it where it is ahead, too
        raises   Retry("no time") after deadline_ms, or when every server has refused to answer
        """
        self._advance(await plug_in("sluice.net.ntp", "query")(self, servers, deadline_ms), back)

    def _advance(self, unix_s, back=False):
        ahead_s = self.now_s() - unix_s
        if ahead_s >= 0 and self.plausible() and not back and not self.guessed:
            log.i("kept", "ahead by seconds:", ahead_s)
            return
        self._set(unix_s)

    def _set(self, unix_s):
        self._board.set_time(unix_s)
        self.guessed = False
        log.i("set", unix_s)

    def guess(self, back=False):
        """Set a clock that shows no possible time to the floor; also one that is ahead of it,
        with `back`. TLS is to say whether that will do."""
        if back or not self.plausible():
            self._set(self._floor_s)
        self.guessed = True

    def vouched(self, unix_s):
        """Our CA says that it is so late already; whether the clock was set to that."""
        if not self.possible(unix_s) or self.now_s() >= unix_s:
            return False
        self._set(unix_s)
        self.guessed = True  # the CA's day may be months ago
        self._prove(unix_s)
        return True

    def cloud_says(self, unix_s):
        """The cloud says that it is so late, in an answer to a request of ours, over TLS."""
        if type(unix_s) is not int or not _WRITTEN_S <= unix_s < _WRITTEN_S + _SPAN_S:
            return
        self.guessed = False
        if not -_OFF_S <= self.now_s() - unix_s <= _OFF_S:
            self._set(unix_s)
        if not -_OFF_S <= unix_s - self._floor_s < _DAY_S:
            self._prove(unix_s)

    def _prove(self, unix_s):
        """Have the floor there, also over power cuts; what `cloud_says` is written once a day."""
        self._floor_s = unix_s
        if self._path:
            with Scope():  # the cloud may say it in mid-download
                plug_in("sluice.net.ntp", "save")(self._path, unix_s)
