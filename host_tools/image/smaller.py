"""Smaller forms of an image: a delta against an older one, or the image deflated.

One container for both, which docs/image-formats.md describes: a head, an index, pieces. A piece
makes one sector of the image, out of itself and the older image alone. What differs from an older
image is found by bsdiff4. The signature is of the image: a container is not signed.
"""

import bz2
import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sluice.errors import SluiceError

MAGIC = b"SLS\x01"
SECTOR = 4096  # bytes
HEAD = struct.Struct("<4sBxHII32s32s")
STEP = struct.Struct("<HHi")  # bytes to copy, bytes that follow, how far on the copy begins
WINDOWS = range(9, 13)  # bits of what inflates a piece
LONGEST = 4128  # bytes of a piece, at most
SIZE_MAX = 24 * 1024 * 1024  # bytes of an image
TEXT_MAX = SECTOR * (1 + STEP.size)  # bytes that a piece inflates to: a step makes one at least
_WINDOW = {True: 10, False: 11}  # bits, by whether there is an older image: RAM against ratio
SLICE = 512  # bytes that a piece inflates to: any so many in a row are made
ENOUGH = 1_280  # of so many bytes of the piece at most, which a board waits for
FLUSH = b"\0\0\xff\xff"  # what a piece ends with: a block of no bytes
END = 8  # bytes of a piece that make nothing, at most: the end of its last block, and the flush
_FINAL = b"\x03\0"  # a block that ends a stream, and is only read as one between two blocks
_SHORT = 12  # bytes: what is copied in shorter parts costs more than it saves
_STORED = struct.Struct("<BHH")  # head of deflate's one block that is not compressed, RFC 1951
_PATCH = struct.Struct("<8s3Q")  # head of a BSDIFF40 patch: magic, bytes of control, of difference
_NONE = bytes(32)
_ZERO = 5  # the byte of the head that is not used
_BROKEN = "a piece of the container is damaged"
_DAMAGED = "the container's head is damaged, or of another version"

Progress = Callable[[int, int], None]  # called with sectors that are done, and how many there are


@dataclass(frozen=True)
class Container:
    """What a container says of itself. Sizes are bytes.

    digest   SHA-256 of the image, in hex; source that of the image that it builds on
    source   and source_size are None where it builds on none
    pieces   lengths, one for each sector
    window   bits, of what inflates it
    """

    size: int
    image_size: int
    digest: str
    source_size: int | None
    source: str | None
    pieces: tuple[int, ...]
    window: int

    @property
    def kind(self) -> str:
        """delta or compressed."""
        return "delta" if self.source else "compressed"

    @property
    def share(self) -> float:
        """Its size, as a part of the image's."""
        return self.size / self.image_size


def is_container(data: bytes) -> bool:
    """Whether it begins as one."""
    return data.startswith(MAGIC)


def delta(new: bytes, old: bytes, progress: Progress | None = None) -> bytes:
    """A container that makes `new` on a board that runs `old`."""
    _check(old, "the older image")
    return _made(new, old, progress)


def compressed(new: bytes, progress: Progress | None = None) -> bytes:
    """A container that makes `new` on any board."""
    return _made(new, b"", progress)


def _check(image: bytes, name: str) -> None:
    if not 0 < len(image) <= SIZE_MAX:
        raise SluiceError(f"{name} has {len(image):,} bytes: 1 to {SIZE_MAX:,} are taken")


