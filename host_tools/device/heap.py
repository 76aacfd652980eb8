"""How much heap MicroPython is given, so that a program has what it would have on a chip."""

import re

from sluice.errors import SluiceError

CHIP_HEAP = "112k"  # an ESP32's heap: 56 KiB, which doubles once
SECOND_AREA = 56 * 1024  # bytes of that
# What the model's own modules take of the heap, which on a chip are C and lie in flash. So much
# more the process gets. A test measures them: it is never more than they take.
MODEL_HEAP = 6_656  # bytes
_UNITS = {"k": 1024, "m": 1024 * 1024, "": 1}


def heap_bytes(words: str) -> int:
    """A heap's size as it is written: "112k", "1M", "57344"."""
    found = re.fullmatch(r"([1-9][0-9]*)([kKmM]?)", words)
    if not found:
        raise SluiceError(f"not a heap size: {words!r}; for example {CHIP_HEAP}")
    return int(found[1]) * _UNITS[found[2].lower()]
