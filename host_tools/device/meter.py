"""The supervisor's view of the meter: operations, wear, and the power fuse."""

import struct

from sluice.device import norflash

PARTS = {  # how much of the operation is done when the power fails
    "nothing": norflash.NOTHING,
    "front": norflash.FRONT,
    "back": norflash.BACK,
    "whole": norflash.WHOLE,
}


class Meter:
    """What `norflash` counts, by name."""

    def __init__(self, memory: memoryview):
        self._memory = memory
        self._sectors = (len(memory) - norflash.METER_HEAD) // (
            norflash.SECTOR // norflash.PAGE + 2
        )

    @property
    def operations(self) -> int:
        """Sectors erased and programs since the chip was made."""
        return self._word(norflash.OPERATIONS)

    @property
    def lossy(self) -> int:
        """Bytes whose program needed a 1 where flash held a 0."""
        return self._word(norflash.LOSSY)

    def programs(self, offset: int) -> int:
        """Programs of the page at `offset` since its last erase."""
        return self._memory[norflash.METER_HEAD + offset // norflash.PAGE]

    def erases(self, offset: int) -> int:
        """Erases of the sector at `offset`."""
        pages = self._sectors * norflash.SECTOR // norflash.PAGE
        at = norflash.METER_HEAD + pages + 2 * (offset // norflash.SECTOR)
        return struct.unpack_from("<H", self._memory, at)[0]

    def cut_after(self, operations: int, part: str | int = "nothing") -> None:
        """Cut the power at the `operations`-th operation from now.

        part   how much of it is done: one of PARTS, or so many of its first bytes; of its last
               ones where the number is negative
        """
        if operations < 1:
            raise ValueError("the fuse counts from 1")
        torn = norflash.TORN + 2 * abs(part) + (part < 0) if isinstance(part, int) else 0
        self._put(norflash.CUT_PART, torn or PARTS[part])
        self._put(norflash.CUT_AT, self.operations + operations)

    def disarm(self) -> None:
        """What a power-on does: a new fuse, no watchdog."""
        self._put(norflash.CUT_AT, 0)
        self.stop_watchdog()

    def stop_watchdog(self) -> None:
        """What a reset does."""
        self._put(norflash.WATCHDOG_MS, 0)

    def _word(self, offset: int) -> int:
        return struct.unpack_from("<I", self._memory, offset)[0]

    def _put(self, offset: int, value: int) -> None:
        struct.pack_into("<I", self._memory, offset, value)


class PowerCut(BaseException):
    """The fuse blew in the boot loader. Not an Exception: nothing may swallow it."""


def raise_power_cut() -> None:
    """The `cut` of a NORFlash in this process."""
    raise PowerCut
