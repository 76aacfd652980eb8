"""Bundles are unpacked into trees; what is wrong with one is said, and nothing that runs goes."""

import gc
import os
import sys
from io import BytesIO
from struct import pack, unpack

from deflate import GZIP, DeflateIO
from doubles import raised, run
from medium import Board, PowerCut, fill, read, write
from test_staging import quiet
from tree_samples import Start, app, digest, note, noted

from sluice.errors import Fail
from sluice.files import bundle_head, inflate
from sluice.job import File
from sluice.slots.tree import Trees
from sluice.version import VERSION

DIFFERS = True  # deflate, LittleFS

HEAP = "4m"
BOARD = "SIM_ESP32"
LARGE = 200_000  # bytes of a member, as in made_bundles.py
SETTINGS = {"allow_same_version": False, "allow_downgrade": False}


def made(name):
    """The bundle of that name in made_bundles.py."""
    for path in sys.path:
        try:
            return read(path + "/bundles/" + name)
        except OSError:
            continue
    raise AssertionError("no such bundle: " + name)


class Device:
    """As much of an agent as unpacking needs."""

    def __init__(self, kind="app", runs=None, settings=None, version=None):
        file = File(1, "http_range")
        file.kind, file.path, file.version = kind, "/." + kind, version
        self.job = self.work = self
        self.files, self.settings = [file], dict(SETTINGS, **(settings or {}))
        self.trees = Trees(runs or {}, False, BOARD)
        self.buffer = bytearray(4_100)
        self.made = None
        self.pauses, self.watch = 0, None

    async def pause(self):
        self.pauses += 1
        if self.watch:
            self.watch()

    def __setattr__(self, name, value):
        if name == "trees" and isinstance(value, dict):
            name = "made"  # of the work
        object.__setattr__(self, name, value)


def unpacked(data, device=None, number=0):
    """The device, once it has unpacked that bundle."""
    device = device or Device()
    write("/staged/%d" % number, data)
    quiet(run, inflate.unpack_all(device))
    return device


def board(blocks=96):
    """A board that runs /app.a of version 1.1.0, with /app.b of before beside it; the entries."""
    made = Board(blocks)
    with made:
        old, before = app("a", b"X = 'old'", "1.1.0"), app("b", b"X = 'before'", "1.0.0")
        note(seq=5, app=[old, before])
    return made, old, before


def members(path):
    """{CRC of a path: content} of a tree; None for a folder."""
    data = read(path)
    at, magic = unpack("<II", data[-8:])
    assert magic == 0x31544C53
    found, index = {}, data[at:-8]
    for place in range(0, len(index), 12):
        crc, offset, size = unpack("<III", index[place : place + 12])
        assert crc not in found
        found[crc] = None if offset == 0xFFFFFFFF else data[offset : offset + size]
    return found


def reason(data, device=None, free=None):
    """Why a board that runs 1.1.0 refuses a bundle. Nothing that runs or that is named changed."""
    made, old, before = board()
    with made:
        kind = device.files[0].kind if device else "app"
        device = device or Device()
        device.trees.runs["app"] = old
        write("/staged/0", data)
        if free is not None:
            fill()
            for number in range(free):
                os.remove("/filler.%d" % number)
        kept = read("/app.a")
        fault = raised(Fail, lambda: quiet(run, inflate.unpack_all(device)))
        assert read("/app.a") == kept and device.made is None
        record = noted()
        assert record["app"][0] == old and not record["new"]
        for letter, sha256, _, _ in record["app"]:
            assert digest(read("/app." + letter)) == sha256, "it was touched, and is named"
        if str(fault).startswith("file system too small:"):
            assert record["app"] == [old, before], "what does not fit costs no way back"
        with Start() as start:
            assert start.runs == {"app": old} and not start.said, kind
    return str(fault)


def untouched(data, device=None):
    """The same, where the reason is known before any tree is touched."""
    made, old, before = board()
    with made as chip:
        device = device or Device()
        device.trees.runs["app"] = old
        write("/staged/0", data)
        operations = chip.chip.operations
        fault = raised(Fail, lambda: quiet(run, inflate.unpack_all(device)))
        assert chip.chip.operations == operations and noted()["app"] == [old, before]
    return str(fault)


