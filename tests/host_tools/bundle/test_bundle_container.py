"""Bundles: what is packed is unpacked alike, `tar` lists it, and all else is refused by name."""

import gzip
import io
import random
import subprocess
import tarfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import FUSE_S

from sluice.bundle import container, rules, tree
from sluice.bundle.container import header, pack, unpack
from sluice.errors import SluiceError

APP = {"kind": "app", "version": "1.2.0"}
AGENT = {"kind": "agent", "version": "0.2.0", "board": "SIM_ESP32"}
CODE = {"app.py": b"import gc\n"}
FIRMWARE = {
    "board.py": b"NAME = 'SIM_ESP32'\n",
    "sluice/run.py": b"\n",
    "sluice/version.py": b'VERSION = "0.2.0"\n',
    "umqtt/simple.py": b"\n",
}
MPY = b"M\x06\x00\x1f"


# --- raw material, so that nothing is refused while it is made -----------------------------------


def member(name: str, content: bytes = b"", head: bytes | None = None) -> bytes:
    block = header(name, len(content)) if head is None else head
    return block + content + bytes(-len(content) % 512)


def changed(name: str, *changes: tuple[int, bytes], size: int = 0) -> bytes:
    """A header with other bytes at these offsets, and the checksum that belongs to them."""
    block = bytearray(header(name, size))
    for offset, value in changes:
        block[offset : offset + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def described(description: dict | bytes) -> bytes:
    said = description if isinstance(description, bytes) else rules.written(description)
    return member("sluice.json", said)


def archive(*parts: bytes, description: dict | bytes = APP, end: bytes = bytes(1024)) -> bytes:
    return described(description) + b"".join(parts) + end


def zipped(data: bytes, bits: int = 16 + 10) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    return packer.compress(data) + packer.flush()


def bundle(members: dict[str, bytes], description: dict | bytes = APP) -> bytes:
    return zipped(archive(*map(member, members, members.values()), description=description))


def reason(data: bytes) -> str:
    with pytest.raises(SluiceError) as refused:
        unpack(data)
    return str(refused.value)


GOOD = pack(APP, CODE)
BODY = member("app.py", CODE["app.py"])


def test_raw_material_is_what_pack_makes():
    """But for its first block, which is stored, so that a board need not inflate it."""
    for made, packed in ((bundle(CODE), GOOD), (bundle(FIRMWARE, AGENT), pack(AGENT, FIRMWARE))):
        assert zlib.decompress(made, 31) == zlib.decompress(packed, 31)
        assert packed[10:15] == b"\0\x00\x04\xff\xfb"
        assert packed[15:1039] == zlib.decompress(packed, 31)[:1024]


# --- the gzip ------------------------------------------------------------------------------------


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at else data


FARTHER = random.Random(11).randbytes(1100)  # repeats nothing


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no gzip"),
        (b"import gc\n", "no gzip"),
        (gzip.compress(zlib.decompress(GOOD, 31), mtime=1), "a time"),
        (b"\x1f\x8b\x08\x08" + GOOD[4:10] + b"x\0" + GOOD[10:], "a name"),
        (GOOD + b"\0", "bytes follow the end of the gzip: 1"),
        (GOOD + GOOD, "bytes follow the end of the gzip"),
        (GOOD[:-8] + bytes([GOOD[-8] ^ 1]) + GOOD[-7:], "wrong CRC"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "wrong length"),
        (GOOD[:-1], "cut short"),
        (GOOD[:40], "cut short"),
        (GOOD[:10], "cut short"),
        (GOOD[:3], "in its head"),
        (GOOD[:10] + b"\xff" + GOOD[11:], "the gzip is bad: invalid"),
        (zipped(archive(BODY, member("x", FARTHER * 2)), 31), "window of more than 1 KiB"),
        (zipped(bytes(container.UNPACKED_MAX + 1)), "unpacks to more than 8,388,608 bytes"),
    ],
)
def test_gzip_that_no_board_takes_is_refused(data, said):
    assert said in reason(data)


def test_window_is_judged_and_not_the_way_it_was_packed():
    """A match 1,024 bytes back is one, whatever the window that was asked for."""
    for size, taken in ((1024, True), (1025, False)):
        data = FARTHER[:size] * 2
        made = zipped(data, 31)
        assert len(made) < 1.2 * size  # the second half is a match
        if taken:
            assert container.inflated(made) == data
        else:
            with pytest.raises(SluiceError, match="window of more than 1 KiB"):
                container.inflated(made)


