"""What the 64 bytes of header before a W800 image tell, and whether the image is whole.

Little endian: 0 magic, 4 attributes, 8 address of the body, 12 its length, 16 address of the
header, 20 address of the staging area, 24 CRC of the body, 32 version, 56 next header, 60 CRC of
the header. The CRC is CRC-32 without the last inversion.

It takes plain user images for this layout. It refuses a compressed image and a chain of several,
because it cannot look into them. They may bring a boot loader, which no job may replace.

source   WinnerMicro wm_iot_sdk: image header, ota
"""

from binascii import crc32
from struct import unpack_from

from micropython import const

from sluice.errors import Fail

_MAGIC = b"\x9f\xff\xff\xa0"
_HEADER = const(64)
_CHECKED = const(60)  # bytes that the header's own CRC is over
_GAP = const(0x400)  # from the header to the body, where it runs
_USER = const(1)  # type of an image, in the lowest four bits of the attributes
_STRANGE = const(0x310010)  # attributes: encrypted, gzip, any compression
_SIGNED = const(0x100)  # the vendor's RSA signature of 128 bytes follows the body
_XIP = 0x08000000  # address of the flash's first byte
_PIECE = const(512)  # bytes read at a time


def check(head, size, limit, places):
    """The version of an image of `size` bytes, by its head.

    limit   bytes that an image may have
    places  offsets in flash of the app slot and of the staging area
    raises  Fail with the reason
    """
    if size <= _HEADER or bytes(head[:4]) != _MAGIC:
        raise Fail("not an app image")
    if _crc(head[:_CHECKED]) != unpack_from("<I", head, 60)[0]:
        raise Fail("header damaged")
    attributes, address, length, header, staging = unpack_from("<5I", head, 4)
    if attributes & 0xF != _USER:
        raise Fail("not an app image: type", attributes & 0xF)
    if attributes & _STRANGE:
        raise Fail("compressed or encrypted image")
    if unpack_from("<I", head, 56)[0] not in (0, 0xFFFFFFFF):
        raise Fail("chain of images")
    runs, staged = places[0] + _XIP, places[1] + _XIP
    if address != runs + _GAP or header != runs or staging not in (0, staged):
        raise Fail("image for another layout")
    if _HEADER + length + (128 if attributes & _SIGNED else 0) > size or not length:
        raise Fail("image cut short")
    if size > limit:
        raise Fail("image larger than the slot", size)
    return version_in(head)


def version_in(head):
    """The version in the header; "" when empty or not text; None for no image."""
    if bytes(head[:4]) != _MAGIC:
        return None
    text = bytes(head[32:48]).split(b"\0")[0]
    for byte in text:
        if not 0x20 < byte < 0x7F:
            return ""
    return text.decode()


def name(head):
    """Tells one image from another: the version, and the CRC of the body."""
    return "%s-%08x" % (version_in(head) or "app", unpack_from("<I", head, 24)[0])


def whole(target, limit):
    """The name of the image in the target, read back and compared with its CRC.

    raises   Fail("image damaged")
    """
    piece = bytearray(_PIECE)
    target.readblocks(0, piece, 0)
    found, length = name(piece), unpack_from("<I", piece, 12)[0]
    wanted = unpack_from("<I", piece, 24)[0]
    if not 0 < length <= limit - _HEADER:
        raise Fail("image damaged")
    crc, view = 0, memoryview(piece)
    for at in range(_HEADER, _HEADER + length, _PIECE):
        part = view[: min(_PIECE, _HEADER + length - at)]
        target.readblocks(at // 4096, part, at % 4096)
        crc = crc32(part, crc)
    if crc ^ 0xFFFFFFFF != wanted:
        raise Fail("image damaged")
    return found


def _crc(data):
    return crc32(data) ^ 0xFFFFFFFF
