"""The seal: an image's own signature behind it, for orders which have no place for one.

    … image … | signature | length, 2 bytes, little-endian | algorithm | 0 | "sluicesg"

The signature covers the SHA-256 of everything before it. ESP-IDF does not look at what follows an
image. firmware/sluice/trust/seal.py finds it in the slot.
"""

import hashlib
import struct

from sluice.errors import SluiceError
from sluice.signing import PrivateKey, algorithm, sign_digest

MAGIC = b"sluicesg"
FOOT = struct.Struct("<HBB8s")
ALGORITHMS = {"ECDSA": 1, "RSA": 2}
SIGNATURE_MAX = 512  # bytes: RSA-4096


def sealed(image: bytes, key: PrivateKey) -> bytes:
    """The image with its seal; SluiceError for one that has a seal already."""
    if unsealed(image):
        raise SluiceError("the image is sealed already")
    signature = sign_digest(hashlib.sha256(image).digest(), key)
    return image + signature + FOOT.pack(len(signature), ALGORITHMS[algorithm(key)], 0, MAGIC)


def unsealed(data: bytes) -> tuple[int, str, bytes] | None:
    """(bytes that are signed, algorithm, signature) of a file; None without a seal."""
    if len(data) <= FOOT.size:
        return None
    length, kind, zero, magic = FOOT.unpack_from(data, len(data) - FOOT.size)
    size = len(data) - FOOT.size - length
    names = {number: name for name, number in ALGORITHMS.items()}
    if magic != MAGIC or zero or kind not in names or not 0 < length <= SIGNATURE_MAX or size <= 0:
        return None
    return size, names[kind], data[size : size + length]
