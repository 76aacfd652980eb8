"""The agent's tree on a board: where it goes, what stays, and whatever happens in between."""

import json
from collections.abc import Callable, Iterator

import pytest
from sessions import Interrupted, interrupt, wipe

from sluice.board_port import BoardPort
from sluice.bundle import tree
from sluice.flash.contents import CHOICE, START
from sluice.flash.planning import NOTES, Plan, plan
from sluice.flash.trees import CELLS, Agent, Entry, Trees, look, settled
from sluice.flash.writing import carry_out

APP = tree.pack({"sluice.json": b"{}", "app.py": b"x = 1"})
RUNS = ["b", tree.digest(APP), "3.1", 0]
LOST = ["a", "0" * 64, "3.0", 0]
SLOT = "ota_0"


def agent(version: str) -> Agent:
    """One of a few hundred bytes."""
    content = {"sluice.json": b"{}", "sluice/version.mpy": version.encode() * 100}
    return Agent(tree.pack(content), version, 6)


def starter(version: str) -> dict[str, bytes]:
    return {path: f"{path} {version}".encode() for path in (CHOICE, START)}


ONE, TWO, THREE = (agent(f"{number}.0.0") for number in (1, 2, 3))
FIRST, SECOND = starter("1"), starter("2")


def planned(port: BoardPort, ours: Agent | None, files: dict[str, bytes], early=()) -> Plan:
    return plan(port, files, lambda path: False, early, look(port, ours, SLOT))


def flash(port: BoardPort, ours: Agent, files: dict[str, bytes] = FIRST, early=()) -> Trees:
    made = planned(port, ours, files, early)
    carry_out(port, made, lambda path, size: None)
    assert planned(port, ours, files, early).done
    return made.trees


def content(port: BoardPort, path: str) -> bytes | None:
    return port.get(path) if port.exists(path) else None


def record(port: BoardPort) -> dict:
    return tree.read_record([content(port, path) for path in CELLS])


def lay(port: BoardPort, *entries: Entry, seq: int = 1, **more) -> None:
    """A record of an application's trees, with what it says besides."""
    agents = more.pop("agent", [])
    port.put(CELLS[seq & 1], tree.record(seq, list(entries), agents, **more))


def test_board_without_trees_gets_the_agents_and_a_record_of_it(session: BoardPort):
    seen = flash(session, ONE)
    assert (seen.path, seen.replaced, seen.emptied) == ("/agent.a", None, None)
    assert session.get("/agent.a") == ONE.content
    found = record(session)
    assert found == {"seq": 1, "app": [], "agent": [ONE.entry("a")], "new": [], "tried": 0,
                     "slot": None}  # fmt: skip
    assert planned(session, ONE, FIRST).to_copy == {}
    assert set(json.loads(session.get(NOTES))) == set(FIRST), "trees are in their record alone"


def test_new_agent_goes_where_none_runs_and_the_one_before_stays(session: BoardPort):
    flash(session, ONE)
    seen = flash(session, TWO)
    assert (seen.path, seen.replaced, seen.emptied) == ("/agent.b", ONE.entry("a"), None)
    assert record(session)["agent"] == [TWO.entry("b"), ONE.entry("a")]
    seen = flash(session, THREE)
    assert seen.path == "/agent.a" and seen.replaced == TWO.entry("b")
    assert tree.read_record([seen.emptied[1], None])["agent"] == [TWO.entry("b")]
    assert record(session)["agent"] == [THREE.entry("a"), TWO.entry("b")]
    assert record(session)["seq"] == 4
    back = flash(session, TWO)
    assert (back.path, back.content) == ("/agent.b", None), "it is there already"
    assert record(session)["agent"] == [TWO.entry("b"), THREE.entry("a")]


@pytest.mark.parametrize("damaged", ["first", "both"])
def test_agent_that_is_damaged_is_written_anew(session: BoardPort, damaged: str):
    flash(session, ONE)
    flash(session, TWO)
    for path in ("/agent.b", "/agent.a")[: 1 if damaged == "first" else 2]:
        session.put(path, b"damaged")
    flash(session, TWO)
    if damaged == "first":
        assert record(session)["agent"] == [TWO.entry("b"), ONE.entry("a")]
    else:
        assert record(session)["agent"] == [TWO.entry("a")]


