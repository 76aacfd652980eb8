"""The two app slots of an ESP32, seen through its Partition class, which the board hands in.

source   MicroPython: ports/esp32/esp32_partition.c
"""

from micropython import const

from sluice.errors import Fail
from sluice.loading import Scope, plug_in

_SECTOR = const(4096)  # bytes


class Slots:
    """The running slot and the other one.

    partition  the class esp32.Partition
    running    label of the slot that runs; `version` of its image, "" when it has none
    plain      the other slot, as it lies in flash; `inactive` is its label. None and "" where no
               update would be possible after one: without OTA slots, in the only one, or from
               `factory` into the only one
    size       bytes that an image for it may have: its last sector is where the head waits; 0
               where there is no such slot
    trial      True when the running image is booted but not yet confirmed, else False; a board
               whose boot loader takes nothing back has None
    image      the module that knows such images, with `version_in(head)`
    """

    image = "sluice.slots.esp32_image"

    def __init__(self, partition):
        self._here = here = partition(partition.RUNNING)
        self.running = here.info()[4]
        self.plain, self.size, self.inactive = None, 0, ""
        other = _following(here)
        if other and _following(other):
            self.plain = other
            room, self.inactive = other.info()[3:5]
            self.size = room - _SECTOR
        head = bytearray(80)
        here.readblocks(0, head, 0)
        self._chip = head[12] | head[13] << 8  # of what runs, so it is the chip's
        self.version = plug_in("sluice.slots.esp32_image", "version_in")(head) or ""
        self.trial = plug_in("sluice.slots.esp32_image", "on_trial")(partition)

    def check(self, head, size):
        """Judge an image by its first 80 bytes.

        raises   Fail with the reason; returns its version, "" when it carries none
        """
        with Scope():  # in mid-download, when the heap is at its fullest
            return plug_in("sluice.slots.esp32_image", "check")(head, size, self.size, self._chip)

    def read(self, offset, buf):
        """Fill `buf` with what the running slot has there. Raises OSError past its end."""
        self._here.readblocks(offset // _SECTOR, buf, offset % _SECTOR)

    def target(self):
        """The other slot, as an image is written to it and proven: a new slots.target.Target."""
        return plug_in("sluice.slots.target", "Target")(self.plain, self.size)

    def activate(self, new=False):
        """Let the boot loader try the other slot at the next reset.

        new      its image was written and proven: the head waits, and is put in its place first
        raises   Fail("image refused by the boot loader", number); Fail("flash", errno); Fail on
                 trial, as set_boot does not mind one, and what would be gone back to would be what
                 failed
        """
        if self.trial:
            raise Fail("the image that runs is on trial")
        reason = "flash"
        try:
            if new:
                self.target().release()
            reason = "image refused by the boot loader"
            self.plain.set_boot()
        except OSError as error:
            raise Fail(reason, *error.args[:1])

    def hide(self):
        """The image in the other slot is not to boot: it failed, or was left before it was tried.
        On trial it stays, as it is what this board goes back to."""
        if self.plain and not self.trial:
            plug_in("sluice.slots.target", "hide")(self.plain)

    def confirm(self):
        """End the trial: the running image stays. Cheap when there is no trial."""
        self._here.mark_app_valid_cancel_rollback()
        self.trial = False


def _following(slot):
    """The slot that an update would go to from there; None when there is none but itself."""
    try:
        found = slot.get_next_update()
    except OSError:  # the partition table has no OTA slots
        return None
    return found if found.info()[4] != slot.info()[4] else None
