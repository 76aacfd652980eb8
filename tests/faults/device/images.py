"""The images of the sweeps. Device code; as a program it writes them into a folder.

Parts of both are the same, parts are even, and parts are their own: so a container of one takes
several blocks, and copies from the other, inflates and stores.
"""

import sys
from hashlib import sha256
from struct import pack

_PART = 32  # bytes


def image(version, size, seed=1):
    """An app image: a head that the firmware reads, and a digest at its end."""
    data = bytearray(size)
    for at in range(96, size - _PART, _PART):
        number = at // _PART
        if number % 4:
            data[at : at + _PART] = sha256(b"%d %d" % (seed if number & 1 else 0, number)).digest()
    data[0] = 0xE9
    data[32:36] = pack("<I", 0xABCD5432)
    data[48 : 48 + len(version)] = version.encode()
    data[-32:] = sha256(memoryview(data)[:-32]).digest()
    return data


OLD, NEW = image("1.0.0", 12_000, 3), image("1.1.0", 5 * 4096 + 1_000)

if __name__ == "__main__":
    for name, data in (("old.bin", OLD), ("new.bin", NEW)):
        with open(sys.argv[1] + "/" + name, "wb") as file:
            file.write(data)