def test_bomb_is_refused_without_being_unpacked(monkeypatch):
    monkeypatch.setattr(container, "UNPACKED_MAX", 4096)
    bomb = zipped(archive(BODY, member("x", bytes(4096))))
    assert len(bomb) < 512
    assert "unpacks to more than 4,096 bytes" in reason(bomb)
    with pytest.raises(SluiceError, match="too many"):
        pack(APP, CODE | {"x": bytes(4096)})


# --- the archive ---------------------------------------------------------------------------------


def typed(flag: bytes) -> bytes:
    return changed("x", (156, flag))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (archive(BODY, typed(b"1")), "x is not a plain file: a link"),
        (archive(BODY, typed(b"2")), "a link"),
        (archive(BODY, typed(b"3")), "a device"),
        (archive(BODY, typed(b"4")), "a device"),
        (archive(BODY, typed(b"5")), "a folder"),
        (archive(BODY, typed(b"6")), "a pipe"),
        (archive(BODY, typed(b"7")), "type '7'"),
        (archive(BODY, typed(b"x")), "a pax header"),
        (archive(BODY, typed(b"g")), "a pax header"),
        (archive(BODY, typed(b"L")), "a long name"),
        (archive(BODY, typed(b"\0")), "written before USTAR"),
        (archive(BODY, BODY), "two members are called app.py"),
        (archive(BODY, described(APP)), "two members are called sluice.json"),
        (archive(member("z"), BODY), "not sorted: app.py comes late"),
        (archive(BODY, flipped(header("x", 0), 124)), "wrong checksum"),
        (archive(BODY, changed("x", (257, b"ustar  \0"))), "not of USTAR"),
        (archive(BODY, changed("x", (345, b"long/"))), "has a prefix"),
        (archive(BODY, changed("x", (124, b"what\0"))), "size of x is no number"),
        (archive(BODY, changed("x", (124, b"-0000000001\0"))), "size of x is no number"),
        (archive(BODY, changed("x", (124, b"\x80"))), "size of x is no number"),
        (archive(BODY, changed("x", (100, b"0000755\0"))), "another mode than 644"),
        (archive(BODY, changed("x", (108, b"0001750\0"))), "an owner"),
        (archive(BODY, changed("x", (136, b"14000000000\0"))), "a time"),
        (archive(BODY, changed("x", (157, b"app.py"))), "an owner, a time"),
        (archive(BODY, changed("x", (50, b"y"))), "an owner, a time"),
        (archive(member("app.py", b"1", header("app.py", 1))[:-1] + b"!"), "hidden behind"),
        (archive(header("app.py", 5000)), "app.py is cut short"),
        (archive(BODY, end=b""), "cut short"),
        (archive(BODY, end=bytes(512)), "two blocks of zeros, and nothing more"),
        (archive(BODY, end=bytes(1536)), "two blocks of zeros, and nothing more"),
        (archive(BODY, end=bytes(512) + member("x")), "two blocks of zeros, and nothing more"),
        (archive(BODY, end=bytes(1023)), "two blocks of zeros, and nothing more"),
        (archive(BODY, *(member(f"x{n:03}") for n in range(254))), "256 members are too many"),
        (BODY + bytes(1024), "the first member is app.py"),
        (bytes(1024), "the bundle is empty"),
        (b"", "cut short"),
    ],
)
def test_archive_that_no_board_takes_is_refused(data, said):
    assert said in reason(zipped(data))


def test_archive_may_have_255_members():
    names = [f"x{n:03}" for n in range(253)]
    assert len(unpack(zipped(archive(BODY, *map(member, names))))[1]) == 255


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/app.py", "is absolute"),
        ("../x", "leaves its folder"),
        ("data/../../x", "leaves its folder"),
        ("data/..", "leaves its folder"),
        ("./x", "not the plain path"),
        ("data//x", "not the plain path"),
        ("data/", "not the plain path"),
        ("data/./x", "not the plain path"),
        ("", "1 to 100 characters"),
        ("d\\x", "printable ASCII"),
        ("d\x7f", "printable ASCII"),
        ("d\nx", "printable ASCII"),
        ("SLUICE.json", "a second sluice.json"),
        ("lib/x.py", "nothing in lib/ is"),
        ("LIB/x.py", "nothing in lib/ is"),
        ("sluice/x.py", "nothing in sluice/ is"),
        ("operations/x.py", "nothing in operations/ is"),
        ("main.py", "is the agent's own"),
        ("Main.mpy", "is the agent's own"),
        ("board.py", "is the agent's own"),
        ("config.json", "is the agent's own"),
        ("hashlib.py", "is the agent's own"),
        ("asyncio/__init__.py", "is the agent's own"),
        ("umqtt/simple.py", "is the agent's own"),
        ("sluice.py", "is the agent's own"),
    ],
)
def test_path_that_no_application_has_is_refused(path, said):
    members = dict(sorted((CODE | {path: b""}).items()))
    assert said in reason(bundle(members))
    with pytest.raises(SluiceError):
        pack(APP, members)


