"""Deltas and compressed images: what they make, how small they are, and what is refused."""

import hashlib
import random
import struct
import zlib
from contextlib import suppress

import bsdiff4
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.errors import SluiceError
from host_tools.image import smaller
from host_tools.image.smaller import HEAD, LONGEST, SECTOR, STEP, applied, compressed, delta, read

NOISE = random.Random(12).randbytes
WORDS = b"".join(b"%d: the same procedure as every year\n" % n for n in range(600))  # compressible
SIZES = (1, 2, 11, 12, SECTOR - 1, SECTOR, SECTOR + 1, 3 * SECTOR, 3 * SECTOR + 5)


@st.composite
def _images(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An older image, and one with parts of it: moved, changed, with others between."""
    old = NOISE(draw(st.integers(1, 6_000))) + draw(st.binary(max_size=200))
    new = b""
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, len(old)))
        part = bytearray(old[begin : begin + draw(st.integers(0, 9_000))])
        for at in draw(st.lists(st.integers(0, 9_000), max_size=8)):
            if at < len(part):
                part[at] ^= draw(st.integers(1, 255))
        new += part + draw(st.binary(max_size=60))
    return old, new or b"\0"


@given(st.binary(min_size=1, max_size=9_000), st.binary(min_size=1, max_size=9_000))
@settings(max_examples=60, deadline=None)
def test_any_pair_round_trips(new: bytes, old: bytes):
    assert applied(delta(new, old), old) == new
    assert applied(compressed(new)) == new


@given(_images())
@settings(max_examples=120, deadline=None)
def test_pair_that_has_much_in_common_round_trips(pair: tuple[bytes, bytes]):
    old, new = pair
    made = delta(new, old)
    assert applied(made, old) == new
    assert applied(made, old + b"what lies behind it in the slot") == new


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("make", [NOISE, bytes, lambda size: WORDS[:size]])
def test_every_size_round_trips_from_every_other(size: int, make):
    new = make(size)
    for old_size in SIZES:
        for old in (make(old_size), new[:old_size], NOISE(old_size)):
            assert applied(delta(new, old), old) == new
    assert applied(compressed(new)) == new
    assert len(read(compressed(new)).pieces) == -(-size // SECTOR)


def test_piece_of_what_nothing_makes_smaller_keeps_its_bound():
    """zlib itself would make 4,200 bytes of it: it stores nothing beyond its window."""
    new, old = NOISE(10 * SECTOR), NOISE(10 * SECTOR)
    for made in (delta(new, old), compressed(new)):
        assert max(read(made).pieces) == SECTOR + STEP.size + 5 <= LONGEST


def test_same_is_made_each_time():
    new, old = WORDS + NOISE(300), NOISE(90) + WORDS
    assert delta(new, old) == delta(new, old)
    assert compressed(new) == compressed(new)


def test_image_with_all_addresses_moved_needs_few_bytes():
    old = b"".join(struct.pack("<I", 0x400D0000 + 4 * n) + NOISE(28) for n in range(4_000))
    moved = bytearray(NOISE(40) + old)
    for at in range(40, len(moved), 32):
        struct.pack_into("<I", moved, at, struct.unpack_from("<I", moved, at)[0] + 40)
    assert read(delta(bytes(moved), old)).share < 0.1


def test_container_that_does_not_make_the_image_is_never_given_out(monkeypatch):
    old = NOISE(9_000)
    wrong = bsdiff4.diff(old, old[:8_000] + b"another")
    monkeypatch.setattr(bsdiff4, "diff", lambda *_: wrong)
    with pytest.raises(SluiceError, match="makes another image than it says"):
        delta(old[:8_000] + b"correct", old)


def test_container_tells_what_it_is():
    new, old = WORDS[:9_000], WORDS[:5_000]
    made = delta(new, old)
    found = read(made)
    assert (found.kind, found.size, found.image_size) == ("delta", len(made), 9_000)
    assert (found.source_size, found.window) == (5_000, 10)
    assert found.digest == hashlib.sha256(new).hexdigest()
    assert found.source == hashlib.sha256(old).hexdigest()
    assert HEAD.size + 2 * 3 + sum(found.pieces) == len(made)
    other = read(compressed(new))
    assert (other.kind, other.source_size, other.source, other.window) == (
        "compressed",
        None,
        None,
        11,
    )


def test_progress_is_told_sector_by_sector():
    told = []
    compressed(bytes(3 * SECTOR + 1), lambda *numbers: told.append(numbers))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("size", [0, smaller.SIZE_MAX + 1])
def test_image_of_no_size_that_a_board_takes_is_refused(size: int):
    for make in (lambda: compressed(bytes(size)), lambda: delta(b"1", bytes(size))):
        with pytest.raises(SluiceError, match=f"has {size:,} bytes: 1 to 25,165,824 are taken"):
            make()


# --- what is refused -----------------------------------------------------------------------------

OLD = NOISE(5_000) + WORDS[:4_000]
NEW = OLD[:2_000] + NOISE(700) + OLD[2_000:8_000] + b"end"


def headed(data: bytes, **changes: object) -> bytes:
    """The same with other fields of its head."""
    names = ("magic", "window", "sector", "size", "source_size", "digest", "source")
    fields = dict(zip(names, HEAD.unpack_from(data), strict=True)) | changes
    return HEAD.pack(*fields.values()) + data[HEAD.size :]


def packed(*steps: tuple[int, int, int], tail: bytes = b"", window: int = 10) -> bytes:
    """A piece of these steps, each with as many zeros as it needs."""
    text = b"".join(STEP.pack(*step) + bytes(step[0] + step[1]) for step in steps) + tail
    deflate = zlib.compressobj(9, zlib.DEFLATED, -window)
    return deflate.compress(text) + deflate.flush()


def holding(piece: bytes, size: int = 100, old: bytes = OLD) -> bytes:
    """A container of one piece, for an image of zeros."""
    digests = hashlib.sha256(bytes(size)).digest(), hashlib.sha256(old).digest()
    head = HEAD.pack(smaller.MAGIC, 10, SECTOR, size, len(old), *digests)
    return head + struct.pack("<H", len(piece)) + piece


LONG = b"\0\0\0\xff\xff" * 825 + packed((0, 100, 0))  # empty blocks before it
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
    "deflate cut off":    holding(packed((0, 100, 0))[:-1]),
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
    "beyond the window":  holding(packed((0, 2_999, 0), window=11) , 3_000),
}
# fmt: on


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_of_each_kind_is_refused(name: str):
    with pytest.raises(SluiceError):
        applied(DAMAGED[name], OLD)


def test_what_damage_is_made_of_is_taken_without_it():
    assert applied(holding(packed((0, 100, 0)), 100), OLD) == bytes(100)
    assert applied(holding(packed((0, 60, 7), (0, 40, -9))), OLD) == bytes(100)
    zeros = bytes(4_000)
    last = packed((1, 0, 3_999), (1, 98, -4_000))
    assert applied(holding(last, old=zeros), zeros) == bytes(100)


def test_match_beyond_the_stated_window_is_refused():
    text = STEP.pack(0, 3_000, 0) + (unit := NOISE(1_500)) + unit
    deflate = zlib.compressobj(9, zlib.DEFLATED, -11)
    piece = deflate.compress(text) + deflate.flush()
    data = bytearray(holding(piece, 3_000))
    data[16:48] = hashlib.sha256(unit * 2).digest()
    with pytest.raises(SluiceError, match="a piece of the container is damaged"):
        applied(bytes(data), OLD)
    data[4] = 11
    assert applied(bytes(data), OLD) == unit * 2


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
