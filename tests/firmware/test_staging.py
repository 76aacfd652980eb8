"""All files of a job or none are in place, whatever the power does and wherever it does it."""

import os

from doubles import raised, recorded
from medium import Board, PowerCut, tree, write

from sluice import log
from sluice.errors import Fail
from sluice.files import staging
from sluice.job import File, Job
from sluice.journal import ACTIVATED, DOWNLOADING, IDLE
from sluice.loading import exists

DIFFERS = True  # LittleFS

HEAP = "6m"
OLD = {"app.py": b"old app", "lib/pump/__init__.py": b"old pump", "keep.txt": b"as it was"}
NEW = {"/app.py": b"new app", "/lib/pump/__init__.py": b"new pump", "/data/deep/map": b"m" * 9_000}


class Slots:
    """What runs, and whether on trial."""

    def __init__(self, running="ota_0", trial=False):
        self.running, self.trial = running, trial


def job(paths=NEW, id="j"):
    made = Job(id, 1, stamp=7)
    made.files = []
    for path in paths:
        made.files.append(File(1, "http_range"))
        made.files[-1].path = path
    return made


def staged(one=None):
    """Everything has come and is proved."""
    one = one or job()
    staging.begin(one, "identity")
    for number, path in enumerate(sorted(NEW)):
        one.files[number].path = path
        write(staging.name(number), NEW[path])
    return one


def before():
    """What a board without any of it holds."""
    found = {"/" + path: data for path, data in OLD.items()}
    found.update({"/lib": None, "/lib/pump": None})
    return found


def after():
    found = before()
    found.update(NEW)
    found.update({"/data": None, "/data/deep": None})
    return found


def quiet(act, *words):
    log.level("E")
    try:
        return act(*words)
    finally:
        log.level("I")


def content(found):
    """Without what is still in /staged."""
    return {path: data for path, data in found.items() if not path.startswith("/staged/")}


# -- the straight way ----------------------------------------------------------------------------


def test_files_promised_are_put_in_place_and_kept():
    with Board(files=OLD):
        one = staged()
        staging.activate(one)
        assert tree() != after() and staging.record().phase == ACTIVATED
        assert quiet(staging.at_start, Slots()) is False
        assert tree() == after()
        assert staging.placed(one) and staging.record().phase == IDLE
        assert quiet(staging.at_start, Slots()) is False and tree() == after()


def test_files_staged_without_a_promise_are_not_put_in_place():
    with Board(files=OLD):
        one = staged()
        assert staging.at_start(Slots()) is False
        assert content(tree()) == before() and not staging.placed(one)


def test_settling_a_board_that_never_had_files_writes_nothing():
    with Board(files=OLD) as board:
        operations = board.chip.operations
        assert staging.at_start(Slots()) is False
        staging.confirm()
        staging.drop()
        assert board.chip.operations == operations and tree() == before()


def test_abandoned_files_leave_nothing():
    with Board(files=OLD):
        one = staged()
        staging.drop()
        assert tree() == before() and not staging.placed(one)
        staging.activate(staged())
        quiet(staging.drop)
        assert tree() == before()


def test_files_in_place_whose_old_ones_are_still_there_are_kept_unless_their_own_job_failed():
    for whose, succeeded, left in (
        ("job", False, before), ("job", True, after), ("another", False, after),
    ):  # fmt: skip
        with Board(files=OLD):
            staging.activate(staged())
            quiet(staging.put, staging.record())
            assert content(tree()) != before()
            quiet(staging.drop, job() if whose == "job" else job(id=whose), succeeded)
            assert content(tree()) == left(), (whose, succeeded)
            assert staging.record().phase == IDLE


def test_abandoning_what_is_final_changes_nothing():
    with Board(files=OLD):
        staging.activate(staged())
        quiet(staging.at_start, Slots())
        staging.drop()
        assert tree() == after()


def test_beginning_removes_what_another_job_left():
    with Board(files=OLD):
        staged(job(id="first"))
        noted = staging.begin(job(id="second"), "other")
        assert tree() == before() and noted["job"] == "second" and noted["file"] == 0


# -- with an image -------------------------------------------------------------------------------


def test_files_of_an_image_wait_for_its_boot_and_stay_with_its_confirmation():
    with Board(files=OLD):
        staging.activate(staged(), "ota_1")
        assert content(tree()) == before()
        quiet(staging.at_start, Slots("ota_1", True))
        assert content(tree()) == after() and len(tree()) > len(after())
        quiet(staging.confirm)
        assert tree() == after()


