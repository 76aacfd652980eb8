"""A W800 of WinnerMicro, over its port's module `w800`: see README.md here."""

import w800

from sluice.hardware import rest, set_time, wifi  # noqa: F401
from sluice.slots.w800 import Cell, OneSlot

NAME = "W800"


def slots():
    """The slot and its staging area. Raises Fail when the partition table has not got them."""
    return OneSlot(w800)


def cells():
    """Where the journal is kept: the key-value store, which outlives the file system."""
    return Cell(w800, "journal.0"), Cell(w800, "journal.1")


def reset():
    """Through the boot loader; does not return."""
    w800.reboot()


def watchdog(timeout_ms):
    """A watchdog that resets the board unless fed; None for a timeout of 0."""
    if timeout_ms:
        w800.watchdog(timeout_ms)
        return w800
    return None
