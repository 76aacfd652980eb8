"""Containers of every shape for their readers: right ones, and the same spoilt at any place.

A spoilt step is deflated like a right one, and a spoilt piece has its length in the index, so that
what is wrong is met where it is. So it is with a piece that lies: one that is right but for how it
ends, or what it goes back to. All of them build on SOURCE, or on nothing.
"""

import hashlib
import struct
import zlib
from contextlib import suppress
from random import Random
from typing import NamedTuple

from inputs import BYTES, spoilt

MAGIC, SECTOR = b"SLS\x01", 4096
SOURCE = bytes(n * 7 + n // 256 & 255 for n in range(9_000))
SIZES = (1, 2, 63, 64, 65, 300, 4_095, 4_096, 4_097, 8_192, 9_000)
STRATEGIES = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FIXED, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY)

Step = tuple[int, int, int]  # bytes to copy, bytes that follow, how far the place moves


def steps(chance: Random, first: int, room: int, base: int) -> list[Step]:
    """Steps that fill a sector."""
    found, place = [], first
    while room:
        size = min(room, chance.choice((1, 2, 12, 63, 64, 65, 200, 1_000, 4_096)))
        copied = chance.choice((0, size, size, chance.randint(0, size)))
        copied = min(copied, base)
        edges = 0, base - copied, *(chance.randint(0, base - copied) for _ in range(4))
        to = chance.choice(edges) if copied else place + chance.randint(-9, 9)
        if copied and chance.randrange(3) and 0 <= place <= base - copied:
            to = place
        found.append((copied, size - copied, to - place))
        place = to + copied
        room -= size
    return found


def wrong(chance: Random, found: list[Step]) -> list[Step]:
    """The same with one of its numbers changed, or a step doubled or lost."""
    at, what = chance.randrange(len(found)), chance.randrange(5)
    copied, literal, moved = found[at]
    less = chance.choice((-1, 1, -4_096, 9_000, 60_000))
    far = chance.choice((-(2**31), 2**31 - 1, moved - 1, moved + 1, moved + 9_000))
    other = {
        0: [(min(max(copied + less, 0), 65_535), literal, moved)],
        1: [(copied, min(max(literal + less, 0), 65_535), moved)],
        2: [(copied, literal, far)],
        3: [found[at], (0, 0, 0)],
        4: [],
    }[what]
    return found[:at] + other + found[at + 1 :]


def text(chance: Random, found: list[Step]) -> bytes:
    """What a piece of these steps inflates to."""
    parts = []
    for copied, literal, moved in found:
        same = chance.randrange(2)  # most of a difference is zeros
        data = bytes(copied) if same else chance.randbytes(copied)
        parts += [struct.pack("<HHi", copied, literal, moved), data, chance.randbytes(literal)]
    return b"".join(parts)


def deflated(chance: Random, data: bytes, window: int) -> bytes:
    """A piece of any form that a maker may choose."""
    if not chance.randrange(8) and len(data) < 65_536:
        return stored(data) + stored(b"")
    level, memory = chance.choice((1, 6, 9)), chance.choice((4, 8, 9))
    form = zlib.compressobj(level, zlib.DEFLATED, -window, memory, chance.choice(STRATEGIES))
    return form.compress(data) + form.flush(zlib.Z_FULL_FLUSH)


def stored(data: bytes, final: bool = False, more: int = 0) -> bytes:
    """A block that is not compressed, and says that so many bytes more come."""
    size = len(data) + more
    return struct.pack("<BHH", final, size, size ^ 0xFFFF) + data


def lying(chance: Random, data: bytes, window: int) -> bytes:
    """A piece that makes the text, and breaks a rule of how it ends or what it goes back to."""
    right = deflated(chance, data, window)
    other = zlib.compressobj(9, zlib.DEFLATED, -window)
    final = other.compress(data) + other.flush()
    other = zlib.compressobj(9, zlib.DEFLATED, -window, zdict=data[:200])
    before = other.compress(data) + other.flush(zlib.Z_FULL_FLUSH)
    with suppress(zlib.error):  # where nothing of it goes back so far it is no lie
        before = final if zlib.decompressobj(-15).decompress(before) == data else before
    return chance.choice(
        (
            final,
            final + stored(b""),
            stored(data) + stored(b"", final=True),
            right[: -chance.randint(1, 4)],
            stored(data, more=chance.randint(1, 99)),
            right + stored(b"") * chance.randint(2, 9),
            before,
        )
    )