def test_trees_of_an_application_and_what_is_recorded_of_them_stay(session: BoardPort):
    session.put("/app.b", APP)
    session.put("/app.py", b"mine = 1")
    lay(session, RUNS, LOST, seq=6)
    for ours in (ONE, TWO, THREE):
        seen = flash(session, ours)
        assert (seen.app, seen.passed, seen.dropped) == (RUNS, "/app.py", ())
    assert session.get("/app.b") == APP and session.get("/app.py") == b"mine = 1"
    found = record(session)
    assert found["app"] == [RUNS, LOST] and found["seq"] == 10 and not found["new"]


def test_own_application_is_passed_over_only_where_a_tree_runs(session: BoardPort):
    session.put("/app.py", b"mine = 1")
    lay(session, LOST)  # which is not there
    seen = flash(session, ONE)
    assert (seen.app, seen.passed) == (None, "")


def test_image_that_brings_its_agent_gets_no_tree_and_those_that_are_there_stay(
    session: BoardPort,
):
    flash(session, ONE)
    before = [content(session, path) for path in (*CELLS, "/agent.a")]
    made = planned(session, None, {})
    assert made.trees == Trees(agent=ONE.entry("a"))
    carry_out(session, made, lambda path, size: None)
    assert [content(session, path) for path in (*CELLS, "/agent.a")] == before


# What a record says is new, as flash finds it, and what of it counts then.
# fmt: off
@pytest.mark.parametrize(
    ("new", "tried", "slot", "app", "dropped"),
    [
        ([],               0, None,    [RUNS, LOST], ()),
        (["app"],          1, None,    [LOST],       ("app.b 3.1",)),
        (["app"],          0, None,    [LOST],       ("app.b 3.1",)),
        (["app"],          0, "ota_1", [LOST],       ("app.b 3.1",)),
        (["app"],          0, SLOT,    [RUNS, LOST], ()),
        (["agent", "app"], 1, None,    [LOST],       ("agent.b 2.0.0", "app.b 3.1")),
    ],
)
# fmt: on
def test_what_is_on_trial_ends_there_unless_it_came_with_the_image_that_runs(
    session: BoardPort, new, tried, slot, app, dropped
):
    says = {"seq": 1, "app": [RUNS, LOST], "agent": [TWO.entry("b")], "new": new, "tried": tried,
            "slot": slot}  # fmt: skip
    agents = [] if "agent" in new else [TWO.entry("b")]
    assert settled(says, SLOT) == ({"seq": 1, "app": app, "agent": agents}, dropped)
    assert says["app"] == [RUNS, LOST]
    session.put("/app.b", APP)
    lay(session, RUNS, LOST, agent=[TWO.entry("b")], new=new, tried=tried, slot=slot)
    seen = flash(session, ONE)
    assert seen.dropped == dropped and record(session)["app"] == app
    assert record(session)["new"] == [] and record(session)["agent"] == [ONE.entry("a")]


def test_where_nothing_is_written_a_trial_is_left_to_the_start_that_follows(session: BoardPort):
    flash(session, ONE)
    session.put("/app.b", APP)
    lay(session, RUNS, seq=5, agent=[ONE.entry("a")], new=["app"], tried=0)
    before = record(session)
    assert flash(session, ONE).dropped == ()
    assert record(session) == before
    lay(session, RUNS, seq=6, agent=[ONE.entry("a")], new=["app"], tried=1)
    assert look(session, ONE, SLOT).dropped == ("app.b 3.1",), "our soft reset has ended it"
    waiting = [TWO.entry("b"), ONE.entry("a")]
    lay(session, seq=7, agent=waiting, new=["agent"], tried=0)
    assert flash(session, ONE).dropped == ("agent.b 2.0.0",), "another would be tried"
    assert record(session)["agent"] == [ONE.entry("a")]


@pytest.mark.parametrize("cell", [b"", b"{}", b"0" * 3_000, tree.record(9, [], [])[:-1]])
def test_cell_that_is_damaged_counts_for_nothing(session: BoardPort, cell: bytes):
    session.put(CELLS[1], cell)
    flash(session, ONE)
    assert record(session)["agent"] == [ONE.entry("a")]


def test_agent_needs_no_room_for_what_it_takes_the_place_of(session: BoardPort):
    flash(session, ONE)
    flash(session, TWO)
    assert planned(session, THREE, FIRST).room(4_096) == 8 * 4_096
    session.put("/agent.a", b"")
    assert planned(session, THREE, FIRST).room(4_096) == 9 * 4_096


