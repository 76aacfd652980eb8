"""A bundle's file: members in a USTAR archive in a gzip. docs/bundles.md describes it.

This module judges a bundle as strictly as a board does. A bundle that passes is one that a board
can unpack.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from sluice.bundle import rules, tree
from sluice.bundle.rules import DESCRIPTION, Description
from sluice.errors import SluiceError

WINDOW_BITS = 10  # of deflate: 1 KiB, which a board has the RAM for
UNPACKED_MAX = 8 * 1024 * 1024  # bytes: no board's file system holds a larger tree
RECORD = 512  # bytes of a tar's header; contents are filled up to a multiple
GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"  # deflate, no name, no comment, no time
CHECKSUM = slice(148, 156)  # of a tar's header
DEVICE = slice(329, 345)
_FED = 64  # bytes fed to the inflater at a time
_SIZE = re.compile(rb"[0-7]{11}\0")
_TYPES = {
    "\0": "written before USTAR",
    "1": "a link",
    "2": "a link",
    "3": "a device",
    "4": "a device",
    "5": "a folder",
    "6": "a pipe",
    "L": "a long name",
    "g": "a pax header",
    "x": "a pax header",
}


def pack(description: Mapping[str, Any], members: Mapping[str, bytes]) -> bytes:
    """The bundle of {path: content}. A sluice.json among the members is made anew.

    raises  SluiceError: what a board would refuse
    """
    rules.check_description(description)
    rest = {path: members[path] for path in sorted(members) if path != DESCRIPTION}
    rules.check_members(description, rest)
    every = {DESCRIPTION: rules.written(description)} | rest
    tree.pack(every)
    parts = []
    for path, content in every.items():
        parts += [header(path, len(content)), content, bytes(-len(content) % RECORD)]
    data = b"".join(parts) + bytes(2 * RECORD)
    if len(data) > UNPACKED_MAX:
        raise SluiceError(f"{len(data):,} bytes are too many: a board unpacks {UNPACKED_MAX:,}")
    return _gzip(data)


def _gzip(data: bytes) -> bytes:
    """The gzip of it. Its first block is stored and holds what the bundle says of itself, so that
    a board can judge it before it has room to inflate anything."""
    first = data[: 2 * RECORD]
    stored = b"\0" + struct.pack("<HH", len(first), len(first) ^ 0xFFFF) + first
    packer = zlib.compressobj(9, zlib.DEFLATED, -WINDOW_BITS)
    rest = packer.compress(data[len(first) :]) + packer.flush()
    return GZIP + b"\x02\xff" + stored + rest + struct.pack("<II", zlib.crc32(data), len(data))


def unpack(data: bytes) -> tuple[Description, dict[str, bytes]]:
    """(what sluice.json says, {path: content} with sluice.json first) of a bundle.

    raises  SluiceError that says why a board would refuse it
    """
    members: dict[str, bytes] = {}
    for path, content in _members(inflated(data)):
        if not members and path != DESCRIPTION:
            raise SluiceError(f"the first member is {path}, not {DESCRIPTION}")
        if path in members:
            raise SluiceError(f"two members are called {path}")
        if len(members) > 1 and path < list(members)[-1]:
            raise SluiceError(f"the members are not sorted: {path} comes late")
        members[path] = content
    if not members:
        raise SluiceError(f"the bundle is empty: it has no {DESCRIPTION}")
    description = rules.read(members[DESCRIPTION])
    rest = {path: content for path, content in members.items() if path != DESCRIPTION}
    rules.check_members(description, rest)
    tree.pack(members)  # whose index must tell the paths apart
    return description, members


def is_bundle(data: bytes) -> bool:
    """Whether a file is meant to be a bundle: by its first bytes, those of gzip."""
    return data[:2] == GZIP[:2]


def inflated(data: bytes) -> bytes:
    """The archive in the gzip, as a board with a window of 1 KiB would get it.

    raises  SluiceError: not gzip, not whole, too large, another window, bytes behind its end
    """
    if not is_bundle(data):
        raise SluiceError("not a bundle: it is no gzip file")
    if data[: len(GZIP)] != GZIP:
        raise SluiceError("the gzip has a name, a time or something else in its head")
    _check_size(data)
    inflater = zlib.decompressobj(16 + WINDOW_BITS)
    found = []
    try:
        # A byte at a time: only so does zlib hold to the window, and not to what it has given out.
        for start in range(0, len(data), _FED):
            piece = data[start : start + _FED]
            while True:
                byte = inflater.decompress(piece, 1)
                piece = inflater.unconsumed_tail
                found.append(byte)
                if not (byte or piece) or inflater.eof:
                    break
    except zlib.error as error:
        if "distance" in str(error):
            raise SluiceError("the gzip was made with a window of more than 1 KiB") from None
        raise SluiceError(f"the gzip is bad: {_reason(error)}") from None
    return b"".join(found)


def _check_size(data: bytes) -> None:
    """Refuse at once what is too large, cut short, broken, or followed by something."""
    inflater = zlib.decompressobj(31)
    try:
        size = len(inflater.decompress(data, UNPACKED_MAX + 1))
    except zlib.error as error:
        raise SluiceError(f"the gzip is bad: {_reason(error)}") from None
    if size > UNPACKED_MAX:
        raise SluiceError(f"it unpacks to more than {UNPACKED_MAX:,} bytes")
    if not inflater.eof:
        raise SluiceError("the gzip is cut short")
    if inflater.unused_data:
        raise SluiceError(f"bytes follow the end of the gzip: {len(inflater.unused_data)}")


def _reason(error: zlib.error) -> str:
    """zlib's words, in ours where they are about the check at the end."""
    text = str(error).rpartition(": ")[2]
    return {"incorrect data check": "wrong CRC", "incorrect length check": "wrong length"}.get(
        text, text
    )