def sector(data: bytes, place: int, room: int, source: bytes) -> tuple[bytes | None, int]:
    """(what a piece's text makes, by the rules; bytes behind); None where a step breaks one."""
    made, at = b"", 0
    while len(made) < room:
        if at + 8 > len(data):
            return None, 0
        copied, literal, moved = struct.unpack_from("<HHi", data, at)
        place, at = place + moved, at + 8
        if not copied + literal or copied and (place < 0 or place + copied > len(source)):
            return None, 0
        difference, rest = data[at : at + copied], data[at + copied : at + copied + literal]
        pairs = zip(source[place : place + copied], difference, strict=False)
        made += bytes((a + b) % 256 for a, b in pairs) + rest
        place, at = place + copied, at + copied + literal
    return made if len(made) == room and at <= len(data) else None, len(data) - at


class Built(NamedTuple):
    """A container, and what is known of it.

    image    what it makes; None: it breaks a rule, so it is refused
    steps    whether all steps are right: no reader takes wrong ones
    size     bytes of the image, whatever the head says in the end
    source   what it builds on
    """

    data: bytes
    image: bytes | None
    steps: bool
    size: int
    source: bytes


def built(chance: Random) -> Built:
    """A container that keeps the rules, or breaks one of them in one piece."""
    size = chance.choice(SIZES)
    source = SOURCE if chance.randrange(4) else b""
    source = source[: chance.choice((1, 64, 5_000, 9_000))]
    window = chance.randint(9, 10 if source else 11)  # what boards take
    spoils = chance.choice(("nothing", "nothing", "nothing", "step", "text", "piece", "lie"))
    marred = chance.randrange(0, size, SECTOR)
    pieces, image, kept, right = [], b"", spoils not in ("piece", "lie"), True
    for first in range(0, size, SECTOR):
        room = min(SECTOR, size - first)
        wrongs = spoils if first == marred else "nothing"
        data = text_of(chance, first, room, len(source), wrongs)
        made, behind = sector(data, first, room, source)
        image, right = image + (made or b""), right and made is not None
        kept = kept and not behind
        pieces.append(piece(chance, data, window, wrongs))
    kept = kept and right and all(0 < len(one) <= 4_128 for one in pieces)
    if spoils == "piece":  # it may make the same all the same: nobody knows
        image = b"what none makes"
    digest = hashlib.sha256(image).digest()
    origin = hashlib.sha256(source).digest() if source else bytes(32)
    head = struct.pack("<4sBxHII32s32s", MAGIC, window, SECTOR, size, len(source), digest, origin)
    lengths = [min(len(one), 65_535) for one in pieces]
    data = head + struct.pack(f"<{len(pieces)}H", *lengths) + b"".join(pieces)
    return Built(data, image if kept else None, right, size, source)


def text_of(chance: Random, first: int, room: int, base: int, wrongs: str) -> bytes:
    """What makes a sector, or is to and does not."""
    found = steps(chance, first, room, base)
    data = text(chance, wrong(chance, found) if wrongs == "step" else found)
    return spoilt(chance, data, BYTES) if wrongs == "text" else data


def piece(chance: Random, data: bytes, window: int, wrongs: str) -> bytes:
    """The text as a piece, or as what is to be one."""
    if wrongs == "lie":
        return lying(chance, data, window)
    found = deflated(chance, data, window)
    return spoilt(chance, found, BYTES) if wrongs == "piece" else found


def container(chance: Random) -> bytes:
    """One of them, as it is or spoilt at any place, its head and index too."""
    data = built(chance).data
    return data if chance.randrange(3) else spoilt(chance, data, BYTES)


RIGHT, OPEN, WRONG = 1, 0, 2  # what a board has to find: the image, either, a reason to refuse it


def ordered(chance: Random) -> bytes:
    """A container behind what the job says of it; see device/rebuilding.py."""
    data, image, right, size, source = built(chance)
    base, known = len(source), RIGHT if image is not None else OPEN if right else WRONG
    lot = chance.randrange(12)
    if lot < 4:
        data, known = spoilt(chance, data, BYTES) or b"\0", OPEN
    elif lot == 4:  # the job and the container lie alike
        size, known = chance.choice((80, 4_094, 12_288, 20_000, 32_768)), OPEN
        data = data[:8] + struct.pack("<I", size) + data[12:]
    elif lot == 5:  # the job alone
        size, known = chance.choice((size + 1, size + 4_096, 301)), WRONG
    elif lot == 6:
        base, known = chance.choice((2, 65, 5_001, 8_999)), WRONG
    return bytes([known]) + size.to_bytes(3, "big") + base.to_bytes(3, "big") + data