def _made(new: bytes, old: bytes, progress: Progress | None) -> bytes:
    """The container, which was seen to make the image."""
    _check(new, "the image")
    window = _WINDOW[bool(old)]
    plans = _plans(new, old) if old else iter([])
    pieces = []
    count = -(-len(new) // SECTOR)
    for number in range(count):
        at = number * SECTOR
        sector = new[at : at + SECTOR]
        ways = [STEP.pack(0, len(sector), 0) + sector]
        if old:
            ways.append(next(plans))
        pieces.append(min((_deflated(way, window) for way in ways), key=len))
        if progress:
            progress(number + 1, count)
    digests = hashlib.sha256(new).digest(), hashlib.sha256(old).digest() if old else _NONE
    head = HEAD.pack(MAGIC, window, SECTOR, len(new), len(old), *digests)
    index = struct.pack(f"<{count}H", *map(len, pieces))
    made = head + index + b"".join(pieces)
    if applied(made, old) != new:
        raise SluiceError("the container does not make the image")
    return made


def _deflated(data: bytes, window: int) -> bytes:
    """In the form that takes the least: which one that is differs from piece to piece.

    zlib stores nothing that is longer than its window, so that is done here. A piece ends with a
    full flush, so that pieces behind each other are one stream: a board goes on with what it made
    to inflate the first, and may begin with any.
    """
    found = [_STORED.pack(0, len(data), len(data) ^ 0xFFFF) + data + b"\0" + FLUSH]
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED):
        for memory in (4, 8, 9):  # of 1, blocks are so short that their heads break the promise
            deflate = zlib.compressobj(9, zlib.DEFLATED, -window, memory, strategy)
            found.append(deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH))
    return min(found, key=len)


# -- what to copy --------------------------------------------------------------------------------


@dataclass
class _Step:
    """Copy bytes of the older image from `source` on, add `difference`; then `literal` follows."""

    source: int
    difference: bytes
    literal: bytes


def _plans(new: bytes, old: bytes) -> Iterator[bytes]:
    """For each sector of the new image the steps that make it, packed."""
    steps: list[_Step] = []
    at, room = 0, min(SECTOR, len(new))
    for source, data in _matched(new, old):
        begin = 0
        while begin < len(data):
            part = data[begin : begin + room]
            if source is None:
                _follow(steps, part)
            else:
                steps.append(_Step(source + begin, part, b""))
            begin += len(part)
            room -= len(part)
            if not room:
                yield _packed(steps, at)
                steps, at = [], at + SECTOR
                room = min(SECTOR, len(new) - at)


def _follow(steps: list[_Step], literal: bytes) -> None:
    """Bytes that are not copied come behind what was."""
    if not steps:
        steps.append(_Step(0, b"", b""))
    steps[-1].literal += literal


def _matched(new: bytes, old: bytes) -> Iterator[tuple[int | None, bytes]]:
    """(place in the older image, differences of what is copied from there), or (None, bytes)."""
    import bsdiff4

    patch = bsdiff4.diff(old, new)
    _, *sizes = _PATCH.unpack_from(patch)
    first, second = _PATCH.size + sizes[0], _PATCH.size + sizes[0] + sizes[1]
    parts = patch[_PATCH.size : first], patch[first:second], patch[second:]
    control, difference, extra = map(bz2.decompress, parts)
    at = source = copied = literal = 0
    for size, more, skipped in struct.iter_unpack("<3Q", control):
        if size >= _SHORT:
            yield source, difference[copied : copied + size]
        elif size:
            yield None, new[at : at + size]
        if more:
            yield None, extra[literal : literal + more]
        at += size + more
        copied, literal, source = copied + size, literal + more, source + size + _signed(skipped)


def _signed(number: int) -> int:
    """An integer of a patch: the highest bit is its sign, the others are how much."""
    return -(number & (1 << 63) - 1) if number >> 63 else number


def _packed(steps: list[_Step], at: int) -> bytes:
    """The steps of the sector at that offset; what is copied is counted on from there."""
    place, parts = at, []
    for step in steps:
        on = step.source - place if step.difference else 0
        parts += [STEP.pack(len(step.difference), len(step.literal), on)]
        parts += [step.difference, step.literal]
        place += on + len(step.difference)
    return b"".join(parts)


# -- reading -------------------------------------------------------------------------------------