def test_files_of_an_image_confirmed_before_that_was_noted_stay():
    with Board(files=OLD):
        staging.activate(staged(), "ota_1")
        quiet(staging.at_start, Slots("ota_1", True))
        quiet(staging.at_start, Slots("ota_1", False))
        assert tree() == after()


def test_files_of_an_image_that_is_rolled_back_are_taken_back():
    with Board(files=OLD):
        one = staged()
        staging.activate(one, "ota_1")
        quiet(staging.at_start, Slots("ota_1", True))
        quiet(staging.at_start, Slots("ota_0"))
        assert tree() == before() and not staging.placed(one)


def test_files_of_an_image_that_never_booted_stay_staged_for_its_job():
    with Board(files=OLD):
        one = staged()
        staging.activate(one, "ota_1")
        quiet(staging.at_start, Slots("ota_0"))
        assert content(tree()) == before() and len(tree()) == len(before()) + len(NEW)
        assert staging.record().phase == DOWNLOADING and staging.record().about(one)


# -- on trial themselves -------------------------------------------------------------------------


def test_files_on_trial_are_kept_once_the_board_has_started_with_them():
    with Board(files=OLD):
        staging.activate(staged(), trial=True)
        assert quiet(staging.at_start, Slots()) is True
        assert content(tree()) == after()
        for _ in range(2):  # the second time after a power cut
            assert quiet(staging.rebooted)[0] == "succeeded"
            assert tree() == after()


def test_files_on_trial_are_taken_back_at_the_second_start_without_a_verdict():
    with Board(files=OLD):
        staging.activate(staged(), trial=True)
        assert quiet(staging.at_start, Slots()) is True
        assert quiet(staging.at_start, Slots()) is False
        assert tree() == before()
        for _ in range(2):
            step, reason = staging.rebooted()
            assert step == "failed" and "did not start" in reason


# -- a file system that refuses ------------------------------------------------------------------


def test_files_that_cannot_all_be_put_in_place_are_all_taken_back():
    with Board(files=OLD):
        one = staged()
        staging.activate(one)
        write("/data", b"a file where a folder is to be")
        found = raised(Fail, lambda: quiet(staging.put, staging.record()))
        assert found.reason == "files cannot be put in place"
        wanted = before()
        wanted["/data"] = b"a file where a folder is to be"
        assert content(tree()) == wanted


def test_files_that_cannot_be_put_in_place_at_a_start_do_not_stop_the_board():
    for slot, slots, ends in ((None, Slots(), False), ("ota_1", Slots("ota_1"), False)):
        with Board(files=OLD):
            staging.activate(staged(), slot)
            write("/data", b"")
            log.to(lambda line: None)
            try:
                assert staging.at_start(slots) is ends
            finally:
                log.to(print)
            assert tree()["/app.py"] == b"old app"


def test_files_that_cannot_be_put_in_place_end_the_trial_of_their_image():
    with Board(files=OLD):
        staging.activate(staged(), "ota_1")
        write("/data", b"")
        log.to(lambda line: None)
        try:
            raised(Fail, staging.at_start, Slots("ota_1", True))
        finally:
            log.to(print)
        assert tree()["/app.py"] == b"old app"


# -- power cuts ----------------------------------------------------------------------------------


def promised():
    """Whether a start would load the module at all."""
    return exists("/staged/promised")


def swept(act, judge, prepare=lambda: staging.activate(staged())):
    """Cut the power after each operation of `act`, then look at it with the power back on."""
    cuts = 0
    while True:
        board = Board(files=OLD)
        with board:
            prepare()
        ended = True
        with board:
            board.cut_after(cuts)
            try:
                quiet(act)
            except PowerCut:
                ended = False
            board.cut_after(None)
        with board:
            judge(ended)
        if ended:
            assert cuts > 3
            return
        cuts += 1


def test_power_cut_while_files_are_put_in_place_ends_with_all_of_them():
    def judge(ended):
        if promised():
            quiet(staging.at_start, Slots())
        assert tree() == after() and not promised()
        staging.confirm()
        assert staging.record().phase == IDLE

    swept(lambda: staging.at_start(Slots()), judge)


def test_power_cut_while_the_promise_is_written_leaves_all_or_none():
    seen = set()

    def judge(ended):
        assert content(tree()) == before()
        assert promised() or staging.record().phase != ACTIVATED
        quiet(staging.at_start, Slots())
        found = content(tree())
        assert found in (before(), after()) and (found == after() or not ended)
        seen.add(len(found))

    one = []

    def prepare():
        one[:] = [staged()]

    swept(lambda: staging.activate(one[0]), judge, prepare)
    assert len(seen) == 2


