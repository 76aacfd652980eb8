"""The starter's choice: which trees come onto the path, and what leads back to those before."""

import json
import os
import sys

from doubles import raised
from medium import Board, fill, read, write
from tree_samples import MPY, Start, agent, app, digest, esp32, laid, note, noted, sealed

from sluice.version import VERSION

DIFFERS = True  # imports

HEAP = "4m"
HERE = [".frozen", "/lib", ""]


def value(name, attribute="X"):
    """What a module that is imported now says."""
    sys.modules.pop(name, None)
    return getattr(__import__(name, None, None, (attribute,)), attribute)


def damage(path, at=0):
    data = bytearray(read(path))
    data[at] ^= 1
    write(path, data)


def absent(name):
    raised(ImportError, __import__, name)


# -- what runs -----------------------------------------------------------------------------------


def test_board_without_a_record_runs_what_lies_in_its_root_and_nothing_is_written():
    with Board(files={"app.py": b"X = 'root'"}) as board:
        app("a", b"X = 'tree'")  # no record names it
        operations = board.chip.operations
        with Start() as start:
            assert (start.tried, start.runs) == (False, {}) and start.path == HERE
            assert value("app") == "root"
        assert board.chip.operations == operations


def test_record_that_names_no_tree_is_as_none():
    with Board(files={"app.py": b"X = 'root'"}) as board:
        note()
        operations = board.chip.operations
        with Start() as start:
            assert (start.tried, start.runs, start.said) == (False, {}, [])
            assert start.path == HERE and value("app") == "root"
        assert board.chip.operations == operations


def test_trees_come_onto_the_path_agent_first_and_application_before_what_is_frozen():
    with Board(files={"app.py": b"X = 'root'"}) as board:
        write("/lib/sluice/version.py", b"VERSION = '0.1.0'")
        write("/lib/sluice/run.py", b"X = 'lib'")
        mine, his = app("b", b"X = 'app.b'"), agent("a", b"X = 'agent.a'")
        note(app=[mine], agent=[his])
        operations = board.chip.operations
        with Start() as start:
            assert not start.tried and not start.error and not start.said
            assert start.runs == {"app": mine, "agent": his}
            assert start.path == ["/.agent", "/.app"] + HERE
            assert value("sluice.run") == "agent.a" and value("app") == "app.b"
            assert value("sluice.version", "VERSION") == VERSION
        assert board.chip.operations == operations, "a start that is no trial writes nothing"


def test_tree_of_either_kind_runs_alone():
    for kind, made, path in (
        ("app", app, ["/.app"] + HERE), ("agent", agent, ["/.agent"] + HERE),
    ):  # fmt: skip
        with Board():
            entry = made("a", b"X = 5")
            note(**{kind: [entry]})
            with Start() as start:
                assert start.runs == {kind: entry} and start.path == path
                assert value("app" if kind == "app" else "sluice.run") == 5


def test_package_of_the_agent_is_not_what_the_one_before_it_left_loaded():
    """Its version was asked for; or it has none, as a firmware from before there were trees."""
    for files in (
        {"/lib/sluice/version.py": b"VERSION = '0.1.0'"}, {"/lib/sluice/other.py": b""},
        {"/lib/sluice/__init__.py": b"X = 1"},
    ):  # fmt: skip
        with Board():
            for path, data in files.items():
                write(path, data)
            note(agent=[agent("a", b"X = 'tree'")])
            with Start() as start:
                assert "agent" in start.runs, files
                assert value("sluice.run") == "tree", files


def test_nothing_of_the_choice_stays_but_the_trees():
    with Board():
        note(app=[app("a", b"X = 5")], agent=[agent("a", b"")])
        with Start():
            left = [name for name in sys.modules if name.split(".")[0] in ("sluice", "trees")]
            assert not left, left


# -- what is in a tree ---------------------------------------------------------------------------


LONG = bytes(range(256)) * 30
MEMBERS = [
    ("app.py", b"import pkg.deep.leaf\nfrom pkg import near\nX = pkg.deep.leaf.X + near.X"),
    ("data.txt", b"one\ntwo\n"), ("empty.bin", b""), ("pkg/__init__.py", b""),
    ("pkg/deep/leaf.py", b"X = 40"), ("pkg/deep/map.bin", LONG), ("pkg/near.py", b"X = 2"),
    ("table.json", b'{"pins": [1, 2]}'),
]  # fmt: skip


