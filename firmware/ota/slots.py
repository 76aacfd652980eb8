"""The two app slots of an ESP32, seen through its Partition class, which the board hands in.

source   MicroPython: ports/esp32/esp32_partition.c
"""

from ota.errors import Fail
from ota.loading import let_go, plug_in


class Slots:
    """The running slot and the other one.

    partition  the class esp32.Partition
    running    label of the slot that runs; `version` of its image, "" when it has none
    target     the slot that an image may be written to; `inactive` is its label, `size` its bytes.
               None, "" and 0 where no update would be possible after one: without OTA slots, in
               the only one, or from `factory` into the only one
    trial      True when the running image is booted but not yet confirmed, else False; a board
               whose boot loader takes nothing back has None
    image      the module that knows such images, with `version_in(head)`
    """

    image = "ota.appimage"

    def __init__(self, partition):
        self._here = here = partition(partition.RUNNING)
        self.running = here.info()[4]
        self.target, self.size, self.inactive = None, 0, ""
        target = _following(here)
        if target and _following(target):
            self.target = target
            self.size, self.inactive = target.info()[3:5]
        head = bytearray(80)
        here.readblocks(0, head, 0)
        self._chip = head[12] | head[13] << 8  # of what runs, so it is the chip's
        self.version = plug_in("ota.appimage", "version_in")(head) or ""
        self.trial = plug_in("ota.otadata", "on_trial")(partition)
        let_go("ota.appimage", "ota.otadata")

    def check(self, head, size):
        """Judge an image by its first 80 bytes.

        raises   Fail with the reason; returns its version, "" when it carries none
        """
        version = plug_in("ota.appimage", "check")(head, size, self.size, self._chip)
        let_go("ota.appimage")
        return version

    def activate(self):
        """Let the boot loader try the other slot at the next reset.

        raises   Fail("image refused by the boot loader", number); Fail on trial, as set_boot does
                 not mind one, and what would be gone back to would be what failed
        """
        if self.trial:
            raise Fail("the image that runs is on trial")
        try:
            self.target.set_boot()
        except OSError as error:
            raise Fail("image refused by the boot loader", *error.args[:1])

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