def header(path: str, size: int) -> bytes:
    """The USTAR header of a plain file: mode 644, nobody's, of no time."""
    block = bytearray(RECORD)
    block[: len(path)] = path.encode("ascii")
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:148] = b"%011o\0" % size + b"%011o\0" % 0
    block[CHECKSUM] = b" " * 8
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[CHECKSUM] = b"%06o\0 " % sum(block)
    return bytes(block)


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """(path, content) of each member of an archive that is just what `pack` would write."""
    at = 0
    while True:
        block = archive[at : at + RECORD]
        if len(block) < RECORD:
            raise SluiceError("the archive is cut short: it does not end in two blocks of zeros")
        if block == bytes(RECORD):
            break
        path, size = _head(block)
        at += RECORD
        content = archive[at : at + size]
        filled = archive[at + size : at + size + -size % RECORD]
        if len(content) + len(filled) != size + -size % RECORD:
            raise SluiceError(f"{path} is cut short")
        if any(filled):
            raise SluiceError(f"something is hidden behind the end of {path}")
        yield path, content
        at += size + len(filled)
    if archive[at:] != bytes(2 * RECORD):
        raise SluiceError("the archive must end in two blocks of zeros, and nothing more")


def _head(block: bytes) -> tuple[str, int]:
    """(path, size) of a header. Raises SluiceError that says what is wrong with it."""
    name = block[:100].split(b"\0")[0].decode("latin-1")
    if block[CHECKSUM] != b"%06o\0 " % (sum(block) - sum(block[CHECKSUM]) + 8 * 32):
        raise SluiceError("the archive is bad: wrong checksum of a header")
    kind = chr(block[156])
    if kind != "0":
        raise SluiceError(f"{name} is not a plain file: {_TYPES.get(kind, f'type {kind!r}')}")
    if block[257:265] != b"ustar\x0000":
        raise SluiceError(f"the header of {name} is not of USTAR")
    if any(block[345:500]):
        raise SluiceError(f"the path of {name} has a prefix: it is too long")
    rules.check_path(name if name != DESCRIPTION else "-")
    if not _SIZE.fullmatch(block[124:136]):
        raise SluiceError(f"the size of {name} is no number")
    size = int(block[124:135], 8)
    numbers = block[DEVICE]
    if numbers.strip(b"0\0") or _said(header(name, size)) != _said(block):
        raise SluiceError(f"{name} has an owner, a time or another mode than 644")
    return name, size


def _said(block: bytes) -> bytes:
    """A header without its checksum and the numbers of a device, which may be two kinds of 0."""
    return block[: CHECKSUM.start] + block[CHECKSUM.stop : DEVICE.start] + block[DEVICE.stop :]