def test_packages_and_modules_are_imported_from_a_tree():
    with Board():
        note(app=[laid("app", "a", MEMBERS)])
        with Start():
            assert value("app") == 42
            assert sys.modules["pkg"].__file__ == "/.app/pkg/__init__.py"
            assert value("pkg.deep.leaf") == 40
            absent("nothing")
            absent("pkg.nothing")
            absent("pkg.deep.nothing")
            absent("data")


def test_compiled_module_is_imported_from_a_tree():
    for path in sys.path:
        try:
            compiled = read(path + "/sluice/errors.mpy")
        except OSError:
            continue
    with Board():
        members = [("app.py", b"from mine import Fail as X"), ("mine.mpy", compiled)]
        note(app=[laid("app", "a", members, mpy=MPY)])
        with Start():
            assert str(value("app")("no", 5)) == "no 5"
            assert sys.modules["mine"].__file__ == "/.app/mine.mpy"


def test_data_of_a_tree_is_read_as_that_of_a_file():
    with Board():
        note(app=[laid("app", "a", MEMBERS)])
        with Start():
            with open("/.app/data.txt") as file:
                assert file.read() == "one\ntwo\n"
            with open("/.app/data.txt", "rb") as file:
                assert file.read(3) == b"one" and file.read(2) == b"\nt"
                assert file.read() == b"wo\n" and file.read() == b"" and file.read(4) == b""
            with open("/.app/pkg/deep/map.bin", "rb") as file:
                assert file.read() == LONG
            with open("/.app/empty.bin", "rb") as file:
                assert file.read() == b""
            with open("/.app/table.json") as file:
                assert json.load(file) == {"pins": [1, 2]}


def test_data_is_read_into_a_buffer_and_never_beyond_its_member():
    with Board():
        note(app=[laid("app", "a", MEMBERS)])
        with Start():
            file, room, found = open("/.app/pkg/deep/map.bin", "rb"), bytearray(1_000), b""
            while True:
                size = file.readinto(room)
                if not size:
                    break
                found += room[:size]
            assert found == LONG
            file.close()
            room = bytearray(b"." * 12)
            assert open("/.app/data.txt", "rb").readinto(room) == 8
            assert room == b"one\ntwo\n...."


def test_members_that_are_open_at_once_do_not_disturb_each_other():
    with Board():
        note(app=[laid("app", "a", MEMBERS)])
        with Start():
            first, second = open("/.app/data.txt", "rb"), open("/.app/pkg/deep/map.bin", "rb")
            assert first.read(2) == b"on" and second.read(4) == LONG[:4]
            assert first.read(2) == b"e\n" and second.read(300) == LONG[4:304]
            assert value("app") == 42 and first.read() == b"two\n"


def test_stat_says_what_is_a_file_and_what_a_folder_and_what_is_missing():
    with Board():
        note(app=[laid("app", "a", MEMBERS)])
        with Start():
            assert os.stat("/.app/data.txt")[0] == 0x8000
            assert os.stat("/.app/data.txt")[6] == 8 and os.stat("/.app/empty.bin")[6] == 0
            for folder in ("/.app/pkg", "/.app/pkg/deep", "/.app/pkg/"):
                assert os.stat(folder)[0] == 0x4000, folder
            for path in ("/.app/none", "/.app/pkg/none", "/.app/deep", "/.app/data.tx",
                         "/.app/pkg/deep/leaf.py/x"):  # fmt: skip
                assert raised(OSError, os.stat, path).errno == 2, path
                assert raised(OSError, open, path).errno == 2, path


def test_index_is_searched_by_whole_entries():
    """The bytes of a path's CRC may stand elsewhere in the index, too."""
    from binascii import crc32
    from struct import pack

    with Board():
        mark = crc32(b"none.py")
        index = pack("<IIIIII", crc32(b"app.py"), 0, 5, 1, mark, mark)
        data = b"X = 5" + index + pack("<II", 5, 0x31544C53)
        write("/app.a", data)
        note(app=[["a", digest(data), "1.0.0", 0]])
        with Start():
            assert value("app") == 5
            absent("none")


# -- a trial -------------------------------------------------------------------------------------


def on_trial(**more):
    """A board whose application is on trial; the entries of the new one and of the one before."""
    old, new = app("a", b"X = 'old'"), app("b", b"X = 'new'", "2.0.0")
    note(seq=4, app=[new, old], new=["app"], **more)
    return new, old


