"""From nothing to a linked board: Wi-Fi, then the clock, then the broker; again until it holds.

Waits between attempts grow exponentially from 1 s to 5 min, each with full jitter and a second
before it, so that a thousand boards that lost their broker together do not come back together, nor
any of them at once.
"""

from random import getrandbits

from micropython import const

from sluice.errors import Retry
from sluice.loading import plug_in
from sluice.log import Log

_FIRST_MS = const(1_000)
_LONGEST_MS = const(300_000)
_SMOOTH_MS = const(300_000)  # a link that held this long starts the waits anew

log = Log("uplink")


class Uplink:
    """Brings the link up.

    wifi    `await join(deadline_ms)`, or None on a board that needs none
    clock   sluice.net.clock.Clock
    link    sluice.net.mqtt.Link
    ntp     servers to ask for the time
    history kept by the caller between the times that this is needed: sluice.handed.Reach
    """

    def __init__(self, wifi, clock, link, ntp, history):
        self._wifi = wifi
        self._clock = clock
        self._link = link
        self._ntp = ntp
        self._history = history

    async def reach(self, start, deadline_ms):
        """Try until the link is up and `await start()` is done.

        deadline_ms   None: for ever
        raises        Retry with the last failure's reason, at the deadline
        """
        clock, history = self._clock, self._history
        begin = clock.ticks_ms()
        if history.since is not None:
            if clock.ticks_diff(begin, history.since) > _SMOOTH_MS:
                history.failures = 0
            await self._back_off(deadline_ms)
        while True:
            try:
                await self._attempt(start)
                history.since = clock.ticks_ms()
                return
            except Retry as error:
                name = type(error).__name__
                history.since = None
                history.doubt = name in ("Expired", "NotYetValid") and name
                log.w("attempt failed:", name, error)
                reason = error
            if deadline_ms is not None and clock.ticks_diff(clock.ticks_ms(), begin) > deadline_ms:
                raise reason
            await self._back_off(deadline_ms)

    async def _attempt(self, start):
        if self._wifi:
            await self._wifi.join()
        clock, doubt = self._clock, self._history.doubt
        learn = doubt == "NotYetValid"  # a time server may have lied about the past
        if doubt or clock.guessed or not clock.plausible():
            try:
                await clock.synchronise(self._ntp, 10_000, doubt == "Expired")
            except Retry as error:
                log.w("the broker's certificate is to tell the time:", error)
                clock.guess(doubt == "Expired")
                learn = True
            self._history.doubt = False
        if not self._link.linked:
            await self._connect(learn)
        try:
            await start()
        except Retry:
            self._link.close()
            raise

    async def _connect(self, learn):
        """Open the session; `learn` the time by it where no time server has helped."""
        link = self._link
        if learn:
            await plug_in("sluice.net.dates", "connect")(link, link.context, self._clock)
        else:
            await link.connect()

    async def _back_off(self, deadline_ms):
        ceiling = min(_LONGEST_MS - _FIRST_MS, _FIRST_MS << min(self._history.failures, 16))
        if deadline_ms is not None:
            ceiling = min(ceiling, max(deadline_ms // 8, 1))
        self._history.failures += 1
        await self._clock.sleep_ms(min(_FIRST_MS, ceiling) + getrandbits(24) % ceiling)
