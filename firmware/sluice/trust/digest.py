"""The digest of what a slot holds: taken from flash, never from what came over the link."""

import hashlib

from micropython import const

_SECTOR = const(4096)


async def sha256(slot, size, buffer, pause):
    """SHA-256 of the first `size` bytes of the slot, as flash holds them now."""
    return await _taken(hashlib.sha256(), slot, size, buffer, pause)


async def md5(slot, size, buffer, pause):
    """The same in MD5, which some senders tell; it finds accidents and proves nothing."""
    return await _taken(hashlib.md5(), slot, size, buffer, pause)


async def _taken(digest, slot, size, buffer, pause):
    view = memoryview(buffer)[:_SECTOR]
    for number in range(-(-size // _SECTOR)):
        slot.readblocks(number, view)
        digest.update(view[: min(_SECTOR, size - number * _SECTOR)])
        if not number & 15:
            await pause()
    return digest.digest()
