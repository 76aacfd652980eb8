"""Joining a Wi-Fi network, and joining it again.

The driver goes on by itself once it was asked to join: it scans, authenticates and waits for an
address, and begins anew when one of these fails. So an attempt is not cut because it is slow: at
its deadline `join` gives the turn back, the driver keeps trying, and the next `join` waits for it.
It is begun anew after three minutes, or where the driver says for some seconds why it fails.
"""

from micropython import const

from sluice.errors import Retry
from sluice.log import Log

_JOIN_MS = const(20_000)  # of one wait
_STUCK_MS = const(180_000)  # of one attempt: the driver does not get on
_SURE_MS = const(15_000)  # of one reason: an access point that starts may refuse some times
_LOOK_MS = const(100)
# What ESP32's status() says beside idle, connecting and connected.
_REASONS = {
    200: "out of reach", 201: "no such network", 202: "wrong password", 203: "refused",
    204: "wrong password", 1000: "not trying",
}  # fmt: skip

log = Log("wifi")


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
        log.i("joined", *station.ifconfig()[:1])

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
        log.i("joining", self._ssid)
        self._begun = self._clock.ticks_ms()
        try:
            self.station.connect(self._ssid, self._password)
        except OSError as error:  # the driver is still busy with an earlier attempt
            log.w("busy", error)

    def _end(self, off=False):
        """Have the driver stop, so that the next attempt begins anew; `off`: the radio, too."""
        self._begun = None
        try:
            if off:
                self.station.active(False)
            else:
                self.station.disconnect()
        except (OSError, RuntimeError) as error:
            log.w("driver", error)