# -- what is right -------------------------------------------------------------------------------


def test_bundle_becomes_the_tree_that_does_not_run_and_is_imported_from():
    made_board, old, before = board()
    with made_board:
        device = unpacked(made("app"), Device(runs={"app": old}))
        data = read("/app.b")
        assert device.made == {"app": ["b", digest(data), "1.2.0", 0]}
        assert noted()["app"] == [old] and noted()["seq"] == 6, "it is empty until it is activated"
        note(1, seq=9, app=[device.made["app"], old])
        with Start() as start:
            assert start.runs == device.made and not start.said
            assert __import__("app").X == "new" and __import__("pkg.near").near.X == 2
            with open("/.app/data/deep/map.bin", "rb") as file:
                assert len(file.read()) == 9_900
            with open("/.app/data/empty", "rb") as file:
                assert file.read() == b""


def test_tree_is_as_the_format_has_it():
    """Members in order, without padding, then an index with folders first, then its place."""
    with Board():
        unpacked(made("tables"))
        mine = b'{"kind":"app","version":"1.2.0"}'
        tables = [("data/%d/t%d.json" % (n, n), b"{}") for n in range(60)]
        tables.sort(key=lambda one: one[0].encode())
        rest = [("app.py", b"X = 'new'\n")] + tables
        from tree_samples import packed

        assert read("/app.a") == packed([("sluice.json", mine)] + rest)


def test_agent_is_unpacked_beside_an_application_each_into_its_own_tree():
    with Board():
        device = Device("agent")
        second = File(1, "http_range")
        second.kind, second.path = "app", "/.app"
        image = File(1, "http_range")
        device.files = [image, device.files[0], second]
        write("/staged/0", made("agent"))
        unpacked(made("app"), device, 1)
        assert sorted(device.made) == ["agent", "app"]
        for kind in device.made:
            letter, sha256, version, mpy = device.made[kind]
            assert letter == "a" and sha256 == digest(read("/%s.a" % kind)) and mpy == 0
        assert device.made["agent"][2] == "7.0.0"
        note(app=[device.made["app"]], agent=[device.made["agent"]])
        with Start() as start:
            assert sorted(start.runs) == ["agent", "app"]
            assert __import__("sluice.net.deep", None, None, ("X",)).X == 7
            assert __import__("umqtt.simple") and __import__("board").NAME == BOARD


def test_bundles_that_are_right_in_other_ways_are_unpacked():
    for name in ("most", "said", "unstored", "blank", "small"):
        with Board():
            device = unpacked(made(name))
            assert device.made["app"][:1] == ["a"], name


def test_bundle_that_a_policy_allows_is_unpacked():
    for name, settings in (
        ("app-1.1.0", {"allow_same_version": True}), ("app-1.0.0", {"allow_downgrade": True}),
    ):  # fmt: skip
        made_board, old, before = board()
        with made_board:
            unpacked(made(name), Device(runs={"app": old}, settings=settings))


def test_bundle_of_the_version_that_was_ordered_is_unpacked():
    with Board():
        unpacked(made("app"), Device(version="v1.2"))


# -- what it says of itself ----------------------------------------------------------------------

