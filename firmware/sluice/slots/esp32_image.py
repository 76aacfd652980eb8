"""What the first 80 bytes of an ESP32 app image tell.

0xE9 and the chip id alone do not tell an app from a merged flash image, which begins with a boot
loader; the magic of the app descriptor does.

source   ESP-IDF: esp_app_format.h, esp_app_desc.h
"""

from struct import unpack_from

from micropython import const

from sluice.errors import Fail

_IMAGE_MAGIC = const(0xE9)
_DESCRIPTOR_MAGIC = 0xABCD5432  # at byte 32; too big for const() on 32 bits
_VERSION_AT = const(48)
_HEAD = const(80)  # bytes: header, first segment's header, descriptor to the end of its version


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
