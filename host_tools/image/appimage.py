"""What ESP-IDF checks of an app image before it lets it boot.

Header, chip, segments, XOR checksum, appended SHA-256; what follows the image in its slot is not
looked at. Runs on this Python and, inside `Partition.set_boot`, on the simulated device, so it
holds no more than one small piece at a time.
Source: esp_image_format.c of ESP-IDF 5.
"""

import hashlib
import struct

HEADER = 24  # bytes
MAGIC = 0xE9
DESCRIPTOR = 32  # offset in the file of the app descriptor, 256 bytes
DESCRIPTOR_MAGIC = 0xABCD5432
CHECKSUM_SEED = 0xEF
DIGEST = 32  # bytes of SHA-256 after the checksum
MMU_PAGE = 0x10000  # bytes: a mapped segment lies at the same offset in flash and in memory
_SEGMENTS_MAX = 16
_SEGMENT_MAX = 0x1000000  # bytes
_PIECE = 512  # bytes read at a time

# fmt: off
MAPPED = {  # chip id → the address ranges that are flash seen through the MMU
    0: ((0x3F400000, 0x3F800000), (0x400D0000, 0x40400000)),  # ESP32
    5: ((0x3C000000, 0x3C800000), (0x42000000, 0x42800000)),  # ESP32-C3
    9: ((0x3C000000, 0x3E000000), (0x42000000, 0x44000000)),  # ESP32-S3
}
# fmt: on


def verify(read, room: int, chip: int) -> tuple:
    """Check the image that `read(offset, view)` fills a view from.

    room     int, bytes that can be read: the slot's size
    chip     int, chip id of the board
    returns  (bytes of the image, [(load address, offset of the data, bytes), ...])
    raises   ValueError with a short reason
    """
    if room < HEADER:
        raise ValueError("truncated")
    head = bytearray(HEADER)
    read(0, head)
    _check_header(head, chip)
    digest = hashlib.sha256(head)
    segments, end, folded = _walk(read, room, chip, head[1], digest)
    body = (end + 16) // 16 * 16  # the checksum is the last byte of a line of 16
    hashed = head[23] == 1
    if body + DIGEST * hashed > room:
        raise ValueError("truncated")
    tail = bytearray(body - end)
    read(end, tail)
    if tail[-1] != folded:
        raise ValueError("checksum is wrong")
    if not hashed:
        return body, segments
    digest.update(tail)
    appended = bytearray(DIGEST)
    read(body, appended)
    if bytes(appended) != digest.digest():
        raise ValueError("SHA-256 is wrong")
    return body + DIGEST, segments


def _check_header(head, chip):
    if head[0] != MAGIC:
        raise ValueError("not an app image: first byte is 0x%02x" % head[0])  # noqa: UP031
    if not 0 < head[1] <= _SEGMENTS_MAX:
        raise ValueError("segment count is wrong")
    if struct.unpack_from("<H", head, 12)[0] != chip:
        raise ValueError("made for another chip")


def _walk(read, room, chip, count, digest):
    """Every segment in turn; (segments, end of the last, checksum)."""
    view = memoryview(bytearray(_PIECE))
    segments = []
    at = HEADER
    folded = 0
    for _ in range(count):
        if at + 8 > room:
            raise ValueError("truncated")
        read(at, view[:8])
        digest.update(view[:8])
        address, size = struct.unpack("<II", view[:8])
        at += 8
        _check_segment(address, size, at, room, chip)
        segments.append((address, at, size))
        for offset in range(at, at + size, _PIECE):
            piece = view[: min(_PIECE, at + size - offset)]
            read(offset, piece)
            digest.update(piece)
            folded ^= int.from_bytes(piece, "little")
        at += size
    checksum = CHECKSUM_SEED
    for byte in folded.to_bytes(_PIECE, "little"):
        checksum ^= byte
    return segments, at, checksum


def _check_segment(address, size, at, room, chip):
    if size % 4 or size > _SEGMENT_MAX:
        raise ValueError("segment length is wrong")
    if at + size > room:
        raise ValueError("truncated")
    for low, high in MAPPED[chip]:
        if low <= address < high and address % MMU_PAGE != at % MMU_PAGE:
            raise ValueError("segment at the wrong offset")
