"""Joining a Wi-Fi network, and joining it again."""

from micropython import const

from ota.errors import Retry
from ota.log import Log

_JOIN_MS = const(20_000)
_LOOK_MS = const(100)

log = Log("wifi")


class WiFi:
    """A station.

    station   network.WLAN(STA_IF), from the board; the console looks at it, too
    clock     ticks_ms, ticks_diff, sleep_ms
    """

    def __init__(self, station, clock, ssid, password):
        self.station = station
        self._clock = clock
        self._ssid = ssid
        self._password = password

    async def join(self):
        """Be connected. Raises Retry after 20 s."""
        station, clock = self.station, self._clock
        if station.isconnected():
            return
        station.active(True)
        log.i("joining", self._ssid)
        try:
            station.connect(self._ssid, self._password)
        except OSError as error:  # the driver is still busy with an earlier attempt
            log.w("busy", error)
        begin = clock.ticks_ms()
        while not station.isconnected():
            if clock.ticks_diff(clock.ticks_ms(), begin) > _JOIN_MS:
                station.disconnect()
                raise Retry("no Wi-Fi", self._ssid)
            await clock.sleep_ms(_LOOK_MS)
        log.i("joined", *station.ifconfig()[:1])
