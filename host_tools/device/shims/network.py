"""A Wi-Fi interface: the host's network is the board's, whatever the access point is called.

What goes wrong is in the names, so that a configuration can ask for it:

    ssid "slow-25"      joins 25 s after `connect`, if nothing begins anew meanwhile
    ssid "absent"       is never found: status 201
    password "wrong"    is refused: status 202
    ssid "broken"       the driver raises RuntimeError at every call but `active(False)`, which
                        mends it: the next `connect` joins
"""

import time

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

    _active = _broken = False
    _ssid = _key = _ready = None  # what `connect` asked for; when that is reached, ticks

    def __getattr__(self, name):
        return __getattr__(name)

    def __call__(self, interface_id=0, /):
        return self

    def active(self, on=None, /):
        """Whether it is on, or turn it on or off."""
        if on is not None:
            self._active = bool(on)
            if not on:
                self._broken, self._ready = self._broken is not False and None, None
            self._sound()
        return self._active

    def connect(self, ssid=None, key=None, **_):
        """Begin to join, anew if it had begun; OSError when the interface is off."""
        if not self._active:
            raise OSError("Wifi Not Started")
        if ssid == "broken" and self._broken is False:
            self._broken = True
        self._sound()
        self._ssid, self._key = ssid, key
        slow_s = ssid[5:] if isinstance(ssid, str) and ssid[:5] == "slow-" else "0"
        self._ready = time.ticks_add(time.ticks_ms(), int(slow_s) * 1_000)

    def disconnect(self):
        """Leave, or stop trying."""
        self._sound()
        self._ready = None

    def isconnected(self):
        """Whether it has joined."""
        self._sound()
        return self.status() == 1010

    def status(self, what=None, /):
        """The state, or the reason why it cannot join, which it goes on trying; -50 for "rssi"."""
        self._sound()
        if what == "rssi":
            return -50
        if self._ready is None:
            return 1000
        if self._ssid == "absent":
            return 201
        if self._key == "wrong":
            return 202
        return 1010 if time.ticks_diff(self._ready, time.ticks_ms()) <= 0 else 1001

    def _sound(self):
        if self._broken:
            raise RuntimeError("Wifi Unknown Error 0x0101")

    def config(self, what=None, /, **_):
        """Settings are taken and have no effect; "mac" and "ssid" answer."""
        if what == "mac":
            import machine

            return machine.unique_id()
        return self._ssid if what in ("ssid", "essid") else None

    def ifconfig(self, settings=None, /):
        """(address, mask, gateway, DNS) of a loopback network."""
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")

    def scan(self):
        """One network."""
        return [(b"simulated", b"\0\0\0\0\0\0", 1, -50, 3, False)]


WLAN = WLAN()
