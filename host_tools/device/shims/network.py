"""A Wi-Fi interface that always connects: the host's network is the board's."""

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010

_hostname = ["mpy-esp32"]


def hostname(name=None, /):
    """The name, or set it."""
    if name is not None:
        _hostname[0] = name
    return _hostname[0]


class WLAN:
    """One interface; all objects of it are the same, as on the chip."""

    IF_STA, IF_AP = 0, 1
    PM_NONE, PM_PERFORMANCE, PM_POWERSAVE = 0, 1, 2

    _active = False
    _joined = False

    def __new__(cls, interface_id=STA_IF, /):
        return _station

    def active(self, on=None, /):
        """Whether it is on, or turn it on or off."""
        if on is not None:
            self._active = bool(on)
            self._joined = self._joined and self._active
        return self._active

    def connect(self, ssid=None, key=None, **_):
        """Join; OSError when the interface is off, as on the chip."""
        if not self._active:
            raise OSError("Wifi Not Started")
        self._joined = True

    def disconnect(self):
        """Leave."""
        self._joined = False

    def isconnected(self):
        """Whether it has joined."""
        return self._joined

    def status(self, what=None, /):
        """STAT_IDLE or STAT_GOT_IP; -50 for "rssi"."""
        if what == "rssi":
            return -50
        return STAT_GOT_IP if self._joined else STAT_IDLE

    def config(self, what=None, /, **_):
        """Settings are taken and have no effect; "mac" and "ssid" answer."""
        if what == "mac":
            import machine

            return machine.unique_id()
        return "simulated" if what in ("ssid", "essid") else None

    def ifconfig(self, settings=None, /):
        """(address, mask, gateway, DNS) of a loopback network."""
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def scan(self):
        """One network."""
        return [(b"simulated", b"\0\0\0\0\0\0", 1, -50, 3, False)]


_station = object.__new__(WLAN)
