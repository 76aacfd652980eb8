"""ESP-IDF's otadata: two sectors, one record each, that say which slot boots.

A record is u32 sequence, 20 bytes of label (unused), u32 state, u32 CRC of the sequence alone.
The record in charge is the valid one with the highest sequence; it stands for slot
(sequence - 1) % slots. Runs on this Python and on the simulated device.
Source: bootloader_common.c, esp_ota_ops.c and bootloader_utility.c of ESP-IDF 5.
"""

import binascii
import struct

RECORD = 32  # bytes
NEW, PENDING_VERIFY, VALID, INVALID, ABORTED, UNDEFINED = 0, 1, 2, 3, 4, 0xFFFFFFFF
_BLANK_SEQUENCE = 0xFFFFFFFF


def pack(sequence: int, state: int) -> bytes:
    """A record, as it is programmed into an erased sector."""
    return struct.pack("<I20sII", sequence, b"\xff" * 20, state, _crc(sequence))


def parse(record) -> tuple:
    """(sequence, state, whether its CRC is right) of 32 bytes."""
    sequence, _, state, crc = struct.unpack("<I20sII", record)
    return sequence, state, crc == _crc(sequence)


def _crc(sequence):
    return binascii.crc32(struct.pack("<I", sequence), 0xFFFFFFFF) & 0xFFFFFFFF


def unusable(record: tuple) -> bool:
    """Blank, or of an image that was found bad; the CRC does not matter here."""
    return record[0] == _BLANK_SEQUENCE or record[1] in (INVALID, ABORTED)


def active(records) -> int:
    """Index of the record in charge, or -1."""
    usable = [record[2] and not unusable(record) for record in records]
    if usable[0] and usable[1]:
        return 0 if records[0][0] >= records[1][0] else 1
    return 0 if usable[0] else 1 if usable[1] else -1


def choice(records, slot: int, slots: int) -> tuple:
    """(index, sequence) of the record that makes `slot` boot next: the other sector's."""
    at = active(records)
    if at < 0:
        return 0, slot + 1
    sequence = (slot + 1) % slots
    while records[at][0] > sequence:
        sequence += slots
    return 1 - at, sequence