def test_trial_is_recorded_before_anything_of_it_runs_and_a_second_start_takes_it_back():
    with Board():
        new, old = on_trial()
        with Start() as start:
            assert start.tried is True and start.runs == {"app": new}
            assert value("app") == "new"
            record = noted()
            assert record["tried"] and record["seq"] == 5 and record["app"] == [new, old]
        for _ in range(3):
            with Start() as start:
                assert start.tried is False and start.runs == {"app": old}
                assert value("app") == "old"


def test_application_that_was_the_first_is_taken_back_to_what_lies_in_the_root():
    with Board(files={"app.py": b"X = 'root'"}):
        note(app=[app("a", b"X = 'tree'")], new=["app"])
        with Start() as start:
            assert start.tried and value("app") == "tree"
        with Start() as start:
            assert (start.tried, start.runs) == (False, {}) and value("app") == "root"


def test_trees_of_one_job_are_tried_and_taken_back_together():
    with Board():
        old, new = app("a", b"X = 'old'"), app("b", b"X = 'new'", "2.0.0")
        before, after = agent("b", b"X = 'before'"), agent("a", b"X = 'after'", "7.0.0")
        note(app=[new, old], agent=[after, before], new=["agent", "app"])
        with Start() as start:
            assert start.tried and (value("app"), value("sluice.run")) == ("new", "after")
        with Start() as start:
            assert not start.tried and (value("app"), value("sluice.run")) == ("old", "before")


def test_tree_is_not_tried_where_the_file_system_does_not_take_the_record():
    """What was there before runs, now and later, and the trial is not forgotten by that."""
    with Board():
        new, old = on_trial()
        fill()
        for _ in range(2):
            with Start() as start:
                assert start.error is None and start.tried is False, start.error
                assert start.runs == {"app": old} and value("app") == "old"
        assert noted()["app"] == [new, old] and not noted()["tried"]


def test_tree_on_trial_that_is_damaged_ends_the_start_and_the_next_one_takes_it_back():
    with Board():
        new, old = on_trial()
        damage("/app.b", 30)
        with Start() as start:
            assert str(start.error) == "it is damaged" and noted()["tried"]
        with Start() as start:
            assert start.error is None and start.runs == {"app": old}


def test_tree_on_trial_that_is_missing_ends_the_start():
    with Board():
        on_trial()
        os.remove("/app.b")
        with Start() as start:
            assert start.error.errno == 2 and noted()["tried"]


def test_tree_on_trial_of_another_mpy_format_ends_the_start():
    with Board():
        new = app("b", b"X = 5", mpy=MPY + 1)
        note(app=[new, app("a", b"X = 'old'")], new=["app"])
        with Start() as start:
            assert "not for this MicroPython" in str(start.error) and noted()["tried"]
        with Start() as start:
            assert value("app") == "old"


# -- what is passed over -------------------------------------------------------------------------


