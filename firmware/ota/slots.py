"""The two app slots of an ESP32, seen through its Partition class, which the board hands in.

Reads otadata itself, because Partition has no way to ask whether the running image is on trial.
An app image is checked by its first 80 bytes, before anything is written: 0xE9 and the chip id
alone do not tell an app from a merged flash image, the descriptor's magic does.

source   ESP-IDF: esp_app_format.h, esp_app_desc.h, esp_flash_partitions.h (32-byte otadata
         records); MicroPython: ports/esp32/esp32_partition.c
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

from ota.errors import Fail

_IMAGE_MAGIC = const(0xE9)
_DESCRIPTOR_MAGIC = 0xABCD5432  # at byte 32 of an app image; too big for const() on 32 bits
_VERSION_AT = const(48)
_VERSION_SIZE = const(32)
_HEAD = const(80)  # bytes: header, first segment's header, descriptor to the end of its version
_OTA_SUBTYPE = const(0x10)  # of ota_0; factory is 0 and test 0x20
_OTA_MOST = const(16)  # slots
_RECORD = const(32)  # bytes
_PENDING = const(1)  # ESP_OTA_IMG_PENDING_VERIFY
_INVALID = const(3)  # ESP_OTA_IMG_INVALID; 4 is ABORTED


class Slots:
    """The running slot and the other one.

    partition  the class esp32.Partition
    chip       chip id of the image header: 0 ESP32, 5 C3, 9 S3
    raises     Fail("no second slot") when the partition table has no OTA slots
    """

    def __init__(self, partition, chip):
        self._partition = partition
        self._chip = chip
        self._here = partition(partition.RUNNING)
        try:
            self.target = self._here.get_next_update()
        except OSError:
            raise Fail("no second slot")
        if self.target.info()[2] == self._here.info()[2]:
            raise Fail("no second slot")

    @property
    def running(self):
        """Label of the slot that runs."""
        return self._here.info()[4]

    @property
    def inactive(self):
        """Label of the slot that an image may be written to."""
        return self.target.info()[4]

    @property
    def size(self):
        """Bytes an image may have."""
        return self.target.info()[3]

    @property
    def version(self):
        """Version in the running image's descriptor; "" when it has none."""
        head = bytearray(_HEAD)
        self._here.readblocks(0, head, 0)
        return version_in(head)

    @property
    def trial(self):
        """True when the running image is booted but not yet confirmed.

        A table without otadata, or a record that is about another slot, is no trial.
        """
        tables = self._partition.find(1, 0)
        if not tables:
            return False
        sequence, state = _active(tables[0])
        number = self._here.info()[1] - _OTA_SUBTYPE
        subtypes = [app.info()[1] for app in self._partition.find(0)]
        slots = len([kind for kind in subtypes if 0 <= kind - _OTA_SUBTYPE < _OTA_MOST])
        ours = sequence and slots and (sequence - 1) % slots == number
        return bool(ours) and state == _PENDING

    def check(self, head, size):
        """Judge an image by its first bytes.

        raises   Fail with the reason; returns its version, "" when it carries none
        """
        if size < _HEAD or head[0] != _IMAGE_MAGIC:
            raise Fail("not an app image")
        (chip,) = unpack_from("<H", head, 12)
        if chip != self._chip:
            raise Fail("wrong chip", chip)
        if unpack_from("<I", head, 32)[0] != _DESCRIPTOR_MAGIC:
            raise Fail("no app descriptor: a merged flash image?")
        if size > self.size:
            raise Fail("image larger than the slot", size)
        return version_in(head)

    def activate(self):
        """Let the boot loader try the other slot at the next reset.

        raises   Fail("image refused by the boot loader", number)
        """
        try:
            self.target.set_boot()
        except OSError as error:
            raise Fail("image refused by the boot loader", *error.args[:1])

    def confirm(self):
        """End the trial: the running image stays. Cheap when there is no trial."""
        self._here.mark_app_valid_cancel_rollback()


def version_in(head):
    """The version string of an image's first 80 bytes; "" when it is empty or not text."""
    if unpack_from("<I", head, 32)[0] != _DESCRIPTOR_MAGIC:
        return ""
    text = bytes(head[_VERSION_AT : _VERSION_AT + _VERSION_SIZE]).split(b"\0")[0]
    for byte in text:
        if not 0x20 < byte < 0x7F:
            return ""
    return text.decode()


def _active(table):
    """(sequence, state) of the otadata record in force; (0, 0) when both are unusable."""
    record = bytearray(_RECORD)
    best = (0, 0)
    for sector in (0, 1):
        table.readblocks(sector, record, 0)
        sequence, state, crc = unpack_from("<I20xII", record)
        good = crc == crc32(pack("<I", sequence), 0xFFFFFFFF)
        if good and not _INVALID <= state <= _INVALID + 1 and sequence > best[0]:
            best = (sequence, state)
    return best
