"""A signature that an image carries itself, for orders which have no place for one.

    … image … | signature | length, 2 bytes, little-endian | algorithm | 0 | "sluicesg"

The seal is the end of the file and is counted in its size; what is signed is all before it. What
follows an app image is not looked at by the boot loader. host_tools/image/seal.py makes it.
"""

from binascii import hexlify
from struct import unpack_from

from micropython import const

from sluice.errors import Fail
from sluice.loading import plug_in

_SECTOR = const(4096)
_FOOT = const(12)  # bytes: length, algorithm, zero, magic
_SIGNATURE = const(512)  # bytes at most: RSA-4096
_MAGIC = b"sluicesg"
_ALGORITHMS = {1: "ecdsa", 2: "rsa"}


async def unseal(file, slot, buffer, settings, pause):
    """How many bytes of the file are signed; its own signature, if it has one, becomes its.

    raises   Fail when the slot does not hold what was ordered, or no signature where one must be
    """
    if file.md5:
        found = await plug_in("sluice.trust.verify", "md5")(slot, file.size, buffer, pause)
        if hexlify(found).decode() != file.md5:
            raise Fail("md5 is not the one ordered")
    found = find(slot, file.size, buffer) if file.sealed else None
    if not found and file.sealed and not settings["allow_unsigned"]:
        raise Fail("no signature, neither in the order nor in the image")
    if not found or settings["allow_unsigned"] and not settings["signers"]:
        return file.size
    size, file.signature, file.algorithm = found
    return size


def find(slot, size, buffer):
    """(bytes that are signed, signature, algorithm) of a file in a slot; None without a seal.

    buffer   bytearray, a sector at least: to read into
    """
    foot = _read(slot, size - _FOOT, _FOOT, buffer) if size > _FOOT else b""
    if len(foot) < _FOOT or foot[4:] != _MAGIC:
        return None
    length, kind, zero = unpack_from("<HBB", foot)
    signed = size - _FOOT - length
    if not 0 < length <= _SIGNATURE or zero or kind not in _ALGORITHMS or signed <= 0:
        return None
    return signed, _read(slot, signed, length, buffer), _ALGORITHMS[kind]


def _read(slot, at, size, buffer):
    """Some bytes of the slot, over the border of two sectors too."""
    view, found = memoryview(buffer)[:_SECTOR], b""
    while size:
        slot.readblocks(at // _SECTOR, view)
        start = at % _SECTOR
        part = bytes(view[start : start + size])
        found += part
        at += len(part)
        size -= len(part)
    return found
