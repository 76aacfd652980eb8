"""Copying to a board: what changed, read back, and whatever happens in between."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sessions import Interrupted

from sluice.board_port import BoardPort
from sluice.errors import SluiceError
from sluice.flash import writing
from sluice.flash.asking import present
from sluice.flash.contents import CHOICE, START
from sluice.flash.earlier import leftovers, modules
from sluice.flash.planning import NOTES, Plan, folders, plan
from sluice.flash.writing import carry_out

OLD = {"/lib/a.mpy": b"a1", "/lib/b.mpy": b"b1" * 300, START: b"s1", "/config.json": b"c1"}
NEW = {"/lib/a.mpy": b"a2", "/lib/deep/c.mpy": b"c2", START: b"s1", "/config.json": b"c2"}
PATHS = sorted({*OLD, *NEW})


def nothing_kept(path: str) -> bool:
    return False


def flash(port: BoardPort, files: dict[str, bytes], keep=nothing_kept) -> Plan:
    planned = plan(port, files, keep)
    carry_out(port, planned, lambda path, size: None)
    return planned


def contents(port: BoardPort) -> dict[str, bytes]:
    """Those of our files that are there."""
    found = {path: port.get(path) if port.exists(path) else None for path in PATHS}
    return {path: content for path, content in found.items() if content is not None}


def listed(port: BoardPort) -> set[str]:
    files = port.value("[row[0] for row in os.ilistdir('/') if row[1] == 0x8000]")
    return set(files) - {NOTES[1:]}


def test_empty_board_gets_every_file_and_the_second_time_none(session: BoardPort):
    copied = []
    planned = plan(session, OLD, nothing_kept)
    carry_out(session, planned, lambda path, size: copied.append((path, size)))
    assert contents(session) == OLD
    assert {path for path, _ in copied} == set(OLD)
    assert sum(size for _, size in copied) == sum(map(len, OLD.values()))
    assert copied[-1][0] == START
    again = plan(session, OLD, nothing_kept)
    assert again.done
    assert (again.to_copy, again.room(4096)) == ({}, 0)


def test_file_that_changed_alone_is_copied(session: BoardPort):
    flash(session, OLD)
    session.put("/config.json", b"by hand")
    assert flash(session, OLD).to_copy == {"/config.json": b"c1"}
    assert contents(session) == OLD


def test_file_that_is_no_longer_part_goes_if_we_wrote_it_and_nobody_else_did(session: BoardPort):
    flash(session, OLD | {"/lib/mine.mpy": b"x"})
    session.put("/lib/mine.mpy", b"changed by the user")
    session.put("/lib/theirs.py", b"never ours")
    assert flash(session, NEW).stale == ["/lib/b.mpy"]
    assert contents(session) == NEW
    assert {"mine.mpy", "theirs.py", "a.mpy"} <= set(session.value("os.listdir('/lib')"))
    assert "b.mpy" not in session.value("os.listdir('/lib')")


@pytest.mark.parametrize("interrupted", [False, True])
def test_main_of_the_user_is_kept_under_another_name(session: BoardPort, interrupted: bool):
    session.put(START, b"print('mine')")
    if interrupted:
        session.put(NOTES, json.dumps({START: "a digest that it has not"}).encode())
    assert flash(session, OLD).theirs
    assert contents(session) == OLD
    assert session.get("/main.py.old") == b"print('mine')"
    assert not flash(session, OLD | {START: b"s2"}).theirs
    assert session.get("/main.py.old") == b"print('mine')"


def test_file_that_is_to_be_kept_stays_and_is_not_forgotten(session: BoardPort):
    flash(session, OLD)
    settings = {"/config.json": b"c2"}
    flash(session, settings, keep=lambda path: path != "/config.json")
    assert contents(session) == OLD | settings
    assert set(json.loads(session.get(NOTES))) == set(OLD)


@pytest.mark.parametrize("notes", [b"", b"[]", b"{", b'{"lib/x": 1}', b"\xff", b"{}" * 20_000])
def test_notes_that_are_not_ours_are_as_good_as_none(session: BoardPort, notes: bytes):
    session.put(NOTES, notes)
    assert flash(session, {"/config.json": b"c"}).stale == []
    assert set(json.loads(session.get(NOTES))) == {"/config.json"}


def test_notes_that_do_not_fit_into_the_heap_at_once_are_read(session: BoardPort):
    notes = {f"/lib/{n}.mpy": f"{n:064}" for n in range(180)}
    session.put(NOTES, json.dumps(notes).encode())
    assert plan(session, {}, keep=lambda path: True).notes == notes


def test_flash_that_loses_what_is_written_is_found_by_reading_back(
    session: BoardPort, monkeypatch: pytest.MonkeyPatch
):
    flash(session, OLD)
    put = session.put
    monkeypatch.setattr(
        session,
        "put",
        lambda path, content, *more: put(path, content.replace(b"c2", b"c3"), *more),
    )
    with pytest.raises(SluiceError, match="reads back differently"):
        flash(session, NEW)
    assert contents(session) == OLD


def cut_off(port: BoardPort, files: dict[str, bytes], at: str) -> None:
    """Flash them; the cable is pulled when a part of that file is there."""

    def put(path: str, content: bytes, *more: object) -> None:
        if path == f"{at}.new":
            BoardPort.put(port, path, content[:1])
            raise Interrupted
        BoardPort.put(port, path, content)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(port, "put", put)
        flash(port, files)


def test_what_a_run_left_that_was_cut_off_takes_the_place_of_nothing(session: BoardPort):
    """Another firmware follows, with the same main.py as the one before both."""
    flash(session, OLD)
    cut_off(session, NEW | {START: b"s2"}, at=START)
    third = OLD | {"/lib/a.mpy": b"a3"}
    flash(session, third)
    assert contents(session) == third
    assert listed(session) == {"main.py", "config.json"}
    assert "deep" not in session.value("os.listdir('/lib')")


def test_what_we_wrote_is_known_as_ours_after_a_run_that_was_cut_off(session: BoardPort):
    session.put(START, b"print('mine')")
    flash(session, OLD)
    cut_off(session, {path: content + b"2" for path, content in OLD.items()}, at=START)
    planned = flash(session, NEW | {START: b"s3"})
    assert (planned.theirs, planned.stale) == ([], ["/lib/b.mpy"])
    assert session.get("/main.py.old") == b"print('mine')"
    assert contents(session) == NEW | {START: b"s3"}


def test_what_was_copied_before_an_interruption_is_not_copied_again(again: Callable):
    with again() as port:
        planned = plan(port, OLD, nothing_kept)

        def stop(path: str, size: int) -> None:
            if path == "/lib/b.mpy":
                raise Interrupted

        with pytest.raises(Interrupted):
            carry_out(port, planned, stop)
    with again() as port:
        assert "/lib/a.mpy" not in flash(port, OLD).to_copy
        assert contents(port) == OLD


# -- the layout of before the package `sluice` ----------------------------------------------------

EARLY = {
    f"{place}{name}": name.encode()
    for place, kind in (("/lib/", "mpy"), ("/", "py"))
    for name in (f"ota/errors.{kind}", f"ota/journal.{kind}", f"net/mqtt.{kind}", f"run.{kind}",
                 f"ota/states/idle.{kind}", f"ota/operations/echo.{kind}")
}  # fmt: skip
MINE = {"/lib/ota/operations/mine.py": b"1", "/lib/tools.py": b"2", "/app.py": b"3"}
STARTER = {CHOICE: b"choice", START: b"start"}
FIRMWARE = {"/lib/sluice/run.mpy": b"run", "/lib/board.mpy": b"board", START: b"start"}


def lay(port: BoardPort, files: dict[str, bytes]) -> None:
    port.run(f"make_folders({folders(files)!r})")
    for path, content in files.items():
        port.put(path, content)


def early(port: BoardPort) -> list[str]:
    return leftovers(lambda paths: present(port, paths))


def tree(port: BoardPort) -> set[str]:
    """Every file and folder, but what MicroPython has mounted and the notes."""
    return set(
        port.value(
            "(lambda walk: walk(walk, ''))(lambda walk, at: "
            "sum([[at + '/' + row[0]] + (walk(walk, at + '/' + row[0]) if row[1] == 0x4000 "
            "and at + '/' + row[0] not in ('/rom', '/shims') else []) "
            "for row in os.ilistdir(at or '/')], []))"
        )
    ) - {NOTES, "/rom", "/shims", "/lib"}


@pytest.mark.parametrize("cut", [False, True])
def test_nothing_of_an_earlier_layout_stays_and_all_that_is_the_users(session: BoardPort, cut):
    lay(session, EARLY | MINE)
    assert set(early(session)) == set(EARLY)
    before = tree(session) - {folder for path in EARLY for folder in parents(path)} - set(EARLY)
    if cut:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
            patch.setattr(writing, "_note", note_or_stop(2))
            carry_out(session, plan(session, FIRMWARE, nothing_kept, early(session)), quiet)
        assert "/ota" not in session.value("os.listdir('/')")
    planned = plan(session, FIRMWARE, nothing_kept, early(session))
    carry_out(session, planned, quiet)
    assert plan(session, FIRMWARE, nothing_kept, early(session)).done
    kept = {"/lib/ota", "/lib/ota/operations"} | set(MINE)
    assert tree(session) == before | kept | {"/lib/sluice"} | set(FIRMWARE)


def parents(path: str) -> set[str]:
    return set(folders([path]))


def quiet(path: str, size: int) -> None:
    pass


def note_or_stop(at: int) -> Callable:
    """As _note, but the cable is pulled at its call of that number."""
    real, calls = writing._note, []

    def note(board: BoardPort, notes: dict[str, str]) -> None:
        calls.append(notes)
        if len(calls) == at:
            raise Interrupted
        real(board, notes)

    return note


def test_package_of_another_that_is_called_ota_is_not_ours(session: BoardPort):
    theirs = {"/lib/ota/update.py": b"1", "/lib/ota/errors.py": b"2", "/net/wifi.py": b"3",
              "/lib/config.py": b"4"}  # fmt: skip
    lay(session, theirs)
    assert early(session) == []
    flash(session, FIRMWARE)
    assert {path: session.get(path) for path in theirs} == theirs


def test_what_would_be_imported_in_the_place_of_the_starters_steps_aside(session: BoardPort):
    mine = {"/lib/trees.py": b"1", "/lib/board.py": b"2", "/trees/oak.txt": b"3"}
    lay(session, mine)
    files = {CHOICE: b"choice", START: b"start"}
    flash(session, files)
    assert plan(session, files, nothing_kept).done
    left = {"/lib/trees.py.old", "/lib/board.py", "/trees.old", "/trees.old/oak.txt", *files}
    assert tree(session) == left


@pytest.mark.parametrize("kind", [".py", ".mpy"])
def test_package_in_lib_goes_by_its_names_and_what_is_the_users_there_stays(
    session: BoardPort, kind: str
):
    package = {
        f"/lib/sluice/{name}{kind}": b"1" for name in ("run", "net/mqtt", "ways", "slots/tree")
    }
    mine = {"/lib/sluice/mine.py": b"2", "/lib/sluice/net/run.py": b"3", "/lib/board.py": b"4"}
    lay(session, package | mine | {"/lib/sluice/job.mpy.new": b"5"})
    found = modules(session.value("below('/lib/sluice')"))
    assert set(found) == {*package, "/lib/sluice/job.mpy.new"}
    carry_out(session, plan(session, STARTER, nothing_kept, found), quiet)
    assert tree(session) == {"/lib/sluice", "/lib/sluice/net", *mine, *STARTER}
    assert modules(session.value("below('/lib/sluice')")) == []
    assert session.value("below('/nothing')") == []


@pytest.mark.parametrize("cut", [False, True])
def test_where_there_is_no_room_for_both_what_goes_does_so_first(
    session: BoardPort, cut, monkeypatch: pytest.MonkeyPatch
):
    flash(session, {f"/lib/old{n}.mpy": bytes(3_000) for n in range(3)} | {START: b"s1"})
    planned = plan(session, FIRMWARE, nothing_kept)
    assert planned.gain(4_096) == 3 * 4_096
    planned, seen = replace(planned, first=True), []

    def look(path: str, content: bytes, *more: object) -> None:
        if path.endswith("/sluice/run.mpy.new"):
            seen.append(tree(session))
            if cut:
                raise Interrupted
        BoardPort.put(session, path, content, *more)

    monkeypatch.setattr(session, "put", look)
    if cut:
        with pytest.raises(Interrupted):
            carry_out(session, planned, quiet)
        monkeypatch.undo()
        assert START not in tree(session)
        flash(session, FIRMWARE)
    else:
        carry_out(session, planned, quiet)
    assert not any("old" in path or path == START for path in seen[0])
    assert plan(session, FIRMWARE, nothing_kept).done
    assert session.get(START) == FIRMWARE[START]
