"""A tree: the one file in a board's root that code is imported from. And the record of trees.

A tree holds the contents of a bundle's members, then an index, then where the index begins. The
index knows a path by its CRC-32 only.

The record lies in two cells, `/trees.0` and `/trees.1`. The cell with the higher number counts.
"""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sluice.errors import SluiceError

MAGIC = b"SLT1"
END = struct.Struct("<I4s")  # offset of the index, MAGIC
ENTRY = struct.Struct("<III")  # CRC-32 of the path, offset, size
FOLDER = 0xFFFFFFFF  # the offset of what is a folder
BLOCK = 4096  # bytes of flash that LittleFS gives a file at a time
POINTER = 4  # bytes of a pointer from one block of a file to an earlier one

Tree = Sequence[Any]  # letter, SHA-256 in hex, version, .mpy format; 0 where all is source

_CELL = re.compile(rb"[0-9a-f]{8}\{.*\}", re.DOTALL)


def pack(members: Mapping[str, bytes]) -> bytes:
    """The tree of {path: content}, in this order. `sluice.json` is the first of them.

    raises  SluiceError: there is no sluice.json, or two paths have the same CRC-32
    """
    if next(iter(members), None) != "sluice.json":
        raise SluiceError("a tree begins with sluice.json")
    places: dict[int, tuple[int, int]] = {}
    owners: dict[int, str] = {}
    at = 0
    for path, content in members.items():
        for folder in _folders(path):
            if owners.get(_crc(folder)) != folder:
                _claim(owners, folder)
                places[_crc(folder)] = FOLDER, 0
        _claim(owners, path)
        places[_crc(path)] = at, len(content)
        at += len(content)
    index = b"".join(ENTRY.pack(crc, *place) for crc, place in places.items())
    return b"".join([*members.values(), index, END.pack(at, MAGIC)])


def entries(tree: bytes) -> dict[int, tuple[int, int]]:
    """{CRC-32 of a path: (offset, size)}; a folder's offset is FOLDER.

    raises  SluiceError: it is no tree, or not a whole one
    """
    if len(tree) < END.size:
        raise SluiceError("not a tree: it is too short")
    at, magic = END.unpack_from(tree, len(tree) - END.size)
    size = len(tree) - END.size - at
    if magic != MAGIC:
        raise SluiceError(f"not a tree: it does not end in {MAGIC.decode()}")
    if size < 0 or size % ENTRY.size:
        raise SluiceError("the tree's index is not whole")
    found: dict[int, tuple[int, int]] = {}
    filled = 0
    for crc, offset, length in ENTRY.iter_unpack(tree[at : at + size]):
        if crc in found:
            raise SluiceError("the tree's index has two entries of one CRC")
        if (offset, length) != (FOLDER, 0):
            if offset != filled:
                raise SluiceError("the tree's members do not lie one behind the other")
            filled += length
        found[crc] = offset, length
    if filled != at:
        raise SluiceError("the tree's members do not end where its index begins")
    return found


def members(tree: bytes) -> dict[int, bytes]:
    """{CRC-32 of the path: content} of all files of a tree. The paths are not in it."""
    return {
        crc: tree[offset : offset + size]
        for crc, (offset, size) in entries(tree).items()
        if offset != FOLDER
    }


def read(tree: bytes, path: str) -> bytes | None:
    """The content at a path, None where there is none."""
    return members(tree).get(_crc(path))


def digest(tree: bytes) -> str:
    """The SHA-256 of a tree, as the record has it."""
    return hashlib.sha256(tree).hexdigest()


def blocks(size: int) -> int:
    """How many blocks of LittleFS a file of `size` bytes takes, without its entry in the folder.

    Each block but the first begins with pointers: block n has as many as n can be halved, and one.
    """
    count = 0
    while size > 0:
        pointers = (count & -count).bit_length()
        size -= BLOCK - pointers * POINTER
        count += 1
    return count


def record(
    seq: int,
    app: Sequence[Tree],
    agent: Sequence[Tree],
    new: Sequence[str] = (),
    tried: int = 0,
    slot: str | None = None,
) -> bytes:
    """A cell of the record. Of each kind: the tree that runs, then the one that ran before.

    new    the kinds that are on trial
    tried  1 from the start of the trial on
    slot   the label of the image's slot whose verdict is that of the trees, too
    """
    shape = {
        "seq": seq,
        "app": [list(one) for one in app],
        "agent": [list(one) for one in agent],
        "new": list(new),
        "tried": tried,
        "slot": slot,
    }
    text = json.dumps(shape, separators=(",", ":")).encode()
    return b"%08x" % zlib.crc32(text) + text


def read_record(cells: Sequence[bytes | None]) -> dict[str, Any] | None:
    """What the cell in force says, None where no cell is whole. A missing cell is None."""
    whole = [found for cell in cells if (found := _cell(cell or b"")) is not None]
    return max(whole, key=lambda found: found["seq"], default=None)


def _cell(cell: bytes) -> dict[str, Any] | None:
    if not _CELL.fullmatch(cell) or int(cell[:8], 16) != zlib.crc32(cell[8:]):
        return None
    try:
        return json.loads(cell[8:])
    except ValueError:
        return None


def _folders(path: str) -> Iterator[str]:
    """The folders above a path, the outer ones first."""
    at = path.find("/")
    while at > 0:
        yield path[:at]
        at = path.find("/", at + 1)


def _claim(owners: dict[int, str], path: str) -> None:
    """Note whose a CRC-32 is."""
    other = owners.setdefault(_crc(path), path)
    if other != path:
        raise SluiceError(f"{other} and {path} have the same CRC-32: rename one of them")


def _crc(path: str) -> int:
    return zlib.crc32(path.encode())
