"""Is the running image on trial? Partition has no way to ask, so otadata is read here.

source   ESP-IDF: esp_flash_partitions.h (two sectors with a record of 32 bytes each)
"""

from binascii import crc32
from struct import pack, unpack_from

from micropython import const

_RECORD = const(32)  # bytes
_PENDING = const(1)  # ESP_OTA_IMG_PENDING_VERIFY
_INVALID = const(3)  # ESP_OTA_IMG_INVALID; 4 is ABORTED
_OTA_SUBTYPE = const(0x10)
_OTA_MOST = const(16)  # slots that a table may have


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