def test_power_cut_in_the_trial_of_an_image_ends_with_none_of_its_files():
    def prepare():
        staging.activate(staged(), "ota_1")

    def judge(ended):
        quiet(staging.at_start, Slots("ota_0"))
        assert content(tree()) == before()
        assert staging.record().phase != ACTIVATED

    swept(lambda: staging.at_start(Slots("ota_1", True)), judge, prepare)


def test_power_cut_while_files_are_taken_back_ends_with_none_of_them():
    def prepare():
        staging.activate(staged(), "ota_1")
        quiet(staging.at_start, Slots("ota_1", True))

    def judge(ended):
        quiet(staging.at_start, Slots("ota_0"))
        assert content(tree()) == before()

    swept(lambda: staging.at_start(Slots("ota_0")), judge, prepare)


def test_power_cut_while_what_stood_there_is_removed_keeps_the_new_files():
    def prepare():
        staging.activate(staged(), trial=True)
        quiet(staging.at_start, Slots())

    def judge(ended):
        for _ in range(3):
            quiet(staging.at_start, Slots())
        found = content(tree())
        assert found == after() or not ended and found == before()

    swept(staging.confirm, judge, prepare)


def test_power_cut_while_another_job_begins_does_not_mix_the_two():
    def judge(ended):
        quiet(staging.at_start, Slots())
        assert content(tree()) == before()
        assert staging.begin(job(id="third"), "x")["file"] == 0
        assert tree() == before()

    swept(lambda: staging.begin(job(id="second"), "x"), judge, lambda: staged())


def test_promise_makes_no_folder_and_taking_back_removes_those_it_made():
    with Board(files=OLD):
        staging.activate(staged(), "ota_1")
        assert "/data" not in tree()
        quiet(staging.at_start, Slots("ota_1", True))
        assert "/data/deep" in tree()
        write("/data/mine", b"1")
        quiet(staging.at_start, Slots("ota_0"))
        assert "/data/deep" not in tree() and tree()["/data/mine"] == b"1"
        os.remove("/data/mine")


# -- a record that is none ------------------------------------------------------------------------


def test_record_of_places_that_no_job_may_name_is_none_and_moves_nothing():
    for path in (
        "/main.py",
        "/a/../b",
        "/lib/sluice/agent/agent.mpy",
        "/config.json",
        "/x//y",
        "/x/",
        "/",
    ):
        with Board(files=OLD):
            staged()
            promise = {"seq": 90, "phase": ACTIVATED, "job": "j", "number": 1, "stamp": 7,
                       "image": "identity", "file": 1, "paths": [path], "folders": []}  # fmt: skip
            write("/staged/journal.0", recorded(promise))
            write("/staged/promised", b"")
            was = tree()
            assert staging.record().phase == DOWNLOADING, path
            assert staging.at_start(Slots()) is False and tree() == was


PROMISE = {
    "seq": 90, "phase": ACTIVATED, "job": "j", "number": 1, "stamp": 7, "image": "identity",
    "paths": sorted(NEW), "folders": ["/data", "/data/deep"],
}  # fmt: skip
STRANGE = (  # members that an agent stumbled over: at each of these the board reset for ever
    {"phase": "zzz"}, {"phase": ["activated"]}, {"job": None}, {"number": "1"}, {"image": 5},
    {"paths": ["data"]}, {"paths": [5]}, {"paths": []}, {"paths": "/data"}, {"paths": [["/data"]]},
    {"paths": None}, {"folders": [None]}, {"folders": 7}, {"slot": []}, {"boots": "0"},
    {"more": "x" * 100_000},
    {"phase": DOWNLOADING, "paths": None},
)  # fmt: skip


def test_record_of_such_members_is_one_where_none_is_strange():
    with Board(files=OLD):
        staged()
        write("/staged/journal.0", recorded(PROMISE))
        write("/staged/promised", b"")
        quiet(staging.at_start, Slots())
        assert tree() == after()


def test_record_that_is_none_leaves_a_board_that_starts_and_takes_the_next_job():
    for data in [b"x" * 100_000] + [recorded(dict(PROMISE, **strange)) for strange in STRANGE]:
        with Board(blocks=128, files=OLD):
            staged()
            staging.activate(job())
            for cell in ("/staged/journal.0", "/staged/journal.1"):
                write(cell, data)
            assert staging.at_start(Slots()) is False and content(tree()) == before(), data[:300]
            staging.drop()
            assert not exists("/staged/0") and not exists("/staged/promised")
            quiet(place, staged())
            assert tree() == after()


def place(one):
    """As a job without an image does."""
    staging.activate(one)
    noted = staging.record()
    staging.put(noted)
    staging.confirm(noted)
