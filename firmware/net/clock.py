"""The board's time: ticks to wait by, seconds since 1970, and how they are set.

Time reaches the agent as an object of this class. The clock is moved forwards only: an answer
behind a plausible clock changes nothing. But where the broker's certificate seems to have expired,
the clock may be what is wrong, and goes back, though never behind the floor. What SNTP says is not
authenticated; it must lie between the floor (when this was written, or the time last known good)
and twenty years later, so that a forged answer can neither revive a certificate that had expired
by then nor move the board out of all of them.
Call `save_floor` once a TLS handshake has shown the time to be within a certificate's dates.
"""

import asyncio
import time

from micropython import const

from ota.loading import let_go, plug_in
from ota.log import Log

_WRITTEN_S = const(1_735_689_600)  # 2025-01-01: no clock that is right shows an earlier time
_SPAN_S = const(631_152_000)  # twenty years
_DAY_S = const(86_400)

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
        self._floor_s = plug_in("net.floor", "load")(path, _WRITTEN_S, _WRITTEN_S + _SPAN_S)
        let_go("net.floor")

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
        self._advance(await plug_in("net.ntp", "query")(self, servers, deadline_ms), back)
        let_go("net.ntp")

    def _advance(self, unix_s, back=False):
        ahead_s = self.now_s() - unix_s
        if ahead_s >= 0 and self.plausible() and not back:
            log.i("kept", "ahead by seconds:", ahead_s)
            return
        self._board.set_time(unix_s)
        log.i("set", unix_s)

    def save_floor(self):
        """Keep the time, which is known to be good, as the floor; writes at most once a day."""
        now_s = self.now_s()
        if self._path and self.plausible() and now_s >= self._floor_s + _DAY_S:
            if plug_in("net.floor", "save")(self._path, now_s):
                self._floor_s = now_s
            let_go("net.floor")