def read(data: bytes) -> Container:
    """What a container says; SluiceError where it contradicts itself."""
    if len(data) < HEAD.size or not is_container(data):
        raise SluiceError("this is no delta and no compressed image")
    _, window, sector, size, source_size, digest, source = HEAD.unpack_from(data)
    if sector != SECTOR or window not in WINDOWS or data[_ZERO]:
        raise SluiceError(_DAMAGED)
    if not 0 < size <= SIZE_MAX or source_size > SIZE_MAX or bool(source_size) != any(source):
        raise SluiceError(_DAMAGED)
    count = -(-size // SECTOR)
    if len(data) < HEAD.size + 2 * count:
        raise SluiceError("the container ends in its index")
    pieces = struct.unpack_from(f"<{count}H", data, HEAD.size)
    if HEAD.size + 2 * count + sum(pieces) != len(data):
        raise SluiceError("the container is not as long as its index says")
    if not all(0 < piece <= LONGEST for piece in pieces):
        raise SluiceError("the container's index is damaged")
    return Container(
        size=len(data),
        image_size=size,
        digest=digest.hex(),
        source_size=source_size or None,
        source=source.hex() if source_size else None,
        pieces=pieces,
        window=window,
    )


def applied(data: bytes, old: bytes = b"") -> bytes:
    """The image that a container makes; SluiceError where it makes none, or of another source."""
    stated = read(data)
    base = old[: stated.source_size or 0]
    if stated.source and (
        len(base) != stated.source_size or hashlib.sha256(base).hexdigest() != stated.source
    ):
        raise SluiceError("the container builds on another image")
    at, sectors = HEAD.size + 2 * len(stated.pieces), []
    for number, length in enumerate(stated.pieces):
        first = number * SECTOR
        size = min(SECTOR, stated.image_size - first)
        sectors.append(_sector(data[at : at + length], stated.window, base, first, size))
        at += length
    image = b"".join(sectors)
    if hashlib.sha256(image).hexdigest() != stated.digest:
        raise SluiceError("the container makes another image than it says")
    return image


def _sector(piece: bytes, window: int, old: bytes, first: int, size: int) -> bytes:
    """The sector that a piece makes."""
    text = _inflated(piece, window)
    made, place, at = bytearray(), first, 0
    while len(made) < size and at + STEP.size <= len(text):
        copied, literal, on = STEP.unpack_from(text, at)
        at += STEP.size
        place += on
        if not copied + literal or copied and not 0 <= place <= len(old) - copied:
            break
        difference = text[at : at + copied]
        source = old[place : place + copied]
        made += bytes(a + b & 255 for a, b in zip(source, difference, strict=False))
        made += text[at + copied : at + copied + literal]
        at, place = at + copied + literal, place + copied
    if len(made) != size or at != len(text):
        raise SluiceError(_BROKEN)
    return bytes(made)


def _inflated(piece: bytes, window: int) -> bytes:
    """What a piece inflates to; it ends with the flush, between two blocks.

    Byte by byte, because within a call zlib looks further back than the window.
    """
    inflate, text, last = zlib.decompressobj(-window), bytearray(), 0
    used = [0]  # bytes of the piece, behind each byte of the text
    try:
        for at in range(len(piece)):
            more = inflate.decompress(piece[at : at + 1], 1)
            while more and len(text) <= TEXT_MAX:
                text += more
                used += [at + 1] * len(more)
                more, last = inflate.decompress(inflate.unconsumed_tail, 1), at
        final = inflate.eof or len(text) > TEXT_MAX
        between = not final and not inflate.decompress(_FINAL, 1) and inflate.eof
    except zlib.error:
        raise SluiceError(_BROKEN) from None
    slow = any(end - begin > ENOUGH for begin, end in zip(used, used[SLICE:], strict=False))
    if slow or not between or len(piece) - last - 1 > END or not piece.endswith(FLUSH):
        raise SluiceError(_BROKEN)
    return bytes(text)
