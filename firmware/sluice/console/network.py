"""Wi-Fi and the clock at the board's REPL, and what verbs.py needs of the network besides."""

import asyncio
import json
import os
import sys
import time

import board
from sluice.errors import Fail, OTAError
from sluice.loading import Scope, plug_in

_CONFIG, _NEW = "/config.json", "/config.new"
_LEAVE_MS = 2_000  # for a network that is left
_PASSWORD = 64  # characters


def configured():
    """The configuration as a start would use it; None, and a word, when there is none.

    Beside what lastgood gives it has the wifi, ntp and endpoint of the way that comes first.
    """
    try:
        with Scope():  # what is asked next is to have the room
            settings = plug_in("sluice.lastgood", "load")(False, False)
    except Fail as error:
        print("no configuration:", error)
        return None
    for key in ("wifi", "ntp", "endpoint"):
        settings[key] = settings["ways"]["turns"][0][key]
    return settings


def remember(key, value):
    """Change one member of the file. A power cut leaves the old one or the new one."""
    try:
        with Scope():  # what is asked next is to have the room
            values = plug_in("sluice.config", "read")(_CONFIG)
        values[key] = value
        with open(_NEW, "w") as file:
            json.dump(values, file)
        os.rename(_NEW, _CONFIG)
    except (OSError, Fail) as error:
        print("not kept:", error)
    else:
        print("kept in", _CONFIG)


def _clock():
    return plug_in("sluice.net.clock", "Clock")(board, "/clock")


def done(coroutine):
    """Whether it went well; says why it did not."""
    try:
        asyncio.run(coroutine)
        return True
    except OTAError as error:
        print("failed:", error)
        return False
    finally:
        asyncio.new_event_loop()


def _hidden(prompt):
    """A line typed without echo."""
    print(prompt, end="")
    typed = bytearray()
    while True:
        char = sys.stdin.buffer.read(1)
        if not char or char in b"\r\n":
            print()
            return typed.decode()
        if char in b"\x08\x7f":
            typed = typed[:-1]
        elif len(typed) < _PASSWORD:
            typed += char


class Verbs:
    """What a bare name shows: typing `wifi` is as good as `wifi.status()`."""

    def __repr__(self):
        return self.words()

    def status(self):
        """How it stands."""
        print(self.words())


class WiFi(Verbs):
    def connect(self, ssid, password=None, keep=True):
        """Join; "" is an open network's password. What was joined is kept for the agent."""
        if password is None:
            password = _hidden("password, none for an open network: ")
        settings = {"ssid": ssid, "password": password} if password else {"ssid": ssid}
        wifi = board.wifi(settings, _clock())
        if not wifi:
            return print("this board has no Wi-Fi, or that is no name")
        _leave(wifi.station)
        if done(wifi.join()):
            self.status()
            if keep:
                remember("wifi", settings)
        return None

    def words(self):
        """The address, or why there is none."""
        return "Wi-Fi     " + _network((configured() or {}).get("wifi") or {})


def _leave(station):
    """A station that is joined already would not look at another network."""
    if station.isconnected():
        station.disconnect()
    begin = time.ticks_ms()
    while station.isconnected() and time.ticks_diff(time.ticks_ms(), begin) < _LEAVE_MS:
        time.sleep_ms(50)


def _network(settings):
    wifi = board.wifi(settings or {"ssid": "-"}, _clock())
    if wifi and wifi.station.isconnected():
        return "joined, address " + wifi.station.ifconfig()[0]
    return "not joined; for " + settings["ssid"] if settings.get("ssid") else "none configured"


class NTP(Verbs):
    def start(self):
        """Set the clock from the configured servers."""
        servers = (configured() or {}).get("ntp", ())
        for number, server in enumerate(servers):
            print("server", number, server)
        if done(_clock().synchronise(servers, 10_000)):
            self.status()

    def words(self):
        """The time, in UTC."""
        known = "" if _clock().plausible() else ": not set"
        return "time      %d-%02d-%02d %02d:%02d:%02d UTC" % time.gmtime()[:6] + known