SAYS = (
    ("app-1.1.0", "same version 1.1.0"), ("app-1.0.0", "downgrade 1.1.0 to 1.0.0"),
    ("mpy", "the bundle is for another MicroPython, of .mpy format 7"),
    ("mpy-text", "the bundle is for another MicroPython, of .mpy format 6"),
    ("board", "the bundle is for another board"), ("agent", "the bundle is of another kind"),
    ("needs-agent", "the bundle needs another agent 9.0"),
    ("needs-python", "the bundle needs another MicroPython 2.0"),
    ("needs-number", "the bundle needs another agent 5"),
    ("needs-list", "the bundle does not say what it is"),
    ("version-empty", "the bundle has a bad version"),
    ("version-long", "the bundle has a bad version"),
    ("version-bell", "the bundle has a bad version"),
    ("version-number", "the bundle has a bad version"),
    ("kind", "the bundle is of another kind"), ("kind-number", "the bundle is of another kind"),
    ("json", "the bundle does not say what it is"),
    ("json-list", "the bundle does not say what it is"),
    ("json-text", "the bundle does not say what it is"),
    ("json-empty", "the bundle does not say what it is"),
    ("json-bare", "the bundle does not say what it is"),
    ("json-bytes", "the bundle does not say what it is"),
    ("json-deep", "the bundle does not say what it is"),
    ("json-long", "the bundle does not say what it is"),
    ("first", "not a bundle"), ("first-longer", "not a bundle"), ("none", "not a bundle"),
    ("zeros", "not a bundle"), ("empty", "the bundle inflates to more than it says"),
    ("size-first", "the bundle does not say what it is"),
)  # fmt: skip
SAYS_AGENT = (
    ("app", "the bundle is of another kind"), ("agent-board", "the bundle is for another board"),
    ("agent-boards", "the bundle is for another board"),
    ("agent-version", "the bundle has a bad version"),
    ("agent-old", "downgrade %s to 0.0.9" % VERSION),
)  # fmt: skip


def test_bundle_that_is_not_for_this_board_is_refused_before_any_tree_is_touched():
    for name, said in SAYS:
        assert untouched(made(name)) == said, name
    for name, said in SAYS_AGENT:
        assert untouched(made(name), Device("agent")) == said, name
    assert untouched(made("app"), Device(version="1.3.0")) == (
        "version is not the one ordered 1.2.0"
    )


def test_bundle_that_is_not_for_this_board_is_refused_by_its_first_block():
    """Which is stored, so that nothing is inflated in mid-download."""
    made_board, old, before = board()
    with made_board as chip:
        operations = chip.chip.operations
        for names, kind in ((SAYS, "app"), (SAYS_AGENT, "agent")):
            for name, said in names:
                if name in ("empty", "zeros", "json-long", "size-first"):
                    continue  # known when all of it has come
                device = Device(kind, {"app": old})
                words = made(name)[: bundle_head.HEAD], device.files[0], device
                assert str(raised(Fail, lambda: quiet(bundle_head.check, *words))) == said, name
        for name in ("app", "most", "said", "small"):
            device = Device("app", {"app": old})
            quiet(bundle_head.check, made(name)[: bundle_head.HEAD], device.files[0], device)
        assert chip.chip.operations == operations


def test_first_block_that_says_nothing_yet_is_no_reason():
    for data in (made("unstored")[:1039], bytes(1039), b"\x1f\x8b" + bytes(1037), b"x" * 100, b""):
        device = Device()
        assert bundle_head.check(data, device.files[0], device) is None


# -- what it brings ------------------------------------------------------------------------------


def test_bundle_that_brings_what_it_may_not_bring_is_refused():
    for prefix, count, kind in (("place", 32, "app"), ("agents", 13, "agent")):
        for number in range(count):
            said = reason(made("%s-%d" % (prefix, number)), Device(kind))
            assert said.startswith("the bundle may not bring "), (prefix, number, said)


ARCHIVES = (
    ("type-link", "the bundle has a member that is not a file"),
    ("type-hard", "the bundle has a member that is not a file"),
    ("type-device", "the bundle has a member that is not a file"),
    ("type-folder", "the bundle has a member that is not a file"),
    ("type-old", "the bundle has a member that is not a file"),
    ("type-pax", "the bundle has a member that is not a file"),
    ("ustar", "the bundle has a member that is not a file"),
    ("prefix", "the bundle has a member that is not a file"),
    ("size-word", "the bundle misstates a size"), ("size-minus", "the bundle misstates a size"),
    ("size-binary", "the bundle misstates a size"), ("size-huge", "the bundle misstates a size"),
    ("size-beyond", "the bundle misstates a size"),
    ("twice", "double files, or too many, in the bundle:"),
    ("twice-app", "double files, or too many, in the bundle:"),
    ("same-crc", "double files, or too many, in the bundle:"),
    ("same-crc-folder", "double files, or too many, in the bundle:"),
    ("file-and-folder", "double files, or too many, in the bundle:"),
    ("folder-and-file", "double files, or too many, in the bundle:"),
    ("many", "double files, or too many, in the bundle:"),
    ("deep", "double files, or too many, in the bundle:"),
    ("no-app", "the bundle lacks app.mpy"),
    ("end-none", "the bundle inflates to more than it says"),
    ("end-one", "the bundle inflates to more than it says"),
    ("end-three", "the bundle goes on after its end"),
    ("end-more", "the bundle goes on after its end"),
    ("end-half", "the bundle goes on after its end"),
    ("window", "the bundle is damaged"),
    ("bomb", "file system too small:"),
)  # fmt: skip


