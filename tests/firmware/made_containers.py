"""Containers for test_container.py, made here by host_tools, because a board makes none.

Each is a file NAME in the folder `containers` beside the compiled firmware, with the image that it
makes in NAME.new; OLD is what deltas build on.
"""

import random

from sluice.image import smaller

SIZE = 61_000  # bytes of an image: the last sector is not whole


def images() -> tuple[bytes, bytes]:
    """An image, and the next one: some bytes more in front, others changed, a part that is new."""
    noise = random.Random(12)
    old = bytearray(noise.randbytes(SIZE))
    old[20_000:28_000] = b"words that repeat " * 444 + bytes(8)
    new = old[:9_000] + noise.randbytes(37) + old[9_000:]
    for at in range(30_000, 45_000, 41):
        new[at] = new[at] + 16 & 255
    new[47_000:50_000] = noise.randbytes(3_000)
    return bytes(old), bytes(new)


def samples() -> dict[str, bytes]:
    """Every file, by its name."""
    old, new = images()
    short = new[:3_000]
    found = {"OLD": old}
    for name, image, data in (
        ("delta", new, smaller.delta(new, old)),
        ("compressed", new, smaller.compressed(new)),
        ("same", old, smaller.delta(old, old)),
        ("short", short, smaller.delta(short, old)),
    ):
        found |= {name: data, f"{name}.new": image}
    return found