def test_tree_with_one_byte_damaged_is_passed_over_for_the_other_one():
    size = len(b"X = 'new'") + 100
    for at in (0, 1, size // 2, -1, -4, -8, -12):
        with Board(files={"app.py": b"X = 'root'"}):
            new, old = app("b", b"X = 'new'", "2.0.0"), app("a", b"X = 'old'")
            note(app=[new, old])
            damage("/app.b", at)
            with Start() as start:
                assert start.runs == {"app": old} and value("app") == "old", at
                assert start.said[0][:4] == ("tree", "app", "b", "is passed over:"), start.said
            damage("/app.a")
            with Start() as start:
                assert start.runs == {} and start.path == HERE and value("app") == "root", at
                assert len(start.said) == 2


def test_tree_that_is_cut_short_or_is_no_tree_is_passed_over():
    for data in (b"", b"abc", b"\xff" * 8, bytes(5_000), None):
        with Board():
            new, old = app("b", b"X = 'new'", "2.0.0"), app("a", b"X = 'old'")
            note(app=[new, old])
            if data is None:
                os.remove("/app.b")
            else:
                write("/app.b", data)
            with Start() as start:
                assert start.runs == {"app": old} and value("app") == "old", data


def test_tree_of_another_mpy_format_is_passed_over():
    with Board():
        new, old = app("b", b"X = 'new'", mpy=MPY - 1), app("a", b"X = 'old'", mpy=MPY)
        note(app=[new, old])
        with Start() as start:
            assert start.runs == {"app": old} and "not for this" in str(start.said[0][4])


def test_agent_that_is_older_than_the_one_without_a_tree_is_passed_over():
    for version, runs in (
        ("0.1.9", False), ("0.2.0", True), ("0.10.0", True), ("0.2", False), ("0.2.0.1", True),
        ("1.0.0", True), ("nonsense", False),
    ):  # fmt: skip
        with Board():
            write("/lib/sluice/version.py", b"VERSION = '0.2.0'")
            write("/lib/sluice/run.py", b"X = 'lib'")
            mine = app("a", b"X = 5")
            note(app=[mine], agent=[agent("a", b"X = 'tree'", version)])
            with Start() as start:
                assert ("agent" in start.runs) is runs, version
                assert start.runs["app"] == mine
                assert value("sluice.run") == ("tree" if runs else "lib"), version


def test_agent_that_is_older_and_on_trial_ends_the_start_because_it_would_have_no_verdict():
    with Board():
        write("/lib/sluice/version.py", b"VERSION = '0.2.0'")
        older, before = agent("b", b"", "0.1.0"), agent("a", b"X = 5", "0.2.0")
        note(agent=[older, before], new=["agent"])
        with Start() as start:
            assert "older than" in str(start.error) and noted()["tried"]
        with Start() as start:
            assert start.error is None and start.runs == {"agent": before}


def test_agent_that_is_older_ends_no_trial_of_something_else():
    with Board():
        write("/lib/sluice/version.py", b"VERSION = '0.2.0'")
        mine = app("a", b"X = 5")
        note(agent=[agent("a", b"", "0.1.0")], app=[mine], new=["app"])
        with Start() as start:
            assert start.tried and start.runs == {"app": mine}
    with Board():
        write("/lib/sluice/version.py", b"VERSION = '0.2.0'")
        note(agent=[agent("a", b"", "0.1.0")])
        with Start(True) as start:
            assert start.error is None and start.runs == {}, "the image brought a newer one"


# -- trees that came with an image ---------------------------------------------------------------


def test_tree_that_came_with_an_image_runs_in_the_slot_of_that_alone():
    for label, trial in (("ota_1", True), ("ota_1", False), ("ota_0", False), ("ota_0", True)):
        with Board() as board:
            new, old = on_trial(slot="ota_1")
            operations = board.chip.operations
            with Start(trial, modules=esp32(label)) as start:
                assert start.tried is False, "the trial is the image's"
                assert start.runs == {"app": new if label == "ota_1" else old}, label
            assert board.chip.operations == operations, "the slot's verdict is its own"


def test_tree_that_came_with_an_image_on_trial_and_is_damaged_ends_the_start():
    with Board():
        new, old = on_trial(slot="ota_1")
        damage("/app.b")
        with Start(True, modules=esp32("ota_1")) as start:
            assert str(start.error) == "it is damaged"
        with Start(False, modules=esp32("ota_1")) as start:
            assert start.error is None and start.runs == {"app": old}
        with Start(False, modules=esp32("ota_0")) as start:
            assert start.error is None and start.runs == {"app": old} and not start.said


# -- starts that come to nothing -----------------------------------------------------------------


def test_seven_starts_that_came_to_nothing_swap_the_trees_of_the_agent():
    for starts in range(10):
        with Board():
            new, old = agent("b", b"X = 'new'", "7.0.0"), agent("a", b"X = 'old'")
            mine, other = app("a", b"X = 1"), app("b", b"X = 2")
            note(agent=[new, old], app=[mine, other])
            with Start(starts=starts) as start:
                swapped = starts == 7
                assert start.runs == {"agent": old if swapped else new, "app": mine}, starts
            assert noted()["agent"] == ([old, new] if swapped else [new, old])
            with Start(starts=starts + 1 if starts > 6 else 0) as start:
                assert start.runs["agent"] == (old if swapped else new), "it stays so"


def test_trees_of_the_agent_are_swapped_only_where_there_are_two_and_off_trial():
    with Board() as board:
        only = agent("a", b"X = 5")
        note(agent=[only])
        operations = board.chip.operations
        with Start(starts=7) as start:
            assert start.runs == {"agent": only}
        assert board.chip.operations == operations
    with Board():
        new, old = agent("b", b"X = 'new'", "7.0.0"), agent("a", b"X = 'old'")
        note(agent=[new, old])
        with Start(True, starts=7) as start:
            assert start.runs == {"agent": new}, "an image is on trial"
    with Board():
        mine, before = app("b", b"X = 2"), app("a", b"X = 1")
        new, old = agent("b", b"X = 'new'", "7.0.0"), agent("a", b"X = 'old'")
        note(agent=[new, old], app=[mine, before], new=["app"])
        with Start(starts=7) as start:
            assert start.tried and start.runs == {"agent": new, "app": mine}
            assert noted()["agent"] == [new, old]


def test_trees_are_not_swapped_where_the_file_system_does_not_take_it_and_the_start_goes_on():
    with Board():
        new, old = agent("b", b"X = 'new'", "7.0.0"), agent("a", b"X = 'old'")
        note(agent=[new, old])
        fill()
        with Start(starts=7) as start:
            assert start.error is None and start.runs == {"agent": old}


def test_tree_that_was_taken_back_is_not_what_the_agents_are_swapped_for():
    with Board():
        new, old = agent("b", b"X = 'new'", "7.0.0"), agent("a", b"X = 'old'")
        note(agent=[new, old], new=["agent"], tried=1)
        with Start(starts=7) as start:
            assert start.runs == {"agent": old}
        with Start(starts=8) as start:
            assert start.runs == {"agent": old}


# -- the record ----------------------------------------------------------------------------------


def test_record_with_the_higher_number_counts_whichever_cell_it_is_in():
    for first, second in ((1, 2), (2, 1), (9, 10), (1 << 29, 3)):
        with Board():
            entries = [app("a", b"X = 'a'")], [app("b", b"X = 'b'")]
            note(0, seq=first, app=entries[0])
            note(1, seq=second, app=entries[1])
            with Start() as start:
                assert start.runs["app"][0] == ("a" if first > second else "b"), (first, second)


TORN = (b"", b"{}", b"0", b"zzzzzzzz{}", b"\xff" * 300, b"00000000", bytes(2_048))


def torn(whole):
    """What may lie in a cell that is none."""
    yield from TORN
    for size in (7, 8, 9, len(whole) // 2, len(whole) - 1):
        yield whole[:size]
    yield whole[:-1] + bytes((whole[-1] ^ 1,))
    yield bytes((whole[0] ^ 1,)) + whole[1:]
    yield whole + b" "


def test_cell_that_is_torn_does_not_count():
    with Board():
        mine, other = app("a", b"X = 'a'"), app("b", b"X = 'b'")
        whole = sealed(
            {"seq": 9, "app": [other], "agent": [], "new": [], "tried": 0, "slot": None}
        )
    for cell in (0, 1):
        for data in torn(whole):
            with Board(files={"app.py": b"X = 'root'"}):
                mine, other = app("a", b"X = 'a'"), app("b", b"X = 'b'")
                note(cell, seq=2, app=[mine])
                write("/trees.%d" % (1 - cell), data)
                with Start() as start:
                    assert start.error is None and start.runs == {"app": mine}, data
                write("/trees.%d" % cell, data)
                with Start() as start:
                    assert start.error is None and start.runs == {}, data
                    assert value("app") == "root"


def test_cell_that_holds_something_else_with_a_right_crc_does_not_end_a_start():
    for said in ({}, [], 5, None, {"seq": "x"}):
        with Board():
            mine = app("a", b"X = 'a'")
            note(0, seq=2, app=[mine])
            write("/trees.1", sealed(said))
            with Start() as start:
                assert start.error is None and start.runs == {"app": mine}, said


def test_record_of_a_version_to_come_is_understood():
    """Members that are not known stay, because the version that wrote them may run again."""
    with Board():
        new, old = on_trial(later={"deep": [1, 2]}, zone="x")
        with Start() as start:
            assert start.tried and start.runs == {"app": new}
        assert noted()["later"] == {"deep": [1, 2]} and noted()["zone"] == "x"


def test_record_goes_over_the_older_cell_and_its_number_goes_up_by_one():
    with Board():
        on_trial()
        kept = read("/trees.0")
        with Start():
            pass
        assert read("/trees.0") == kept and noted()["seq"] == 5
        assert read("/trees.1").startswith(b"%08x" % __import__("binascii").crc32(
            read("/trees.1")[8:]))  # fmt: skip


def test_power_that_fails_while_the_trial_is_recorded_leaves_the_trial_or_the_record_before():
    from medium import PowerCut

    cuts, seen = 0, set()
    while True:
        board = Board()
        with board:
            new, old = on_trial()
        board.cut_after(cuts)
        with board:
            try:
                with Start():
                    pass
                cut = False
            except PowerCut:
                cut = True
        board.cut_after(None)
        if not cut:
            break
        with board:
            record = noted()
            assert record["app"] == [new, old] and record["seq"] in (4, 5)
            seen.add(bool(record["tried"]))
            with Start() as start:
                assert start.tried is not record["tried"]
        cuts += 1
    assert False in seen and cuts > 1
