"""The floor: a loop that only reads, decodes and writes. No protocol, no asyncio, no check.

Less a byte is not to be had from Python. The file holds what an image is on the wire, without
heads: base64 of each sector, or the sectors themselves.
"""

from binascii import a2b_base64

TEXT = 5464  # characters that 4,096 bytes are in base64


def decoded(source, slot, size):
    """Read, decode and write sector after sector."""
    text = memoryview(bytearray(TEXT))
    for sector in range(size // 4096):
        source.readinto(text)
        slot.writeblocks(sector, a2b_base64(text))


def plain(source, slot, size):
    """Read and write sector after sector."""
    buffer = bytearray(4096)
    for sector in range(size // 4096):
        source.readinto(buffer)
        slot.writeblocks(sector, buffer)
