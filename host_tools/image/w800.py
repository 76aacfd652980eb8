"""W800 images: made around modules, and read back.

64 bytes of header, then the body: the archive of modules, and noise up to the size asked for. On
a real chip such an image does nothing: it is there to be delivered, proven and simulated. Where it
runs, the body lies 0x400 bytes after the header.
Source: WinnerMicro wm_iot_sdk, image header.
"""

import binascii
import lzma
import random
import struct

from sluice import boards
from sluice.errors import SluiceError
from sluice.image import archive
from sluice.image.wmtable import read_csv

CHIP = "w800"
BOARD = "SIM_W800"
MAGIC = 0xA0FFFF9F
HEADER = 64  # bytes
GAP = 0x400  # bytes from the header to the body, where it runs
USER = 1  # type of an image, in the attributes
XZ = 0x100000  # attributes: the body is compressed so
VERSION_MAX = 15  # bytes, and a zero
XIP = 0x08000000  # address of the flash's first byte
_FORM = "<8I16s3I"
_STRANGE = 0x310010  # attributes: encrypted, gzip, any compression
_PLAIN_MAX = 4 * 1024 * 1024  # bytes: more than the flash of any has
_XZ_MEMORY = 16 * 1024 * 1024  # bytes; the vendor's dictionary has 32 KiB
_CHECKED = 60  # bytes that the header's own CRC is over


def crc(data: bytes) -> int:
    """CRC-32 without its last inversion, as the boot loader takes it."""
    return binascii.crc32(data) ^ 0xFFFFFFFF


def pack_image(
    version: str, content: dict[str, bytes], size: int | None = None, padding: str | None = None
) -> bytes:
    """An image of exactly `size` bytes, or as small as it gets, for the layout of SIM_W800.

    padding  the version whose padding it has; None: its own

    raises   SluiceError: version too long, size too small
    """
    if len(version.encode()) > VERSION_MAX or not version.isprintable():
        raise SluiceError(f"a version has 1 to {VERSION_MAX} printable bytes on a {CHIP}")
    body = archive.pack(content)
    least = HEADER + len(body) + -len(body) % 4
    size = least if size is None else size
    if size < least:
        raise SluiceError(f"{size} bytes are too few: these modules take {least}")
    noise = random.Random(f"{padding or version} {size} {CHIP}")  # the same image every time
    length = (size - HEADER) // 4 * 4
    body += noise.randbytes(length - len(body))
    return header(version, body) + body + noise.randbytes(size - HEADER - length)


def header(version: str, body: bytes, attributes: int = USER) -> bytes:
    """The header of a body that runs in `app`."""
    layout = read_csv(boards.folder(BOARD) / "partitions.csv")
    app, staging = (XIP + layout.labelled(label).offset for label in ("app", "app_ota"))
    fields = (MAGIC, attributes, app + GAP, len(body), app, staging, crc(body), 0)
    head = struct.pack("<8I16s3I", *fields, version.encode(), 0, 0, 0)
    return head + struct.pack("<I", crc(head))


def read(data: bytes) -> dict:
    """What the header of a contiguous image tells: version, body, addresses.

    raises   ValueError with a short reason, when it is none or not whole
    """
    return _read(data, 0)


def head(data: bytes, packed: int = 0) -> tuple:
    """The fields of a header whose attributes say that the image is packed so: 0 or XZ.

    raises   ValueError with a short reason
    """
    if len(data) < HEADER:
        raise ValueError("truncated")
    fields = struct.unpack_from(_FORM, data)
    magic, attributes = fields[:2]
    if magic != MAGIC:
        raise ValueError("not a W800 image")
    if crc(data[:_CHECKED]) != struct.unpack_from("<I", data, _CHECKED)[0]:
        raise ValueError("the header's CRC is wrong")
    if attributes & 0xF != USER or attributes & _STRANGE != packed:
        raise ValueError(f"attributes 0x{attributes:x} are not those of a plain user image")
    return fields


def _read(data: bytes, packed: int) -> dict:
    """The same of an image that is packed so."""
    _, _, address, length, _, _, body_crc, _, version, *_ = head(data, packed)
    body = data[HEADER : HEADER + length]
    if len(body) != length:
        raise ValueError("truncated")
    if crc(body) != body_crc:
        raise ValueError("the body's CRC is wrong")
    return {
        "version": version.split(b"\0")[0].decode(errors="replace"),
        "address": address,
        "body": body,
        "crc": body_crc,
    }


def unwrapped(data: bytes) -> bytes:
    """The plain image inside the vendor's `_ota.img`; any other data as it is.

    Such a file is a header of the same form, and behind it the whole of a plain image, header and
    body, compressed by xz. It was not tried on one that the vendor's tools made: the form is that
    of its documentation, whether the CRC is of what is compressed that of its OTA code.

    raises   ValueError with a short reason: not whole, or no plain image is inside
    """
    if len(data) < HEADER or struct.unpack_from("<I", data)[0] != MAGIC:
        return data
    if struct.unpack_from("<I", data, 4)[0] & _STRANGE != XZ:
        return data
    body = _read(data, XZ)["body"]
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    try:
        plain = unpacker.decompress(body, _PLAIN_MAX)
    except lzma.LZMAError as error:
        raise ValueError(f"its xz is bad: {error}") from None
    if not unpacker.eof:
        raise ValueError("its xz is cut short, or too large")
    if unpacker.unused_data.strip(b"\xff"):  # padded to four bytes
        raise ValueError("there is more in it than one image")
    try:
        read(plain)
    except ValueError as error:
        raise ValueError(f"the image inside is bad: {error}") from None
    return plain