# --- cut off anywhere ---------------------------------------------------------------------------

LAYOUT = {"/lib/sluice/run.mpy": b"1", "/lib/sluice/net/mqtt.mpy": b"2", "/lib/board.mpy": b"3"}
OLD = LAYOUT | {START: b"starts no trees", "/config.json": b"c1"}
MINE = {"/lib/tools.py": b"4", "/app.py": b"5", "/lib/umqtt.txt": b"6"}
NEW = {"/config.json": b"c2", **SECOND}


def starts(port: BoardPort) -> str:
    """What a start would run now: "old", "1.0.0" or "2.0.0"; "prompt" without a main.py. Whatever
    is a mixture fails."""
    main = content(port, START)
    if main is None:
        return "prompt"
    if main == OLD[START]:
        assert {path: content(port, path) for path in LAYOUT} == LAYOUT
        return "old"
    number = main[-1:]
    assert content(port, CHOICE) == starter(number.decode())[CHOICE]
    letter, digest, version, _ = record(port)["agent"][0]
    assert tree.digest(port.get(f"/agent.{letter}")) == digest
    assert version[:1].encode() == number
    return version


def files_of(port: BoardPort) -> set[str]:
    return {path for path in port.value("below('')") if not path.startswith(("/rom", "/shims"))}


def cuts(again: Callable, before: Callable, after: Callable) -> Iterator[tuple[BoardPort, int]]:
    """Each state that a board is left in when the cable is pulled, one call later each time."""
    with again() as port:
        wipe(port)
        before(port)
        calls = interrupt(port, 1_000)
        after(port)
        total = calls()
    assert 10 < total < 60
    for number in range(total):
        with again() as port:
            wipe(port)
            before(port)
            interrupt(port, number)
            with pytest.raises(Interrupted):
                after(port)
        with again() as port:
            yield port, number


def early(port: BoardPort) -> None:
    """As an earlier `sluice flash` left it, with files of the user's."""
    port.run("for path in ('/lib', '/lib/sluice', '/lib/sluice/net'):\n make_folders([path])")
    for path, text in MINE.items():
        port.put(path, text)
    carry_out(port, plan(port, OLD, lambda path: False), lambda path, size: None)


def write(port: BoardPort, ours: Agent, files: dict[str, bytes]) -> None:
    carry_out(port, planned(port, ours, files), lambda path, size: None)


def test_cut_off_anywhere_a_board_of_an_earlier_layout_starts_the_old_or_the_new(again: Callable):
    seen = []
    for port, _ in cuts(again, early, lambda port: write(port, TWO, NEW)):
        seen.append(starts(port))
        flash(port, TWO, NEW)
        assert starts(port) == "2.0.0"
        left = {*NEW, *MINE, NOTES, "/agent.a"}
        assert files_of(port) - set(CELLS) == left, "nothing is left over"
    assert set(seen) == {"old", "2.0.0"}, "and it never waits at its prompt"
    assert seen == sorted(seen, reverse=True)


def test_cut_off_anywhere_a_board_that_starts_trees_starts_no_mixture(again: Callable):
    def before(port: BoardPort) -> None:
        flash(port, THREE, FIRST)
        flash(port, ONE, FIRST)

    seen = []
    for port, _ in cuts(again, before, lambda port: write(port, TWO, NEW)):
        seen.append(starts(port))
        flash(port, TWO, NEW)
        assert starts(port) == "2.0.0" and port.get("/config.json") == b"c2"
        assert record(port)["agent"] == [TWO.entry("a"), ONE.entry("b")]
        assert not any(path.endswith(".new") for path in files_of(port))
    assert set(seen) == {"1.0.0", "prompt", "2.0.0"}


def test_cut_off_anywhere_where_the_agent_alone_is_new_it_starts_one_of_both(again: Callable):
    same = starter("1")
    fresh = Agent(tree.pack({"sluice.json": b"{}", "sluice/x.py": b"new"}), "1.0.1", 6)
    seen = []
    for port, _ in cuts(
        again, lambda port: flash(port, ONE, same), lambda port: write(port, fresh, same)
    ):
        seen.append(starts(port))
    assert set(seen) == {"1.0.0", "1.0.1"}
