"""The record of trees: what an update writes, and what it is when a write fails."""

from doubles import raised
from medium import Board, PowerCut, fill, read
from tree_samples import note, noted

from sluice.slots import tree_record
from sluice.slots.tree import Trees

DIFFERS = True  # LittleFS

HEAP = "4m"
A, B, C = ["a", "aa" * 32, "1.0.0", 6], ["b", "bb" * 32, "2.0.0", 6], ["a", "cc" * 32, "3.0.0", 0]
OTHER = ["a", "dd" * 32, "0.1.0", 6]


def running(trial=False, **runs):
    """What this start runs."""
    return Trees(runs, trial, "BOARD")


def members(**changed):
    """A record without its number."""
    found = {"app": [], "agent": [], "new": [], "tried": 0, "slot": None}
    found.update(changed)
    return found


def kept():
    """The record in force without its number; None: there is none."""
    found = noted()
    if found:
        del found["seq"]
    return found


# -- one write after the other -------------------------------------------------------------------


def test_first_application_has_no_tree_to_empty_and_takes_two_writes():
    with Board():
        trees = running()
        assert tree_record.free(trees, "app") == "a"
        tree_record.empty(trees, "app")
        assert noted() is None
        tree_record.activate(trees, {"app": A})
        assert kept() == members(app=[A], new=["app"]) and noted()["seq"] == 1
        trees = running(True, app=A)
        tree_record.confirm(trees)
        assert kept() == members(app=[A]) and noted()["seq"] == 2 and trees.trial is False


def test_update_takes_three_writes_and_leaves_the_tree_that_runs_as_the_other_one():
    with Board():
        note(1, seq=7, app=[B, A], agent=[OTHER])
        trees = running(app=B, agent=OTHER)
        assert tree_record.free(trees, "app") == "a"
        tree_record.empty(trees, "app")
        assert kept() == members(app=[B], agent=[OTHER]) and noted()["seq"] == 8
        tree_record.empty(trees, "app")
        assert noted()["seq"] == 8, "it is"
        tree_record.activate(trees, {"app": C})
        assert kept() == members(app=[C, B], agent=[OTHER], new=["app"]) and noted()["seq"] == 9
        tree_record.confirm(running(True, app=C, agent=OTHER))
        assert kept() == members(app=[C, B], agent=[OTHER]) and noted()["seq"] == 10


def test_letter_of_the_tree_that_does_not_run_is_that_of_no_kind_else():
    for runs, letters in (
        ({}, "aa"), ({"app": A}, "ba"), ({"app": B}, "aa"), ({"agent": A}, "ab"),
        ({"app": B, "agent": B}, "aa"), ({"app": A, "agent": A}, "bb"),
    ):  # fmt: skip
        with Board():
            trees = running(**runs)
            found = tree_record.free(trees, "app") + tree_record.free(trees, "agent")
            assert found == letters, runs


def test_tree_that_is_named_and_passed_over_is_the_one_that_goes():
    """The second one of the record runs, as the first was damaged; or none of them does."""
    for runs, letter, left in (({"app": A}, "b", [A]), ({}, "a", [B])):
        with Board():
            note(app=[B, A])
            trees = running(**runs)
            assert tree_record.free(trees, "app") == letter
            tree_record.empty(trees, "app")
            assert kept() == members(app=left)
            new = [letter, "ee" * 32, "4.0.0", 0]
            tree_record.activate(trees, {"app": new})
            assert kept() == members(app=[new] + left, new=["app"])


def test_trees_of_both_kinds_are_activated_by_one_write():
    with Board():
        note(seq=3, app=[A], agent=[OTHER])
        trees, new = running(app=A, agent=OTHER), ["b", "ee" * 32, "0.2.0", 6]
        tree_record.activate(trees, {"app": B, "agent": new})
        found = noted()
        assert sorted(found["new"]) == ["agent", "app"] and found["seq"] == 4
        assert found["app"] == [B, A] and found["agent"] == [new, OTHER]


def test_trees_that_came_with_an_image_are_tied_to_its_slot_until_they_are_confirmed():
    with Board():
        note(app=[A])
        tree_record.activate(running(app=A), {"app": B}, "ota_1")
        assert kept() == members(app=[B, A], new=["app"], slot="ota_1")
        trees = running(False, app=B)
        tree_record.confirm(trees)
        assert kept() == members(app=[B, A])


def test_confirming_writes_only_where_what_runs_is_new():
    for record in (members(app=[A]), members(app=[B, A], new=["app"])):
        with Board() as board:
            note(seq=5, **record)
            before, operations = noted(), board.chip.operations
            trees = running(True, app=A)
            tree_record.confirm(trees)
            assert noted() == before and board.chip.operations == operations
    with Board():
        tree_record.confirm(running())
        assert noted() is None


def test_what_was_taken_back_is_settled_and_named_no_more():
    for record in (
        members(app=[B, A], new=["app"], tried=1), members(app=[B, A], new=["app"]),
        members(app=[B, A], new=["app"], slot="ota_1"),
    ):  # fmt: skip
        with Board() as board:
            note(seq=5, **record)
            tree_record.settle(running(app=A))
            assert kept() == members(app=[A]) and noted()["seq"] == 6
            operations = board.chip.operations
            tree_record.settle(running(app=A))
            assert board.chip.operations == operations


