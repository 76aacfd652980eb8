"""An ESP32 with 4 MiB of flash. See boards/README.md."""

from esp32 import Partition

from sluice.hardware import reset, rest, set_time, watchdog, wifi  # noqa: F401
from sluice.slots.esp32 import Slots

NAME = "ESP32_GENERIC_OTA"


def slots():
    """The two app slots. Raises Fail when the partition table has not got them."""
    return Slots(Partition)