def test_bundle_that_is_no_plain_archive_of_plain_files_is_refused():
    for name, said in ARCHIVES:
        found = reason(made(name))
        assert found.startswith(said), (name, found)
    assert reason(made("no-run"), Device("agent")) == "the bundle lacks sluice/run.mpy"


# -- the gzip ------------------------------------------------------------------------------------


def changed(data, at, value):
    """These bytes with others there."""
    found = bytearray(data)
    at = at % len(found)
    found[at : at + len(value)] = value
    return bytes(found)


def stated(data, size):
    """A bundle that says it inflates to so many bytes."""
    return changed(data, -4, pack("<I", size))


def test_bundle_that_is_cut_short_is_refused_wherever_it_is():
    for name in ("app", "small"):
        data = made(name)
        size = unpack("<I", data[-4:])[0]
        for part in range(1, 8):
            cut = data[: len(data) * part // 8]
            assert reason(cut), (name, part)
            # whatever stands where the size is looked for
            found = reason(stated(cut, size))
            assert found == "the bundle is damaged", (name, part, found)
        for size in (1, 3, 4, 10, 18):
            assert reason(data[:size]), size


def test_bytes_behind_the_end_of_a_bundle_are_refused():
    data = made("app")
    size = data[-4:]
    for more in (size, b"\0" * 8 + size, data):
        assert reason(data + more) == "bytes after the bundle's end", len(more)


def test_bundle_with_a_wrong_crc_is_refused():
    data = made("app")
    for at in (-8, -5):
        assert reason(changed(data, at, bytes((data[at] ^ 1,)))) == "the bundle is damaged"


def test_bundle_that_is_damaged_anywhere_is_refused():
    data = made("small")
    for at in range(0, len(data) - 4, 97):
        if at in range(4, 10):
            continue  # of the head these say nothing
        assert reason(changed(data, at, bytes((data[at] ^ 0x10,)))), at


def test_bundle_that_misstates_the_size_that_it_inflates_to_is_refused():
    data = made("small")
    size = unpack("<I", data[-4:])[0]
    for wrong in (0, 1, 1_023, 1_024, 1_536, size - 512, size - 1):
        said = reason(stated(data, wrong))
        assert said in ("the bundle inflates to more than it says", "the bundle misstates a size")
    for wrong in (size + 1, size + 512, size + 4_096):
        assert reason(stated(data, wrong)) in (
            "the bundle goes on after its end", "the bundle is damaged",
        ), wrong  # fmt: skip
    for name in ("end-none", "end-one"):
        data = made(name)
        said = reason(stated(data, unpack("<I", data[-4:])[0] + 1_024))
        assert said in ("the bundle ends early", "the bundle is damaged"), (name, said)
    for wrong in (0xFFFFFFFF, 0x7FFFFFFF, 96 * 4_096):
        assert reason(stated(data, wrong)).startswith("file system too small: "), wrong


def test_what_is_no_gzip_is_refused():
    for data in (b"import gc\n" * 20, bytes(200), b"\xff" * 200, b"\x1f\x8b" + bytes(200)):
        assert untouched(stated(data, 4_096)) == "the bundle is damaged", data[:4]


def test_bomb_is_stopped_while_it_inflates():
    """It says that it is small; what it brings beyond that is never written."""
    made_board, old, before = board()
    with made_board:
        operations = made_board.chip.operations
        said = raised(Fail, unpacked, stated(made("bomb"), 8_192), Device(runs={"app": old}))
        assert str(said) in ("the bundle misstates a size",)
        assert made_board.chip.operations - operations < 60


# -- the medium ----------------------------------------------------------------------------------


def test_bundle_that_does_not_fit_is_refused_by_name():
    for free in (0, 2, 6):
        said = reason(made("small"), free=free)
        assert said.startswith("file system too small: 11 blocks of 4096 needed, "), said


def test_staged_bundle_that_is_missing_fails_by_name():
    with Board():
        device = Device()
        assert str(raised(Fail, lambda: run(inflate.unpack_all(device)))) == "file system 2"


def test_power_that_fails_anywhere_leaves_only_trees_in_the_record_that_are_whole():
    """And the one that runs is always in it."""
    cuts, emptied, ended = 0, 0, False
    while not ended:
        made_board, old, before = board()
        with made_board:
            write("/staged/0", made("app"))
        made_board.cut_after(cuts)
        with made_board:
            try:
                unpacked_again(Device(runs={"app": old}))
                ended = True
            except PowerCut:
                pass
        made_board.cut_after(None)
        with made_board:
            record = noted()
            assert record["app"][0] == old and not record["new"], cuts
            for letter, sha256, _, _ in record["app"]:
                assert digest(read("/app." + letter)) == sha256, (cuts, letter)
            emptied += len(record["app"]) == 1
            if cuts % 5 == 0:
                device = Device(runs={"app": old})
                unpacked_again(device)  # and the next attempt is as good as the first
                assert device.made["app"][1] == digest(read("/app.b"))
        cuts += 1
    assert cuts > 10 and 0 < emptied < cuts


def unpacked_again(device):
    quiet(run, inflate.unpack_all(device))


def test_tree_that_reads_back_otherwise_is_refused():
    class Bad:
        """A file system whose medium loses a bit of a tree that is written."""

        def __init__(self, files):
            self.files = files

        def __getattr__(self, name):
            return getattr(self.files, name)

        def mount(self, readonly, mkfs):
            pass

        def umount(self):
            pass

        def open(self, path, mode):
            file = self.files.open(path, mode)
            if "app.b" in path and mode == "rb":
                data = bytearray(file.read())
                data[40] ^= 4
                return BytesIO(data)
            return file

    made_board, old, before = board()
    made_board.over = Bad
    with made_board:
        fault = raised(Fail, unpacked, made("app"), Device(runs={"app": old}))
        assert str(fault) == "the tree reads back differently"


# -- memory --------------------------------------------------------------------------------------


def held(name):
    """(most that was live while a bundle was unpacked, pauses) of the whole of it."""
    with Board(160):
        write("/staged/0", made(name))
        device, most = Device(), [0]

        def watch():
            gc.collect()
            most[0] = max(most[0], gc.mem_alloc())

        gc.collect()
        before = gc.mem_alloc()
        device.watch = watch
        unpacked_again(device)
        assert device.made["app"][1] == digest(read("/app.a"))
        return most[0] - before, device.pauses


def test_memory_does_not_grow_with_the_size_of_a_bundle():
    held("small")  # what is loaded once is loaded by then
    small, few = held("small")
    large, many = held("large")
    assert many >= 2 * (LARGE // 4_100) > 8 * few, "it lets others run at every piece"
    assert abs(large - small) < 200, (small, large)
    assert large < 6_000, large


class Sink:
    """A file that keeps nothing."""

    size = 0

    def write(self, data):
        self.size += len(data)


def test_unpacking_allocates_next_to_nothing_for_each_piece():
    data, device, sink, each = made("large"), Device(), Sink(), []
    source = DeflateIO(BytesIO(data), GZIP, 10)
    work = inflate._Unpacking(source, unpack("<I", data[-4:])[0], device)
    quiet(work.begin, device.files[0])
    device.watch = lambda: each.append(gc.mem_alloc())
    gc.collect()
    gc.disable()
    try:
        run(work.run("app", sink))
    finally:
        gc.enable()
    assert sink.size > LARGE and len(each) >= LARGE // 4_100, (sink.size, len(each))
    spent = [later - before for before, later in zip(each[2:], each[3:])]
    assert 0 < sum(spent) // len(spent) < 500, spent
