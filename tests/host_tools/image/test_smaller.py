"""Deltas and compressed images: what they make, how small they are, and what is refused."""

import hashlib
import random
import struct
import zlib

import bsdiff4
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import SluiceError
from sluice.image import smaller
from sluice.image.smaller import (
    HEAD,
    LONGEST,
    SECTOR,
    STEP,
    applied,
    compressed,
    delta,
    read,
)

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
        assert max(read(made).pieces) == SECTOR + STEP.size + 10 <= LONGEST


@pytest.mark.parametrize("window", smaller.WINDOWS)
def test_pieces_are_one_stream_that_may_be_begun_with_any(window: int, monkeypatch):
    monkeypatch.setattr(smaller, "_WINDOW", {True: window, False: window})
    old = WORDS[:9_000] + NOISE(5_000)
    new = NOISE(5_000) + old[100:] + WORDS
    for made, base in ((delta(new, old), old), (compressed(new), b"")):
        pieces, at = [], HEAD.size + 2 * -(-len(new) // SECTOR)
        for length in read(made).pieces:
            pieces.append(made[at : at + length])
            at += length
        texts = [smaller._inflated(piece, window) for piece in pieces]
        for first in range(len(pieces)):
            inflate = zlib.decompressobj(-window)
            assert [inflate.decompress(piece) for piece in pieces[first:]] == texts[first:]
            assert not inflate.eof
        assert applied(made, base) == new


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
