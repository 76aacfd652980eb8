"""A Wi-Fi interface that always connects: the host's network is the board's."""

_CONSTANTS = (
    b"STA_IF=0 AP_IF=1 IF_STA=0 IF_AP=1 STAT_IDLE=1000 STAT_CONNECTING=1001 STAT_GOT_IP=1010 "
    b"PM_NONE=0 PM_PERFORMANCE=1 PM_POWERSAVE=2"
)
_hostname = [None]


def __getattr__(name):
    """A constant, which costs no name here, as in C."""
    for word in _CONSTANTS.split():
        known, _, value = word.partition(b"=")
        if known == name.encode():
            return int(value)
    raise AttributeError(name)


def hostname(name=None, /):
    """The name, or set it."""
    if name is not None:
        _hostname[0] = name
    return _hostname[0] or "mpy-esp32"


class WLAN:
    """The one interface; as on the chip, all objects of it are the same: `WLAN()` is it, too."""

    _active = False
    _joined = False

    def __getattr__(self, name):
        return __getattr__(name)

    def __call__(self, interface_id=0, /):
        return self

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
        return 1010 if self._joined else 1000

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


WLAN = WLAN()
