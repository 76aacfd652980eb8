"""docs/image-formats.md: its example, its program and its numbers are those of the code."""

import random
import re
import struct

import pytest
from pages import blocks

from sluice.compile import ROOT
from sluice.fleet import document
from sluice.fleet.containers import COMPRESSED, DELTA
from sluice.image import smaller

PAGE = (ROOT / "docs/image-formats.md").read_text()
NOISE = random.Random(1).randbytes(9_000)


@pytest.fixture
def program() -> dict:
    """The page's own reader."""
    made: dict = {}
    exec(blocks(PAGE, "python")[-1], made)
    return made


def example() -> tuple[bytes, bytes, bytes]:
    """(older text, newer one, the container)."""
    (text,) = blocks(PAGE, "text")
    old, new = text.encode().splitlines(keepends=True)
    (digits,) = blocks(PAGE, "hex")
    return old, new, bytes.fromhex(digits)


def test_example_is_what_is_made_of_its_two_texts(program):
    old, new, container = example()
    assert smaller.applied(container, old) == new == program["image_of"](container, old)
    found = smaller.read(container)
    assert f"a text of {len(old)} bytes, and the new one has {len(new)}" in PAGE
    assert f"The container has {len(container)}\nbytes" in PAGE
    assert f"a piece of {found.pieces[0]} bytes" in PAGE


def test_steps_of_the_example_are_those_of_its_piece():
    old, _, container = example()
    text = smaller._inflated(container[82:], 10)
    stated = re.findall(r"^\| (\d+) \| (\d+) \| (-?\d+) \| .* \| (\d+), (\d+) \|$", PAGE, re.M)
    at = place = 0
    for row in stated:
        copied, literal, moved, before, behind = map(int, row)
        assert struct.unpack_from("<HHi", text, at) == (copied, literal, moved)
        assert text[at + 8 : at + 8 + copied] == bytes(copied)
        assert (place + moved, place + moved + copied) == (before, behind)
        place, at = behind, at + 8 + copied + literal
    assert len(stated) == 2 and at == len(text)


def test_program_of_the_page_reads_what_we_make(program):
    old = NOISE + b"the same procedure as every year\n" * 200
    for new in (old[:-3], old[100:] + NOISE[:50], b"x", NOISE):
        for made, source in (
            (smaller.delta(new, old), old + b"behind it"),
            (smaller.compressed(new), b""),
        ):
            assert program["image_of"](made, source) == new
    made = smaller.delta(old[:-3], old)
    for damaged in (made[:-1], made + b"!", b"x" + made[1:]):
        with pytest.raises(AssertionError):
            program["image_of"](damaged, old)
    with pytest.raises(AssertionError):
        program["image_of"](made, NOISE)


@pytest.mark.parametrize("name", ["final", "cut", "goes on", "another"])
def test_program_of_the_page_refuses_a_piece_that_does_not_end_with_the_flush(program, name: str):
    new = bytes(60) + smaller.FLUSH
    text = smaller.STEP.pack(0, len(new), 0) + new
    head = smaller.compressed(new)[: smaller.HEAD.size]
    block = struct.pack("<HH", len(text), len(text) ^ 0xFFFF) + text
    piece = {
        "final": b"\x01" + block,
        "cut": b"\0" + block + b"\0\0\0\xff",
        "goes on": struct.pack("<BHH", 0, 999, 999 ^ 0xFFFF) + text,
        "another": b"\0" + block + b"\x01" + smaller.FLUSH,
    }[name]
    right = b"\0" + block + b"\0" + smaller.FLUSH
    assert program["image_of"](head + struct.pack("<H", len(right)) + right) == new
    with pytest.raises(AssertionError):
        program["image_of"](head + struct.pack("<H", len(piece)) + piece)


def test_numbers_of_the_page_are_those_of_the_code():
    for number in (smaller.SIZE_MAX, smaller.LONGEST, smaller.TEXT_MAX, smaller.SECTOR):
        assert f"{number:,}" in PAGE
    windows = f"{smaller.WINDOWS[0]} to {smaller.WINDOWS[-1]}"
    assert f"in bits: {windows} |" in PAGE and f"The format allows {windows}." in PAGE
    worst = max(smaller.read(smaller.compressed(NOISE[:4_096])).pieces)
    assert f"has {worst:,} bytes" in PAGE
    assert f"at most {smaller.END} bytes follow" in PAGE
    heads = re.findall(r"^\| (\d+) \| (\d+) \|", PAGE.split("## A piece")[0], re.M)
    assert sum(int(size) for _, size in heads) == smaller.HEAD.size
    rows = dict(re.findall(r"^\| (20\d) \| a (\w+)", PAGE, re.M))
    assert {kind: int(number) for number, kind in rows.items()} == {
        kind: document.FILE_TYPES[kind] for kind in ("delta", "compressed")
    }
    assert f"`{COMPRESSED}`" in PAGE and DELTA.startswith("/ota/")