def test_what_was_confirmed_by_its_slot_is_settled_and_stays():
    with Board():
        note(app=[B, A], new=["app"], slot="ota_1")
        tree_record.settle(running(app=B))
        assert kept() == members(app=[B, A])


def test_trees_of_one_job_are_settled_together_though_one_of_them_runs():
    new = ["b", "ee" * 32, "0.2.0", 6]
    with Board():
        note(app=[B, A], agent=[new, OTHER], new=["app", "agent"], tried=1)
        tree_record.settle(running(app=B, agent=OTHER))
        assert kept() == members(app=[A], agent=[OTHER])


def test_members_of_a_version_to_come_stay_through_an_update():
    with Board():
        note(app=[A], later={"x": [1]})
        trees = running(app=A)
        tree_record.empty(trees, "app")
        tree_record.activate(trees, {"app": B})
        tree_record.confirm(running(True, app=B))
        assert noted()["later"] == {"x": [1]}


# -- the other one -------------------------------------------------------------------------------


def test_other_tree_is_the_one_that_ran_before():
    for record, runs, other in (
        (None, {}, None), (members(), {}, None), (members(app=[A]), {"app": A}, None),
        (members(app=[B, A]), {"app": B}, A), (members(agent=[B, A]), {"agent": B}, None),
        (members(app=[B, A], new=["app"], tried=1), {"app": A}, None),
        (members(app=[B, A]), {"app": A}, None),  # B is damaged, and A runs already
    ):  # fmt: skip
        with Board():
            if record:
                note(**record)
            assert tree_record.other(running(**runs), "app") == other, (record, runs)


def test_rollback_names_the_other_tree_first_and_comes_back_to_the_one_before():
    with Board():
        note(app=[B, A])
        tree_record.activate(running(app=B), {"app": A})
        assert kept() == members(app=[A, B], new=["app"])
        tree_record.settle(running(app=B))
        assert kept() == members(app=[B])


def test_label_names_kinds_and_letters_and_tells_what_runs():
    trees = running(app=B, agent=A)
    assert trees.label({}) == "" and trees.label({"app": B}) == "app.b"
    assert trees.label({"app": B, "agent": A}) == "agent.a+app.b"
    for label, runs in (
        ("app.b", True), ("agent.a", True), ("agent.a+app.b", True), ("app.a", False),
        ("agent.a+app.a", False), ("agent.b+app.b", False), ("ota_0", False), ("new", False),
    ):  # fmt: skip
        assert trees.running(label) is runs, label


def test_version_is_of_the_tree_or_of_the_agent_without_one():
    from sluice.version import VERSION

    assert running(app=B).version("app") == "2.0.0" and running().version("app") == ""
    assert running(agent=OTHER).version("agent") == "0.1.0"
    assert running().version("agent") == VERSION


# -- a medium that fails -------------------------------------------------------------------------

NEXT = ["a", "ff" * 32, "9.9.9", 6]
CHANGES = (  # record before, what runs, what is done
    (members(app=[B, A]), {"app": B}, lambda trees: tree_record.empty(trees, "app")),
    (members(app=[B]), {"app": B}, lambda trees: tree_record.activate(trees, {"app": NEXT})),
    (members(app=[B, A]), {"app": B},
     lambda trees: tree_record.activate(trees, {"app": A}, "ota_1")),
    (members(app=[NEXT, B], new=["app"], tried=1), {"app": NEXT}, tree_record.confirm),
    (members(app=[NEXT, B], new=["app"], tried=1), {"app": B}, tree_record.settle),
    (members(app=[NEXT, B], new=["app"], slot="ota_1"), {"app": NEXT}, tree_record.settle),
)  # fmt: skip


def test_power_that_fails_in_a_change_leaves_the_record_before_or_the_one_after():
    for record, runs, change in CHANGES:
        cuts, seen = 0, []
        while True:
            board = Board()
            with board:
                note(1, seq=10, **members(app=[A]))
                note(1, seq=11, **record)
                note(0, seq=10, **members(app=[A]))
            board.cut_after(cuts)
            cut = False
            with board:
                try:
                    change(running(**runs))
                except PowerCut:
                    cut = True
            board.cut_after(None)
            with board:
                after = noted()
                assert after["seq"] in (11, 12), (record, cuts)
                if after["seq"] == 11:
                    assert kept() == record
                seen.append(after["seq"])
            if not cut:
                break
            cuts += 1
        assert seen[0] == 11 and seen[-1] == 12 and cuts > 1, (record, seen)


def test_full_file_system_leaves_the_record_before_and_is_told():
    for record, runs, change in CHANGES:
        with Board():
            note(0, seq=10, **members(app=[A]))
            note(1, seq=11, **record)
            older = read("/trees.0")
            fill()
            trees = running(True, **runs)
            raised(OSError, change, trees)
            assert kept() == record and noted()["seq"] == 11 and read("/trees.0") == older
            assert trees.trial is True, "it is not over"
