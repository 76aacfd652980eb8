"""The simulated ESP32: to the firmware, an ESP32 like any other. See boards/README.md."""

from time import gmtime

import machine
from esp32 import Partition

from ota.slots import Slots

NAME = "SIM_ESP32"
CHIP = 0  # chip id in the header of its images: ESP32


def slots():
    """The two app slots. Raises Fail when the partition table has not got them."""
    return Slots(Partition, CHIP)


def wifi(settings, clock):
    """The station, or None when no network is configured."""
    if not settings.get("ssid"):
        return None
    import network  # only now: a board may be wired

    from net.wifi import WiFi

    station = network.WLAN(network.STA_IF)
    return WiFi(station, clock, settings["ssid"], settings.get("password"))


def reset():
    """Through the boot loader; does not return."""
    machine.reset()


def watchdog(timeout_ms):
    """A watchdog that resets the board unless fed; None for a timeout of 0."""
    return machine.WDT(timeout=timeout_ms) if timeout_ms else None


def set_time(unix_s):
    """Set the clock, in UTC, from seconds since 1970."""
    epoch_s = 946_684_800 if gmtime(0)[0] == 2000 else 0
    year, month, day, hour, minute, second, weekday, _ = gmtime(unix_s - epoch_s)
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))
