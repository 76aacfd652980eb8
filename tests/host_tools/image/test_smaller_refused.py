"""Containers that are damaged, or that lie: the host's reader refuses them."""

import hashlib
import random
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import SluiceError
from sluice.image import smaller
from sluice.image.smaller import FLUSH, HEAD, LONGEST, SECTOR, STEP, applied, compressed, delta

NOISE = random.Random(12).randbytes
WORDS = b"".join(b"%d: the same procedure as every year\n" % n for n in range(120))
OLD = NOISE(5_000) + WORDS[:4_000]
NEW = OLD[:2_000] + NOISE(700) + OLD[2_000:8_000] + b"end"


def headed(data: bytes, **changes: object) -> bytes:
    """The same with other fields of its head."""
    names = ("magic", "window", "sector", "size", "source_size", "digest", "source")
    fields = dict(zip(names, HEAD.unpack_from(data), strict=True)) | changes
    return HEAD.pack(*fields.values()) + data[HEAD.size :]


def deflated(text: bytes, window: int = 10, end: int = zlib.Z_FULL_FLUSH, **more: bytes) -> bytes:
    """A piece that inflates to this, and ends so."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -window, **more)
    return deflate.compress(text) + deflate.flush(end)


def packed(*steps: tuple[int, int, int], tail: bytes = b"", end: int = zlib.Z_FULL_FLUSH) -> bytes:
    """A piece of these steps, each with as many zeros as it needs."""
    text = b"".join(STEP.pack(*step) + bytes(step[0] + step[1]) for step in steps)
    return deflated(text + tail, end=end)


def stored(text: bytes, missing: int = 0) -> bytes:
    """A block of deflate that is not compressed, and says that more comes."""
    size = len(text) + missing
    return struct.pack("<BHH", 0, size, size ^ 0xFFFF) + text


def holding(piece: bytes, image: bytes = bytes(100), old: bytes = OLD) -> bytes:
    """A container of one piece, for this image."""
    digests = hashlib.sha256(image).digest(), hashlib.sha256(old).digest()
    head = HEAD.pack(smaller.MAGIC, 10, SECTOR, len(image), len(old), *digests)
    return head + struct.pack("<H", len(piece)) + piece


EMPTY = b"\0" + FLUSH
LONG = EMPTY * 825 + packed((0, 100, 0))  # empty blocks before it
ZEROS = STEP.pack(0, 100, 0) + bytes(100)
AGAIN = bytes(250) + ZEROS  # the piece before
FLUSHED = bytes(96) + FLUSH  # an image that ends as a piece does
UNIT = NOISE(1_500)
REPEATED = STEP.pack(0, 3_000, 0) + UNIT * 2
DELTA, COMPRESSED = delta(NEW, OLD), compressed(NEW)
# fmt: off
DAMAGED = {
    "magic":              headed(DELTA, magic=b"SLS\x02"),
    "window too small":   headed(DELTA, window=8),
    "window too large":   headed(DELTA, window=13),
    "reserved byte":      DELTA[:5] + b"\x01" + DELTA[6:],
    "sector":             headed(DELTA, sector=8192),
    "size 0":             headed(DELTA, size=0),
    "size, one less":     headed(DELTA, size=len(NEW) - 1),
    "size, one more":     headed(DELTA, size=len(NEW) + 1),
    "size, one sector":   headed(DELTA, size=len(NEW) - SECTOR),
    "size, far too much": headed(DELTA, size=2**32 - 1),
    "source too large":   headed(DELTA, source_size=2**32 - 1),
    "source, one more":   headed(DELTA, source_size=len(OLD) + 1),
    "source, one less":   headed(DELTA, source_size=len(OLD) - 1),
    "source without size": headed(DELTA, source_size=0),
    "size without source": headed(DELTA, source=bytes(32)),
    "no source at all":   headed(DELTA, source_size=0, source=bytes(32)),
    "another source":     headed(DELTA, source=bytes(31) + b"1"),
    "another image":      headed(DELTA, digest=bytes(32)),
    "nothing":            b"",
    "head cut off":       DELTA[:79],
    "index cut off":      DELTA[:83],
    "one byte short":     DELTA[:-1],
    "one byte long":      DELTA + b"\0",
    "index, one more":    DELTA[:80] + bytes([DELTA[80] + 1 & 255]) + DELTA[81:],
    "index, empty piece": holding(b""),
    "index, long piece":  holding(bytes(LONGEST + 1)),
    "index, long piece that is right": holding(LONG),
    "no deflate":         holding(b"\xff\xff\xff\xff"),
    "deflate cut off":    holding(packed((0, 100, 0))[:-5]),
    "flush cut off":      holding(packed((0, 100, 0))[:-1]),
    "stream ends":        holding(packed((0, 100, 0), end=zlib.Z_FINISH)),
    "stream ends, then a flush": holding(packed((0, 100, 0), end=zlib.Z_FINISH) + EMPTY),
    "flush that ends the stream": holding(stored(ZEROS) + b"\x01" + FLUSH),
    "no flush":           holding(stored(ZEROS)),
    "no flush, amid a block": holding(stored(ZEROS[:-4] + FLUSH, missing=1), FLUSHED),
    "two flushes":        holding(stored(ZEROS) + 2 * EMPTY),
    "match before the piece": holding(deflated(ZEROS, zdict=AGAIN)),
    "bytes follow":       holding(packed((0, 100, 0)) + b"\0"),
    "text too short":     holding(packed((0, 99, 0))),
    "step cut off":       holding(packed((0, 99, 0), tail=b"1234567")),
    "text too long":      holding(packed((0, 100, 0), tail=b"1")),
    "one step too many":  holding(packed((0, 100, 0), (0, 1, 0))),
    "beyond the sector":  holding(packed((0, 101, 0))),
    "step of nothing":    holding(packed((0, 0, 0), (0, 100, 0))),
    "bomb":               holding(packed((0, 100, 0), tail=bytes(900_000))),
    "before the source":  holding(packed((1, 99, -1))),
    "behind the source":  holding(packed((1, 99, len(OLD)))),
    "over its end":       holding(packed((2, 98, len(OLD) - 1))),
    "back and forth":     holding(packed((1, 0, 5), (1, 98, -7))),
    "beyond the window":  holding(deflated(REPEATED, 11), UNIT * 2),
}
# fmt: on


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_of_each_kind_is_refused(name: str):
    with pytest.raises(SluiceError):
        applied(DAMAGED[name], OLD)


def test_what_damage_is_made_of_is_taken_without_it():
    assert applied(holding(packed((0, 100, 0))), OLD) == bytes(100)
    assert applied(holding(stored(ZEROS) + EMPTY), OLD) == bytes(100)
    assert applied(holding(EMPTY * 9 + packed((0, 100, 0))), OLD) == bytes(100)
    ends = stored(ZEROS[:-4] + FLUSH) + EMPTY
    assert applied(holding(ends, FLUSHED), OLD) == FLUSHED
    assert applied(holding(packed((0, 60, 7), (0, 40, -9))), OLD) == bytes(100)
    zeros = bytes(4_000)
    last = packed((1, 0, 3_999), (1, 98, -4_000))
    assert applied(holding(last, old=zeros), zeros) == bytes(100)


def test_match_beyond_the_stated_window_is_refused():
    data = bytearray(holding(deflated(REPEATED, 11), UNIT * 2))
    with pytest.raises(SluiceError, match="a piece of the container is damaged"):
        applied(bytes(data), OLD)
    data[4] = 11
    assert applied(bytes(data), OLD) == UNIT * 2


@pytest.mark.parametrize("made", [DELTA, COMPRESSED], ids=["delta", "compressed"])
def test_any_change_of_one_byte_and_any_cut_is_refused(made: bytes):
    chance = random.Random(5)
    places = [*range(HEAD.size + 6), *chance.sample(range(len(made)), 300)]
    for at in places:
        other = bytearray(made)
        other[at] ^= 1 << chance.randrange(8)
        try:
            found = applied(bytes(other), OLD)
        except SluiceError:
            continue
        assert found == NEW  # another deflate stream, or a wider window, of the same
    for end in places:
        with pytest.raises(SluiceError):
            applied(made[:end], OLD)


def test_delta_on_another_source_is_refused():
    for other in (b"", OLD[:-1], OLD[:-1] + b"!", NEW):
        with pytest.raises(SluiceError, match="the container builds on another image"):
            applied(DELTA, other)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_piece_of_any_bytes_is_refused_or_makes_the_image(piece: bytes):
    with suppress(SluiceError):
        assert applied(holding(piece), OLD) == bytes(100)
