"""What an ESP32's flash holds: what the first 80 bytes of an app image tell, and otadata.

0xE9 and the chip id do not distinguish an app from a merged flash image, which begins with a boot
loader. The magic of the app descriptor does. Partition cannot tell whether the running image is on
trial. So this module reads otadata: two sectors with a record of 32 bytes each.

source   ESP-IDF: esp_app_format.h, esp_app_desc.h, esp_flash_partitions.h
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

from sluice.errors import Fail

_IMAGE_MAGIC = const(0xE9)
_DESCRIPTOR_MAGIC = 0xABCD5432  # at byte 32; too big for const() on 32 bits
_VERSION_AT = const(48)
_HEAD = const(80)  # bytes: header, first segment's header, descriptor to the end of its version
_RECORD = const(32)  # bytes, in otadata
_PENDING = const(1)  # ESP_OTA_IMG_PENDING_VERIFY
_INVALID = const(3)  # ESP_OTA_IMG_INVALID; 4 is ABORTED
_OTA_SUBTYPE = const(0x10)
_OTA_MOST = const(16)  # slots that a table may have


def check(head, size, limit, chip):
    """The version of an image of `size` bytes for a slot of `limit` bytes on that chip.

    raises   Fail with the reason
    """
    if size < _HEAD or head[0] != _IMAGE_MAGIC:
        raise Fail("not an app image")
    if unpack_from("<H", head, 12)[0] != chip:
        raise Fail("wrong chip", unpack_from("<H", head, 12)[0])
    if unpack_from("<I", head, 32)[0] != _DESCRIPTOR_MAGIC:
        raise Fail("no app descriptor: a merged flash image?")
    if size > limit:
        raise Fail("image larger than the slot", size)
    return version_in(head)


def version_in(head):
    """The version string in the descriptor; "" when empty or not text; None for no image."""
    if head[0] != _IMAGE_MAGIC:
        return None
    if unpack_from("<I", head, 32)[0] != _DESCRIPTOR_MAGIC:
        return ""
    text = bytes(head[_VERSION_AT:_HEAD]).split(b"\0")[0]
    for byte in text:
        if not 0x20 < byte < 0x7F:
            return ""
    return text.decode()


def on_trial(partition):
    """True when the record in force is about the slot that runs, and awaits its confirmation.

    A table without otadata, or a record that is about another slot, is no trial.
    """
    tables = partition.find(1, 0)
    if not tables:
        return False
    sequence, state = _active(tables[0])
    number = partition(partition.RUNNING).info()[1] - _OTA_SUBTYPE
    subtypes = [app.info()[1] for app in partition.find(0)]
    slots = len([kind for kind in subtypes if 0 <= kind - _OTA_SUBTYPE < _OTA_MOST])
    ours = sequence and slots and (sequence - 1) % slots == number
    return bool(ours) and state == _PENDING


def _active(table):
    """(sequence, state) of the record in force; (0, 0) when both are unusable."""
    record = bytearray(_RECORD)
    best = (0, 0)
    for sector in (0, 1):
        table.readblocks(sector, record, 0)
        sequence, state, crc = unpack_from("<I20xII", record)
        good = crc == crc32(pack("<I", sequence), 0xFFFFFFFF)
        if good and not _INVALID <= state <= _INVALID + 1 and sequence > best[0]:
            best = (sequence, state)
    return best