def test_path_of_other_letters_is_refused():
    head = changed("x", (0, b"d\xc3\xa9"))
    assert "printable ASCII" in reason(zipped(archive(BODY, head)))


def test_path_may_have_100_characters_and_no_more():
    longest = "data/" + "x" * 95
    assert unpack(pack(APP, CODE | {longest: b"1"}))[1][longest] == b"1"
    with pytest.raises(SluiceError, match="1 to 100 characters"):
        pack(APP, CODE | {longest + "x": b"1"})


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "no app.py or app.mpy"),
        ({"App.py": b""}, "no app.py or app.mpy"),
        ({"data/app.py": b""}, "no app.py or app.mpy"),
        (CODE | {"data": b"", "data/x": b""}, "data is a file and a folder"),
        (CODE | {"a": b"", "a/b/c": b""}, "a is a file and a folder"),
        (CODE | {"app.mpy": MPY}, "app.py and app.mpy are the same module"),
        (CODE | {"plumless": b"", "buckeroo": b""}, "have the same CRC-32"),
        ({"app.mpy": MPY}, "format of the modules is 6, and stated is none"),
        ({"app.mpy": b"M\x06"}, "app.mpy is no .mpy"),
        ({"app.mpy": b"import gc"}, "app.mpy is no .mpy"),
        ({"app.mpy": MPY, "b.mpy": b"M\x05\x00\x1f"}, "b.mpy has .mpy format 5, others have 6"),
    ],
)
def test_members_that_do_not_go_together_are_refused(members, said):
    members = dict(sorted(members.items()))
    assert said in reason(bundle(members))
    with pytest.raises(SluiceError):
        pack(APP, members)


def without(path: str, **more: bytes) -> dict[str, bytes]:
    return {name: content for name, content in FIRMWARE.items() if name != path} | more


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (without("board.py"), "the agent has no board.py"),
        (without("sluice/version.py"), "the agent has no sluice/version.py"),
        (FIRMWARE | {"sluice/version.py": b'VERSION = "0.2.1"\n'}, "does not say VERSION"),
        (FIRMWARE | {"sluice/version.py": b"\n"}, "does not say VERSION"),
        (FIRMWARE | {"app.py": b""}, "app.py is not for a bundle of kind agent"),
        (FIRMWARE | {"main.py": b""}, "main.py is not for a bundle of kind agent"),
        (FIRMWARE | {"lib/x.py": b""}, "lib/x.py is not for a bundle of kind agent"),
        (FIRMWARE | {"sluice": b""}, "sluice is not for a bundle of kind agent"),
        (FIRMWARE | {"board.txt": b""}, "board.txt is not for a bundle of kind agent"),
    ],
)
def test_agent_that_is_not_whole_or_brings_more_is_refused(members, said):
    members = dict(sorted(members.items()))
    assert said in reason(bundle(members, AGENT))


