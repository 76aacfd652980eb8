"""Makes an ESP32 app image that ESP-IDF, esptool and the simulated boot loader accept.

Two segments: the data segment (mapped flash: app descriptor, archive of modules, padding) and
two words of code, an endless loop at the entry point. On a real chip such an image therefore
does nothing: it is there to be delivered, proven and simulated. Bytes that follow the image, so
that a file can have any size, are ignored by ESP-IDF.
"""

import hashlib
import random
import struct
from dataclasses import dataclass
from pathlib import Path

from sluice.errors import SluiceError
from sluice.image import archive, w800
from sluice.image.appimage import (
    CHECKSUM_SEED,
    DESCRIPTOR_MAGIC,
    DIGEST,
    HEADER,
    MAGIC,
    MMU_PAGE,
)
from sluice.image.modules import compiled, device_modules

VERSION_MAX = 31  # bytes, and a zero
_VERSION_FAULT = f"a version has 1 to {VERSION_MAX} printable bytes"
_LINE = 16  # bytes: the checksum ends one
_CODE = 16  # bytes of the code segment


@dataclass(frozen=True)
class Chip:
    """What an image says about its chip; addresses are those of its data and code memory."""

    id: int
    data: int
    code: int
    loop: bytes  # a jump to itself


# fmt: off
CHIPS = {
    "esp32":   Chip(0, 0x3F400000, 0x40080000, b"\x06\xff\xff\x00"),
    "esp32c3": Chip(5, 0x3C000000, 0x40380000, b"\x6f\x00\x00\x00"),
    "esp32s3": Chip(9, 0x3C000000, 0x40378000, b"\x06\xff\xff\x00"),
}
# fmt: on
SIMULATED = {**dict.fromkeys(CHIPS, "SIM_ESP32"), w800.CHIP: w800.BOARD}  # by chip


def make_image(
    version: str,
    size: int | None = None,
    chip: str = "esp32",
    app: str | Path | None = None,
    modules: dict[str, Path | str] | None = None,
    board: str | None = None,
    padding: str | None = None,
) -> bytes:
    """An app image of exactly `size` bytes, or as small as it gets.

    version  str, 1..31 bytes
    app      the application: a file, or its text; it becomes the module `app`
    modules  {path such as "main.py": a file, or its text} instead of the firmware
    board    the folder of boards/ whose board.py goes with the firmware; None is the simulated one
    padding  the version whose padding it has: of an image that differs little from that; None: its
             own
    raises   SluiceError: unknown chip, version too long, size too small, source does not compile
    """
    if chip not in SIMULATED:
        raise SluiceError(f"unknown chip {chip}; known are {', '.join(SIMULATED)}")
    if not version:
        raise SluiceError(_VERSION_FAULT)
    board = board or SIMULATED[chip]
    content = dict(device_modules(board)) if modules is None else compiled(modules)
    if app is not None:
        content |= compiled({"app.py": app})
    return pack_image(version, content, size, chip, padding)


def pack_image(
    version: str,
    content: dict[str, bytes],
    size: int | None = None,
    chip: str = "esp32",
    padding: str | None = None,
) -> bytes:
    """An app image around modules that are compiled already; MicroPython's own have no version."""
    if chip == w800.CHIP:
        return w800.pack_image(version, content, size, padding)
    if len(version.encode()) > VERSION_MAX or not version.isprintable():
        raise SluiceError(_VERSION_FAULT)
    packed = archive.pack(content)
    data = _descriptor(version, packed) + packed
    data += bytes(-len(data) % 4)
    fixed = HEADER + 8 + 8 + _CODE
    least = (fixed + len(data) + _LINE) // _LINE * _LINE + DIGEST
    size = least if size is None else size
    if size < least:
        raise SluiceError(f"{size} bytes are too few: these modules take {least}")
    body = (size - DIGEST) // _LINE * _LINE
    noise = random.Random(f"{padding or version} {size} {chip}")  # the same image every time
    data += noise.randbytes((body - 1 - fixed - len(data)) // 4 * 4)
    image = _assemble(CHIPS[chip], data, body)
    return image + noise.randbytes(size - len(image))


def _assemble(chip: Chip, data: bytes, body: int) -> bytes:
    """Header, both segments, checksum at the end of `body` bytes, SHA-256."""
    code = chip.loop + bytes(_CODE - len(chip.loop))
    address = chip.data + (HEADER + 8) % MMU_PAGE
    image = _header(chip) + struct.pack("<II", address, len(data)) + data
    image += struct.pack("<II", chip.code, len(code)) + code
    image += bytes(body - 1 - len(image)) + bytes([_checksum(data + code)])
    return image + hashlib.sha256(image).digest()


def _header(chip: Chip) -> bytes:
    """Two segments, DIO flash of 4 MiB at 40 MHz, any chip revision, hash appended."""
    return struct.pack(
        "<BBBBIB3sHBHH4sB",
        *(MAGIC, 2, 2, 0x20, chip.code, 0xEE, bytes(3)),
        *(chip.id, 0, 0, 0xFFFF, bytes(4), 1),
    )


def _descriptor(version: str, packed: bytes) -> bytes:
    """esp_app_desc_t, 256 bytes; no time of day, so that equal input gives equal images."""
    return struct.pack(
        "<II8s32s32s16s16s32s32s80s",
        *(DESCRIPTOR_MAGIC, 0, bytes(8), version.encode(), b"sluice"),
        *(b"", b"", b"", hashlib.sha256(packed).digest(), bytes(80)),
    )


def _checksum(data: bytes) -> int:
    """XOR of all bytes, folded as numbers of half the width each time."""
    width = 1 << (len(data) - 1).bit_length()
    folded = int.from_bytes(data, "little")
    while width > 1:
        width //= 2
        folded = (folded >> (8 * width)) ^ (folded & ((1 << (8 * width)) - 1))
    return folded ^ CHECKSUM_SEED
