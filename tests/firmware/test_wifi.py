"""Joining a network: slow access points, those that refuse, and drivers that raise."""

import sys

from doubles import Clock, raised, run


class Module:
    """As much of a board as an import of linking needs."""


sys.modules["board"] = Module
from sluice import log  # noqa: E402
from sluice.errors import Retry  # noqa: E402
from sluice.linking import WiFi  # noqa: E402

HEAP = "256k"
IDLE, JOINING, JOINED, ABSENT, WRONG = 1_000, 1_001, 1_010, 201, 202


class Network:
    """The constants of the module `network`."""

    STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = IDLE, JOINING, JOINED


class Station:
    """ESP32's driver: asked once, it goes on trying; a second `connect` begins anew.

    needs_ms   from `connect` until it has joined; None: never
    fails      its status from `connect` on, until then
    raises     method → errors that its next calls end in
    """

    def __init__(self, clock, needs_ms=0, fails=JOINING, **raises):
        self.clock, self.needs_ms, self.fails, self.raises = clock, needs_ms, fails, raises
        self.begun = self.ssid = None
        self.calls = []

    def _call(self, name):
        self.calls.append(name)
        if self.raises.get(name):
            raise self.raises[name].pop(0)

    def active(self, on):
        self._call("active" if on else "off")
        if not on:
            self.begun = None

    def connect(self, ssid, password):
        self._call("connect")
        self.ssid, self.begun = ssid, self.clock.now

    def disconnect(self):
        self._call("disconnect")
        self.begun = None

    def isconnected(self):
        if self.raises.get("isconnected"):
            raise self.raises["isconnected"].pop(0)
        if self.begun is None or self.needs_ms is None:
            return False
        return self.clock.now - self.begun >= self.needs_ms

    def status(self):
        if self.raises.get("status"):
            raise self.raises["status"].pop(0)
        if self.begun is None:
            return IDLE
        return JOINED if self.isconnected() else self.fails

    def config(self, name):
        assert name == "ssid"
        return self.ssid

    def ifconfig(self):
        return ("10.0.0.2",)


def made(*words, network=Network, **more):
    clock = Clock()
    station = Station(clock, *words, **more)
    return WiFi(station, clock, "home", "secret", network), station, clock


def join(wifi):
    log.to(lambda line: None)
    try:
        run(wifi.join())
    finally:
        log.to(print)


def refusal(wifi):
    return str(raised(Retry, join, wifi))


def test_network_is_joined_once():
    wifi, station, clock = made(3_000)
    join(wifi)
    join(wifi)
    assert station.calls == ["active", "connect"] and 3_000 <= clock.now - 1_000 < 3_200


def test_slow_access_point_is_joined_by_one_attempt_over_several_waits():
    for network in (Network, None):
        for needs_ms in (21_000, 45_000, 95_000):
            wifi, station, clock = made(needs_ms, network=network)
            for _ in range(needs_ms // 20_000):
                assert refusal(wifi) == "no Wi-Fi home yet"
            join(wifi)
            assert station.calls.count("connect") == 1 and "disconnect" not in station.calls


def test_slow_access_point_is_joined_by_the_attempt_of_an_earlier_station():
    wifi, station, clock = made(35_000)
    assert refusal(wifi) == "no Wi-Fi home yet"
    join(WiFi(station, clock, "home", "secret", Network))
    assert station.calls.count("connect") == 1
    wifi, station, clock = made(35_000)
    station.connect("another", "x")
    station.calls.clear()
    assert refusal(wifi) == "no Wi-Fi home yet"
    assert station.calls == ["active", "disconnect", "connect"] and station.ssid == "home"


def test_attempt_that_gets_nowhere_is_begun_anew_after_minutes():
    wifi, station, clock = made(None)
    for _ in range(8):
        assert refusal(wifi) == "no Wi-Fi home yet"
    while "disconnect" not in station.calls:
        refusal(wifi)
    assert 180_000 <= clock.now - 1_000 < 210_000
    refusal(wifi)
    assert station.calls.count("connect") == 2


def test_attempt_ends_where_the_driver_says_why_for_long():
    for status, why in (
        (ABSENT, "no such network"),
        (WRONG, "wrong password"),
        (IDLE, "not trying"),
        (77, "77"),
    ):
        wifi, station, clock = made(None, status)
        assert refusal(wifi) == "no Wi-Fi home " + why
        assert station.calls[-1] == "disconnect" and 15_000 <= clock.now - 1_000 < 16_000
        assert refusal(wifi) == "no Wi-Fi home " + why
        assert station.calls.count("connect") == 2


def test_reason_that_passes_ends_nothing():
    wifi, station, clock = made(14_000, WRONG)
    join(wifi)
    assert "disconnect" not in station.calls


def test_driver_that_raises_is_a_hiccup_and_is_begun_anew():
    for name in ("active", "isconnected", "status", "connect"):
        for error in (OSError(257), RuntimeError("Wifi Unknown Error"), ValueError("config")):
            if name == "connect" and isinstance(error, OSError):
                continue  # busy, see below
            wifi, station, clock = made(1_000, **{name: [error]})
            assert refusal(wifi).startswith("Wi-Fi driver: "), (name, error)
            assert station.calls[-1] == "off"
            join(wifi)
            assert station.isconnected()


def test_driver_that_raises_at_its_end_too_is_a_hiccup():
    for name in ("disconnect", "off"):
        for error in (OSError(1), RuntimeError("x")):
            wifi, station, clock = made(None, WRONG, **{name: [error]})
            if name == "off":
                station.raises["active"] = [RuntimeError("y")]
            raised(Retry, join, wifi)


def test_driver_that_is_busy_is_waited_for():
    wifi, station, clock = made(1_000, connect=[OSError("Wifi Internal State Error")])
    station.begun, station.ssid = clock.now, "home"
    station.fails = 77
    join(wifi)
    assert station.calls == ["active", "connect"]
