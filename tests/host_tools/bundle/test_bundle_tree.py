"""Trees and their record, byte by byte as they are documented, and refused where they are not."""

import hashlib
import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.bundle import tree
from sluice.errors import SluiceError

MEMBERS = {"sluice.json": b"{}", "a/b/x.py": b"12345", "a/y.txt": b"", "app.py": b"678"}


def crc(path: str) -> int:
    return zlib.crc32(path.encode())


def test_tree_is_contents_then_an_index_then_where_that_begins():
    index = [
        (crc("sluice.json"), 0, 2),
        (crc("a"), 0xFFFFFFFF, 0),
        (crc("a/b"), 0xFFFFFFFF, 0),
        (crc("a/b/x.py"), 2, 5),
        (crc("a/y.txt"), 7, 0),
        (crc("app.py"), 7, 3),
    ]
    wanted = b"{}12345678" + b"".join(struct.pack("<III", *entry) for entry in index)
    wanted += struct.pack("<II", 10, 0x31544C53)
    assert tree.pack(MEMBERS) == wanted
    assert wanted.endswith(b"SLT1")
    assert tree.digest(wanted) == hashlib.sha256(wanted).hexdigest()
    assert tree.members(wanted) == {crc(path): content for path, content in MEMBERS.items()}
    assert tree.read(wanted, "a/y.txt") == b""
    assert tree.read(wanted, "a") is None
    assert tree.read(wanted, "a/z") is None


def test_tree_that_does_not_begin_with_its_description_is_refused():
    for members in ({}, {"app.py": b"", "sluice.json": b"{}"}):
        with pytest.raises(SluiceError, match="begins with"):
            tree.pack(members)


@pytest.mark.parametrize("other", ["buckeroo", "buckeroo/x"])
def test_paths_of_the_same_crc_are_refused(other):
    assert crc("plumless") == crc("buckeroo")
    with pytest.raises(SluiceError, match="same CRC-32"):
        tree.pack({"sluice.json": b"{}", "plumless": b"", other: b""})


def entry(*fields: int) -> bytes:
    return struct.pack("<III", *fields)


def end(at: int, magic: bytes = b"SLT1") -> bytes:
    return struct.pack("<I", at) + magic


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "too short"),
        (b"SLT1", "too short"),
        (b"{}" + entry(1, 0, 2) + end(2, b"SLT2"), "does not end in SLT1"),
        (b"{}" + entry(1, 0, 2) + end(15), "index is not whole"),
        (b"{}" + entry(1, 0, 2)[:-1] + end(2), "index is not whole"),
        (b"{}" + entry(1, 0, 1) + entry(1, 1, 1) + end(2), "two entries"),
        (b"{}" + entry(1, 0, 1) + end(2), "do not end where"),
        (b"{}" + entry(1, 0, 3) + end(2), "do not end where"),
        (b"{}" + entry(1, 1, 1) + end(2), "one behind the other"),
        (b"{}" + entry(1, 0, 2) + entry(2, 0xFFFFFFFF, 1) + end(2), "one behind the other"),
    ],
)
def test_tree_that_is_none_or_not_whole_is_refused(data, said):
    with pytest.raises(SluiceError, match=said):
        tree.members(data)


@pytest.mark.parametrize(
    ("size", "blocks"),
    [(0, 0), (1, 1), (4096, 1), (4097, 2), (4096 + 4092, 2), (4096 + 4092 + 1, 3), (139_070, 35)],
)
def test_blocks_are_those_that_littlefs_takes(size, blocks):
    assert tree.blocks(size) == blocks


@pytest.mark.parametrize("size", [5_000, 16_367, 16_368, 16_369, 100_000, 250_000])
def test_blocks_are_counted_as_littlefs_does(size):
    littlefs = pytest.importorskip("littlefs")
    disk = littlefs.LittleFS(block_size=4096, block_count=100)
    with disk.open("small", "wb") as file:
        file.write(b"x" * 4096)
    before = disk.used_block_count
    with disk.open("large", "wb") as file:
        file.write(b"x" * size)
    assert disk.used_block_count - before == tree.blocks(size)


# --- the record ----------------------------------------------------------------------------------

RUNS = ("b", "0" * 64, "1.3.0", 6)
RAN = ("a", "f" * 64, "1.2.0", 0)


def test_record_is_a_crc_and_the_json_it_is_of():
    cell = tree.record(7, [RUNS, RAN], [], ["app"], 1, "ota_1")
    assert int(cell[:8], 16) == zlib.crc32(cell[8:]) and cell[:8] == cell[:8].lower()
    assert json.loads(cell[8:]) == {
        "seq": 7,
        "app": [list(RUNS), list(RAN)],
        "agent": [],
        "new": ["app"],
        "tried": 1,
        "slot": "ota_1",
    }
    assert b" " not in cell


def test_record_of_the_higher_number_that_is_whole_is_in_force():
    old, new = tree.record(7, [RAN], [RUNS]), tree.record(8, [RUNS], [])
    assert tree.read_record([new, old]) == tree.read_record([old, new])
    assert tree.read_record([old, new])["seq"] == 8
    assert tree.read_record([new[:-1], old])["seq"] == 7
    assert tree.read_record([None, old])["seq"] == 7
    for nothing in (None, b"", b"{}", new[:-1], new + b"\n", new.upper(), b"0" * 8 + new[8:]):
        assert tree.read_record([nothing, nothing]) is None
    assert tree.read_record([b"%08x{1}" % zlib.crc32(b"{1}"), None]) is None


@given(st.integers(0, len(tree.record(9, [RUNS, RAN], [RUNS])) - 1), st.integers(1, 255))
def test_record_with_one_byte_changed_is_none(at, change):
    cell = bytearray(tree.record(9, [RUNS, RAN], [RUNS]))
    cell[at] ^= change
    assert tree.read_record([bytes(cell), None]) is None
