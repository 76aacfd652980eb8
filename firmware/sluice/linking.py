"""From nothing to a linked board: Wi-Fi, then the clock, then the broker; again until it holds.

It goes one of the ways until that has linked, and notes which: see lastlink.py for what the ways
are. `way` is sluice.run.Reach, which stays. This is loaded while the agent connects.

Waits between attempts grow exponentially from 1 s to 5 min. Each has full jitter and a second
before it. So a thousand boards that lost their broker together do not come back together, and none
comes back at once.

The driver of Wi-Fi goes on by itself once it was asked to join. It scans, authenticates and waits
for an address, and begins anew when one of these fails. So a slow attempt is not cut. At its
deadline `join` gives the turn back, the driver keeps trying, and the next `join` waits for it. It
is begun anew after three minutes, or where the driver says for some seconds why it fails.
"""

import asyncio
from random import getrandbits

from micropython import const

import board
from sluice.errors import Retry
from sluice.loading import plug_in
from sluice.log import Log

_FIRST_MS = const(1_000)
_LONGEST_MS = const(300_000)
_SMOOTH_MS = const(300_000)  # a link that held this long starts the waits anew
_JOIN_MS = const(20_000)  # of one wait
_STUCK_MS = const(180_000)  # of one attempt: the driver does not get on
_SURE_MS = const(15_000)  # of one reason: an access point that starts may refuse some times
_LOOK_MS = const(100)
# What ESP32's status() says beside idle, connecting and connected.
_REASONS = {
    200: "out of reach", 201: "no such network", 202: "wrong password", 203: "refused",
    204: "wrong password", 1000: "not trying",
}  # fmt: skip

log = Log("uplink")
_wifi_log = Log("wifi")


async def reach(way, start, deadline_ms, idle):
    """Linked, and `start` done. Raises Retry at the deadline; None: there is none."""
    ways, link = way.ways, way.link
    while True:
        limit_ms = deadline_ms
        if deadline_ms is None and ways["turns"][1:]:
            limit_ms = plug_in("sluice.lastlink", "limit_ms")(ways, way.trial_ms)
        try:
            await _attempt(way, start, limit_ms)
            break
        except Retry:
            if limit_ms == deadline_ms:
                raise
        if ways["turns"][1:]:  # else the other one was struck off meanwhile
            plug_in("sluice.lastlink", "turn")(link, ways)
        way.failures, way.since, way.doubt = 0, None, False
    _linked(way, idle)


async def _attempt(way, start, deadline_ms):
    link, clock = way.link, way.clock
    if not link.context:
        plug_in("sluice.lastlink", "take")(link, way.ways)
    first = way.ways["turns"][0]
    wifi = board.wifi(first["wifi"], clock)
    if wifi and way.joined != first["wifi"]:
        await plug_in("sluice.lastlink", "leave")(wifi.station, clock)
        way.joined = first["wifi"]
    await Uplink(wifi, clock, link, first["ntp"], way).reach(start, deadline_ms)


def _linked(way, idle):
    """The way is kept; on the kept way the newer one is tried again, later."""
    ways = way.ways
    if ways["due"] and not way.slots.trial:
        plug_in("sluice.lastlink", "linked")(ways)
    if idle and ways["turns"][1:] and not ways["again"]:
        ways["again"] = True
        asyncio.create_task(plug_in("sluice.lastlink", "again")(way.link, ways, way.clock, idle))


class Uplink:
    """Brings the link up.

    wifi    `await join(deadline_ms)`, or None on a board that needs none
    clock   sluice.net.clock.Clock
    link    sluice.net.mqtt.Link
    ntp     servers to ask for the time
    history kept by the caller between the times that this is needed: sluice.run.Reach
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


class WiFi:
    """A station.

    station   network.WLAN(STA_IF), from the board; the console looks at it, too
    clock     ticks_ms, ticks_diff, sleep_ms
    network   the module, for the names of its states; a port may lack them
    """

    def __init__(self, station, clock, ssid, password, network=None):
        self.station = station
        self._clock = clock
        self._ssid = ssid
        self._password = password
        self._begun = None  # when the driver was asked, while it tries
        self._joining = getattr(network, "STAT_CONNECTING", None)
        self._fine = (self._joining, getattr(network, "STAT_GOT_IP", None), None)

    async def join(self):
        """Be connected. Raises Retry after 20 s, with the attempt going on; or with its end."""
        try:
            await self._join()
        except (OSError, RuntimeError, ValueError) as error:  # the driver's
            self._end(True)
            raise Retry("Wi-Fi driver:", error)

    async def _join(self):
        station, clock = self.station, self._clock
        if station.isconnected():
            return
        station.active(True)
        if not self._trying():
            self._begin()
        begin = since = clock.ticks_ms()
        last = None
        while not station.isconnected():
            now = clock.ticks_ms()
            status = self._status()
            if status != last:
                last, since = status, now
            if status not in self._fine and clock.ticks_diff(now, since) > _SURE_MS:
                self._end()
                raise Retry("no Wi-Fi", self._ssid, _REASONS.get(status, status))
            if clock.ticks_diff(now, begin) > _JOIN_MS:
                stuck = clock.ticks_diff(now, self._begun) > _STUCK_MS
                if stuck:
                    self._end()
                raise Retry("no Wi-Fi", self._ssid, "for minutes" if stuck else "yet")
            await clock.sleep_ms(_LOOK_MS)
        self._begun = None
        _wifi_log.i("joined", *station.ifconfig()[:1])

    def _status(self):
        """The driver's word; None where it has none."""
        return self.station.status() if self._joining is not None else None

    def _trying(self):
        """Whether the driver is at it, for this network; one that was asked before a soft reset,
        say, is left to it."""
        if self._begun is not None:
            return True
        if self._joining is None or self._status() != self._joining:
            return False
        if self.station.config("ssid") != self._ssid:
            self.station.disconnect()
            return False
        self._begun = self._clock.ticks_ms()
        return True

    def _begin(self):
        _wifi_log.i("joining", self._ssid)
        self._begun = self._clock.ticks_ms()
        try:
            self.station.connect(self._ssid, self._password)
        except OSError as error:  # the driver is still busy with an earlier attempt
            _wifi_log.w("busy", error)

    def _end(self, off=False):
        """Have the driver stop, so that the next attempt begins anew; `off`: the radio, too."""
        self._begun = None
        try:
            if off:
                self.station.active(False)
            else:
                self.station.disconnect()
        except (OSError, RuntimeError) as error:
            _wifi_log.w("driver", error)
