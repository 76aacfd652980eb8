"""From nothing to a linked board: Wi-Fi, then the clock, then the broker; again until it holds.

Waits between attempts grow exponentially from 1 s to 5 min, each with full jitter, so that a
thousand boards that lost their broker together do not come back together.
"""

from random import getrandbits

from micropython import const

from ota.errors import Retry
from ota.log import Log
from ota.plugins import let_go

_FIRST_MS = const(1_000)
_LONGEST_MS = const(300_000)
_SMOOTH_MS = const(300_000)  # a link that held this long starts the waits anew

log = Log("uplink")


class Uplink:
    """Brings the link up.

    wifi    `await join(deadline_ms)`, or None on a board that needs none
    clock   net.clock.Clock
    link    net.mqtt.Link
    ntp     servers to ask for the time
    """

    def __init__(self, wifi, clock, link, ntp):
        self._wifi = wifi
        self._clock = clock
        self._link = link
        self._ntp = ntp
        self._failures = 0
        self._late = False  # a certificate's dates say that the clock is wrong
        self._since = None  # when the link last came up

    async def reach(self, start, deadline_ms):
        """Try until the link is up and `await start()` is done.

        deadline_ms   None: for ever
        raises        Retry with the last failure's reason, at the deadline
        """
        clock = self._clock
        begin = clock.ticks_ms()
        if self._since and clock.ticks_diff(begin, self._since) > _SMOOTH_MS:
            self._failures = 0
        if self._since:
            await self._back_off(deadline_ms)
        while True:
            try:
                await self._attempt(start)
                self._since = clock.ticks_ms()
                return
            except Retry as error:
                self._late = type(error).__name__ in ("Expired", "NotYetValid")
                log.w("attempt failed:", type(error).__name__, error)
                reason = error
            self._since = None
            if deadline_ms is not None and clock.ticks_diff(clock.ticks_ms(), begin) > deadline_ms:
                raise reason
            await self._back_off(deadline_ms)

    async def _attempt(self, start):
        if self._wifi:
            await self._wifi.join()
        if self._late or not self._clock.plausible():
            await self._clock.synchronise(self._ntp, 10_000)
            let_go("net.ntp")
            self._late = False
        if not self._link.linked:
            await self._link.connect()
            self._clock.save_floor()  # the broker's certificate was in its dates
        try:
            await start()
        except Retry:
            self._link.close()
            raise

    async def _back_off(self, deadline_ms):
        ceiling = min(_LONGEST_MS, _FIRST_MS << min(self._failures, 16))
        if deadline_ms is not None:
            ceiling = min(ceiling, max(deadline_ms // 8, 1))
        self._failures += 1
        await self._clock.sleep_ms(getrandbits(24) % ceiling)
