"""The simulated ESP32: to the firmware, an ESP32 like any other. See boards/README.md."""

from esp32 import Partition

from sluice.hardware import reset, rest, set_time, watchdog, wifi  # noqa: F401
from sluice.slots.esp32 import Slots

NAME = "SIM_ESP32"


def slots():
    """The two app slots. Raises Fail when the partition table has not got them."""
    return Slots(Partition)
