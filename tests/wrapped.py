"""Compressed W800 images, as the vendor's tools make them."""

import lzma

from sluice.image.w800 import USER, XZ, header


def packed(inside: bytes, more: bytes = b"", attributes: int = XZ | USER) -> bytes:
    """As the vendor's documentation has it: xz with a dictionary of 32 KiB and a CRC32, padded
    with FF to four bytes, behind a header."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 32_768}]
    body = lzma.compress(inside, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters) + more
    body += b"\xff" * 4
    return header("1.2.3", body, attributes) + body
