"""What boards that MicroPython runs on have in common, by its own modules. For board.py.

With board.py the only module that imports the hardware's; nothing else imports it.
"""

from time import gmtime

import machine

station = None  # the network's object, once `wifi` was asked for it


def wifi(settings, clock):
    """The station, or None when no network is configured."""
    global station
    if not settings.get("ssid"):
        return None
    import network  # only now: a board may be wired

    from sluice.linking import WiFi

    station = network.WLAN(network.STA_IF)
    return WiFi(station, clock, settings["ssid"], settings.get("password"), network)


def reset():
    """Through the boot loader; does not return."""
    machine.reset()


def watchdog(timeout_ms):
    """A watchdog that resets the board unless fed; None for a timeout of 0."""
    return machine.WDT(timeout=timeout_ms) if timeout_ms else None


def rest(watchdog):
    """Have a timer feed that watchdog, until the next reset. It takes timer 0."""
    feed = lambda timer: watchdog.feed()  # noqa: E731
    machine.Timer(0).init(period=10_000, mode=machine.Timer.PERIODIC, callback=feed)


def set_time(unix_s):
    """Set the clock, in UTC, from seconds since 1970."""
    epoch_s = 946_684_800 if gmtime(0)[0] == 2000 else 0
    year, month, day, hour, minute, second, weekday = gmtime(unix_s - epoch_s)[:7]
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
