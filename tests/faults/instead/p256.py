"""In the place of trust.p256: as many slices, and a signature that takes no time to check."""

from hashlib import sha256

_SLICES = 3


def steps(x, y, digest, signature):
    for _ in range(_SLICES):
        yield None
    yield signature == sha256(digest + b"signed").digest()


def on_curve(x, y):
    return True