# --- sluice.json ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 500, "is not JSON"),
        (b'["app"]', "is not a JSON object"),
        (b'{"kind":"app", "version":"1.2.0"}', "has blanks"),
        (b'{"version":"1.2.0","kind":"app"}', "not sorted"),
        (b'{"kind":"app","kind":"app","version":"1.2.0"}', "has blanks, or"),
        (APP | {"needs": {"agent": "1" * 6}}, "numbers with dots"),
        (b'{"kind":"app","version":"1.2.0","x":"' + b"x" * 480 + b'"}', "512 at most"),
        (APP | {"colour": "blue"}, "has an unknown key, 'colour'"),
        (APP | {"kind": "image"}, "app or agent, not 'image'"),
        ({"version": "1.2.0"}, "app or agent, not None"),
        ({"kind": "app"}, "a version has 1 to 31"),
        (APP | {"version": ""}, "a version has 1 to 31"),
        (APP | {"version": "1" * 32}, "a version has 1 to 31"),
        (APP | {"version": "1.2\n"}, "a version has 1 to 31"),
        (APP | {"version": "1.2é"}, "a version has 1 to 31"),
        (APP | {"version": 1}, "a version has 1 to 31"),
        (APP | {"board": ""}, "a board has 1 to 64"),
        (APP | {"board": None}, "a board has 1 to 64"),
        (APP | {"mpy": "6"}, "mpy is a number"),
        (APP | {"mpy": True}, "mpy is a number"),
        (APP | {"mpy": 256}, "mpy is a number"),
        (APP | {"mpy": 6}, "format of the modules is none, and stated is 6"),
        (APP | {"needs": ["agent"]}, "needs must be a JSON object"),
        (APP | {"needs": {"lamp": "1"}}, "not 'lamp'"),
        (APP | {"needs": {"agent": "new"}}, "numbers with dots"),
        (APP | {"needs": {"micropython": 1.23}}, "numbers with dots"),
        (APP | {"needs": {"micropython": "1.23."}}, "numbers with dots"),
        ({"kind": "agent", "version": "0.2.0"}, "must name its board"),
    ],
)
def test_description_that_no_board_takes_is_refused(description, said):
    assert said in reason(bundle(CODE, description))


def test_description_may_say_all_there_is():
    whole = AGENT | {"mpy": 6, "needs": {"agent": "0.1.0", "micropython": "1.23"}}
    members = FIRMWARE | {"sluice/more.mpy": MPY}
    found, made = unpack(pack(whole, members))
    assert found == whole
    assert made["sluice.json"] == (
        b'{"board":"SIM_ESP32","kind":"agent","mpy":6,'
        b'"needs":{"agent":"0.1.0","micropython":"1.23"},"version":"0.2.0"}'
    )


# --- round trips ---------------------------------------------------------------------------------

NAME = st.text("abcXYZ019_-. ", min_size=1, max_size=12).filter(lambda text: text.strip("."))
PATHS = st.lists(NAME, min_size=1, max_size=4).map("/".join)
CONTENTS = st.one_of(st.binary(max_size=700), st.integers(0, 5000).map(bytes))


def allowed(path: str) -> bool:
    try:
        rules.check_path(path)
        rules.check_members(APP, CODE | {path: b""})
    except SluiceError:
        return False
    return True


@given(st.dictionaries(PATHS.filter(allowed), CONTENTS, max_size=8))
def test_what_is_packed_is_unpacked_alike_and_so_is_its_tree(members):
    members = {f"d/{path}" if "/" in path else path: c for path, c in members.items()} | CODE
    try:
        made = pack(APP, members)
    except SluiceError as error:
        assert "a file and a folder" in str(error) or "same module" in str(error)
        return
    description, found = unpack(made)
    assert (description, list(found)) == (APP, ["sluice.json", *sorted(members)])
    assert all(found[path] == content for path, content in members.items())
    assert pack(description, found) == made
    grown = tree.pack(found)
    assert all(tree.read(grown, path) == content for path, content in found.items())
    with tarfile.open(fileobj=io.BytesIO(made)) as archive:
        assert archive.getnames() == list(found)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_bundle_with_one_byte_changed_is_refused_or_the_same(at, change):
    damaged = GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :]
    try:
        assert unpack(damaged) == unpack(GOOD)
    except SluiceError as error:
        assert str(error)


@given(st.binary(max_size=3000))
def test_bytes_of_any_kind_are_refused_in_words(data):
    for made in (data, zipped(data), zipped(archive(data))):
        with pytest.raises(SluiceError):
            unpack(made)


def test_tar_lists_a_bundle(tmp_path):
    file = tmp_path / "app.bundle"
    file.write_bytes(pack(APP, CODE | {"data/table.json": b"{}"}))
    done = subprocess.run(
        ["tar", "tzf", file], capture_output=True, text=True, check=True, timeout=FUSE_S
    )
    assert done.stdout.splitlines() == ["sluice.json", "app.py", "data/table.json"]
    assert done.stderr == ""


def test_bundle_is_the_same_every_time():
    shuffled = dict(reversed(list((CODE | {"b": b"2", "a": b"1"}).items())))
    assert pack(APP, shuffled) == pack(dict(reversed(APP.items())), CODE | {"a": b"1", "b": b"2"})
    assert pack(APP, shuffled)[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
