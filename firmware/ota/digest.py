"""The digest of what a slot holds: taken from flash, never from what came over the link."""

import hashlib


async def sha256(slot, size, buffer, pause):
    """SHA-256 of the first `size` bytes of the slot, as flash holds them now."""
    sha, view, sector = hashlib.sha256(), memoryview(buffer), len(buffer)
    for number in range(-(-size // sector)):
        slot.readblocks(number, buffer)
        sha.update(view[: min(sector, size - number * sector)])
        if not number & 15:
            await pause()
    return sha.digest()
