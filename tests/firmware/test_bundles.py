"""Jobs that bring bundles, through the agent and its resets: which trees run, and what is told."""

import os

from doubles import run
from medium import Board, PowerCut, fill, read, write
from test_agent import SIZE, Reset, Waits, World
from test_agent import Staged as OneSlot
from test_agent import job as execution
from test_files import Shop
from test_inflate import BOARD, made
from test_staging import quiet
from tree_samples import Start, app, digest, esp32, note, noted

from sluice.errors import Fail, Gone, Retry
from sluice.journal import ACTIVATED, IDLE, Journal
from sluice.loading import exists
from sluice.slots.tree import Trees

DIFFERS = True  # deflate, LittleFS

HEAP = "4m"


class Fleet(Shop):
    """A board with trees, and its cloud."""

    def __init__(self, *jobs, **words):
        Shop.__init__(self, *jobs, **words)
        self.tried, self.error = [], None

    def boot(self):
        """As the boot loader, main.py and trees.py start it."""
        self.slots.boot()
        with Start(bool(self.slots.trial), modules=esp32(self.slots.running)) as start:
            self.error = start.error
        if self.error:
            return "Ended"  # main.py resets the board
        self.tried.append(start.tried)
        self.trees = Trees(start.runs, start.tried, BOARD)
        self.slots.boot = lambda: None
        try:
            return World.boot(self)
        finally:
            del self.slots.boot

    def runs(self, kind="app"):
        """Letter and version of what runs."""
        entry = self.trees.runs.get(kind)
        return entry and (entry[0], entry[2])


def entry(kind, data, number=1, **more):
    found = {"filesize": len(data), "fileid": number, "fileType": 200 if kind == "app" else 201}
    found.update(more)
    return found


def bringing(*kinds, image=False, stock=None):
    """An afr_ota document of bundles, and maybe an image."""
    files = [{"filesize": SIZE, "fileid": 0}] if image else []
    for number, kind in enumerate(kinds, 1):
        files.append(entry(kind, (stock or STOCK)["/." + kind], number))
    return {"afr_ota": {"protocols": ["MQTT"], "streamname": "s", "files": files}}


STOCK = {"/.app": made("app"), "/.agent": made("agent")}
OLD = ("a", "1.1.0")
NEW = ("b", "1.2.0")


def world(document, stock=None, blocks=96, first=False, **words):
    """(board, world) for one job; /app.a of version 1.1.0 runs, unless it is the first."""
    board = Board(blocks, {"app.py": b"root"})
    with board:
        if not first:
            note(1, seq=1, app=[app("a", b"X = 'old'", "1.1.0")])
    return board, Fleet(execution(document=document), stock=stock or STOCK, **words)


def named():
    """(letter, version) of the application's trees in the record, and what is new."""
    record = noted()
    return [(one[0], one[2]) for one in record["app"]], record["new"], record["slot"]


# -- an application ------------------------------------------------------------------------------


def test_application_is_tried_confirmed_and_stays():
    board, one = world(bringing("app"))
    with board:
        assert one.boot() == "Reset" and one.runs() == OLD
        assert named() == ([NEW, OLD], ["app"], None)
        assert one.boot() == "Waits" and one.tried == [False, True] and one.runs() == NEW
        assert [step for _, step, _ in one.reports] == ["applying", "trying", "succeeded"]
        assert one.verdict() == ("succeeded", "accepted app v1.2.0")
        assert named() == ([NEW, OLD], [], None) and not exists("/staged/0")
        assert one.boot() == "Waits" and one.tried[-1] is False and one.runs() == NEW
        assert len(one.reports) == 3 and one.journal.phase == IDLE


def test_first_application_takes_over_from_the_file_in_the_root():
    board, one = world(bringing("app"), first=True)
    with board:
        assert one.boot() == "Reset" and one.runs() is None
        assert one.boot() == "Waits" and one.runs() == ("a", "1.2.0")
        assert one.verdict()[0] == "succeeded" and read("/app.py") == b"root"


def test_application_by_http_is_tried_and_confirmed():
    order = {"operation": "update", "kind": "app", "url": "http://files/app", "version": "1.2.0"}
    order["size"] = len(STOCK["/.app"])
    board, one = world(order)
    with board:
        ends = one.boot(), one.boot()
        assert ends == ("Reset", "Waits"), one.reports
        assert one.verdict() == ("succeeded", "accepted app v1.2.0") and one.runs() == NEW


def test_application_that_is_not_healthy_is_taken_back_with_its_reason():
    for verdict, said in (
        (False, "self-test failed"), (Fail("pump stuck"), "pump stuck"),
        (ValueError("x"), "ValueError('x',)"),
    ):  # fmt: skip
        board, one = world(bringing("app"))
        with board:
            assert one.boot() == "Reset"
            one.verdicts = [verdict]
            assert one.boot() == "Reset" and one.runs() == NEW
            assert one.boot() == "Waits" and one.runs() == OLD
            assert one.verdict() == ("failed", "rolled back: " + said)
            assert named() == ([OLD], [], None) and not exists("/staged/0")


def test_application_whose_trial_ends_by_a_reset_is_taken_back():
    board, one = world(bringing("app"))
    with board:
        assert one.boot() == "Reset"
        with Start() as start:  # and it hangs, or pulls the board down
            assert start.tried
        assert one.boot() == "Waits" and one.runs() == OLD
        assert one.verdict() == ("failed", "rolled back: not confirmed in its trial")


def test_application_that_never_links_is_taken_back_at_its_deadline():
    board, one = world(bringing("app"))
    with board:
        assert one.boot() == "Reset"
        one.links = [Retry("no network") for _ in range(400)]
        assert one.boot() == "Reset" and one.runs() == NEW
        one.links = []
        assert one.boot() == "Waits" and one.runs() == OLD and one.verdict()[0] == "failed"


def test_tree_that_is_damaged_before_its_trial_is_taken_back():
    board, one = world(bringing("app"))
    with board:
        assert one.boot() == "Reset"
        write("/app.b", b"something else")
        assert one.boot() == "Ended" and one.boot() == "Waits" and one.runs() == OLD
        assert one.verdict() == ("failed", "rolled back: not confirmed in its trial")


def test_tree_that_could_not_be_tried_for_want_of_room_is_not_confirmed_later():
    """Its job has failed by then, so it is not to run when there is room."""
    board, one = world(bringing("app"))
    with board:
        assert one.boot() == "Reset"
        fill()
        assert one.boot() == "Waits" and one.runs() == OLD and one.tried[-1] is False
        assert one.verdict()[0] == "failed"
        reports = len(one.reports)
        for path in os.listdir("/"):
            if path.startswith("filler."):
                os.remove("/" + path)
        ends = [one.boot() for _ in range(3)]
        assert ends[-1] == "Waits" and one.runs() == OLD, ends
        assert named() == ([OLD], [], None) and len(one.reports) == reports


def test_job_that_is_withdrawn_before_it_is_activated_changes_nothing():
    board, one = world(bringing("app"))
    with board:
        one.faults["applying"] = [Gone("CANCELED")]
        one.boot()
        assert one.boot() == "Waits" and one.runs() == OLD and named()[1] == []


def test_link_that_is_lost_in_mid_download_brings_no_bundle_twice_that_was_whole():
    board, one = world(bringing("agent", "app"))
    with board:
        one.jobs.append(execution(document=bringing("agent", "app"), queued=False))
        one.faults_of_files["/.app"] = (4096, Retry("stream is silent"))
        assert one.boot() == "Reset" and one.boot() == "Waits" and one.runs() == NEW
        assert one.came.count(("/.agent", 0)) == 1 and one.came.count(("/.app", 0)) == 2


# -- what is refused -----------------------------------------------------------------------------


def refused(document, stock=None, **words):
    """(step, reason) of a job; the old tree runs, and its record is as it was."""
    board, one = world(document, stock, **words)
    with board:
        assert one.boot() == "Waits"
        assert one.boot() == "Waits" and one.runs() == OLD
        assert named()[0][0] == OLD and named()[1] == [] and not exists("/staged/0")
        return one.verdict() + (one.came,)


def test_bundle_that_is_not_for_this_board_is_refused_by_its_first_block():
    for name, said in (
        ("board", "the bundle is for another board"), ("app-1.1.0", "same version 1.1.0"),
        ("app-1.0.0", "downgrade 1.1.0 to 1.0.0"), ("agent", "the bundle is of another kind"),
        ("needs-agent", "the bundle needs another agent 9.0"), ("none", "not a bundle"),
    ):  # fmt: skip
        data = made(name) + bytes(9_000)  # so that there is more to come
        stock = {"/.app": data}
        step, reason, came = refused(bringing("app", stock=stock), stock)
        assert (step, reason) == ("failed", said) and came == [], name


def test_bundle_without_a_signature_is_refused_before_a_byte_comes():
    strict = {"allow_unsigned": False, "signers": ["/s.crt"]}
    found = refused(bringing("app"), settings=strict)
    assert found == ("rejected", "no signature", [])


def test_bundle_with_a_wrong_signature_is_not_unpacked():
    document = bringing("app")
    document["afr_ota"]["files"][0]["sig-sha256-ecdsa"] = "MEUCIQ=="
    step, reason, came = refused(document, settings={"signers": ["/s.crt"]})
    assert step == "failed" and reason == "no signer ecdsa" and came


def test_bundle_that_is_damaged_fails_and_what_ran_before_the_one_that_runs_is_gone():
    data = bytearray(made("app"))
    data[-8] ^= 1
    stock = {"/.app": bytes(data)}
    step, reason, _ = refused(bringing("app", stock=stock), stock)
    assert (step, reason) == ("failed", "the bundle is damaged"), (step, reason)


def test_bundle_that_is_larger_than_what_is_free_is_refused():
    found = refused(bringing("app"), blocks=10)
    assert found[0] == "rejected" and found[1].startswith("file system too small: "), found


def test_update_misstated_is_rejected():
    right = {"operation": "update", "kind": "app", "url": "http://files/app", "size": 5}
    for changes, said in (
        ({"kind": "image"}, "not a kind of bundle: image"), ({"kind": None}, "kind"),
        ({"kind": 5}, "kind"), ({"url": None}, "url"), ({"url": "ftp://x"}, "url"),
        ({"size": -1}, "size"), ({"size": "x"}, "size"), ({"version": 5}, "version"),
        ({"version": "1" * 32}, "version"), ({"sha256": "x"}, "sha256"),
        ({"url": "http://elsewhere/app"}, "not in download_hosts"),
    ):  # fmt: skip
        step, reason, came = refused(dict(right, **changes))
        assert step == "rejected" and said in reason and came == [], (changes, reason)


# -- an agent, and both --------------------------------------------------------------------------


def test_agent_and_application_of_one_job_are_tried_and_confirmed_together():
    board, one = world(bringing("agent", "app"))
    with board:
        assert one.boot() == "Reset" and one.runs("agent") is None
        assert one.boot() == "Waits" and one.runs("agent") == ("a", "7.0.0")
        assert one.runs() == NEW
        assert one.verdict() == ("succeeded", "accepted agent v7.0.0, app v1.2.0")


def test_agent_and_application_of_one_job_are_taken_back_together():
    board, one = world(bringing("agent", "app"))
    with board:
        assert one.boot() == "Reset"
        one.verdicts = [False]
        assert one.boot() == "Reset" and one.boot() == "Waits"
        assert one.runs("agent") is None and one.runs() == OLD
        assert one.verdict() == ("failed", "rolled back: self-test failed")


# -- with an image -------------------------------------------------------------------------------


def test_bundles_of_an_image_run_from_its_trial_on_and_are_confirmed_with_it():
    board, one = world(bringing("app", image=True))
    with board:
        assert one.boot() == "Reset" and named() == ([NEW, OLD], ["app"], "ota_1")
        assert one.boot() == "Waits" and one.slots.running == "ota_1"
        assert one.tried == [False, False], "the trial is the image's"
        assert one.runs() == NEW and named() == ([NEW, OLD], [], None)
        assert one.verdict() == ("succeeded", "accepted v2.0.0")


def test_bundles_of_an_image_that_is_taken_back_are_taken_back():
    board, one = world(bringing("app", image=True))
    with board:
        assert one.boot() == "Reset"
        one.verdicts = [False]
        assert one.boot() == "Reset" and one.runs() == NEW
        assert one.boot() == "Waits" and one.slots.running == "ota_0" and one.runs() == OLD
        assert named() == ([OLD], [], None)
        assert one.verdict() == ("failed", "rolled back: self-test failed")


def test_bundle_that_is_wrong_keeps_its_image_from_running():
    stock = {"/.app": made("no-app")}
    board, one = world(bringing("app", image=True, stock=stock), stock)
    with board:
        assert one.boot() == "Waits" and one.verdict() == ("failed", "the bundle lacks app.mpy")
        assert one.slots.chosen is None and one.boot() == "Waits" and one.runs() == OLD


def test_bundles_of_an_image_that_was_refused_do_not_run_with_the_next_image():
    """It goes to the same slot, to which they are tied."""
    board, one = world(bringing("app", image=True))
    with board:
        one.slots.refuses = "image refused by the boot loader"
        assert one.boot() == "Waits" and one.verdict()[0] == "failed"
        assert named()[2] == "ota_1"
        one.slots.refuses = None
        one.jobs = [execution(id="j2", document=bringing(image=True))]
        with Start(modules=esp32("ota_0")):
            pass
        one.agent.state = "IDLE"
        assert quiet(again, one) == "Reset"
        assert one.boot() == "Waits" and one.slots.running == "ota_1" and one.runs() == OLD
        assert one.verdict() == ("succeeded", "accepted v2.0.0")


def again(one):
    """The agent goes on, without a reset between."""

    try:
        run(one.agent.run())
    except (Reset, Waits) as end:
        return type(end).__name__


def test_bundle_with_an_image_is_refused_where_nothing_takes_both_back():

    board, one = world(bringing("app", image=True), slots=OneSlot())
    with board:
        assert one.boot() == "Waits"
        assert one.verdict() == ("rejected", "this board takes no bundle with an image")


def test_application_is_tried_and_taken_back_where_no_image_is():

    for verdict, runs in ((True, NEW), (False, OLD)):
        board, one = world(bringing("app"), slots=OneSlot())
        with board:
            assert one.boot() == "Reset"
            one.verdicts = [verdict]
            ends = [one.boot()]
            if ends == ["Reset"]:
                ends.append(one.boot())
            assert ends[-1] == "Waits" and one.runs() == runs
            assert one.verdict()[0] == ("succeeded" if verdict else "failed")


# -- rollback ------------------------------------------------------------------------------------


def ordered(version="1.1.0", kind="app", id="back"):
    order = {"operation": "rollback", "kind": kind, "version": version}
    return execution(id=id, document=order)


def updated(**words):
    """A board that runs /app.b, with /app.a of before beside it."""
    board, one = world(bringing("app"), **words)
    with board:
        assert one.boot() == "Reset" and one.boot() == "Waits" and one.runs() == NEW
    return board, one


def test_rollback_goes_to_the_tree_before_on_trial_and_can_come_back():
    board, one = updated()
    with board:
        one.jobs, one.verdicts = [ordered()], [True]
        ends = one.boot(), one.boot()
        assert ends == ("Reset", "Waits") and one.tried[-1] is True, (ends, one.reports)
        assert one.runs() == OLD and one.verdict() == ("succeeded", "accepted app v1.1.0")
        assert named()[0] == [OLD, NEW]
        one.jobs, one.verdicts = [ordered("1.2.0", id="forth")], [True]
        assert one.boot() == "Reset" and one.boot() == "Waits" and one.runs() == NEW


def test_rollback_whose_trial_fails_comes_back():
    board, one = updated()
    with board:
        one.jobs, one.verdicts = [ordered()], [False]
        assert one.boot() == "Reset" and one.boot() == "Reset" and one.runs() == OLD
        assert one.boot() == "Waits" and one.runs() == NEW
        assert one.verdict() == ("failed", "rolled back: self-test failed")


def test_rollback_to_what_is_not_there_fails_and_misstated_is_rejected():
    for order, settings, said in (
        (ordered("1.0.0"), None, ("failed", "no other tree of that version app")),
        (ordered(kind="agent"), None, ("failed", "no other tree of that version agent")),
        (ordered(), {"allow_rollback": False}, ("failed", "rollback is not allowed")),
        (ordered(kind="image"), None, ("rejected", "not a kind of tree: image")),
        (ordered(version=None), None, None), (ordered(kind=7), None, None),
    ):  # fmt: skip
        board, one = updated()
        with board:
            one.settings.update(settings or {})
            one.jobs = [order]
            assert one.boot() == "Waits" and one.runs() == NEW
            if said:
                assert one.verdict() == said
            else:
                assert one.verdict()[0] == "rejected"


# -- power ---------------------------------------------------------------------------------------


def test_application_with_the_power_cut_anywhere_ends_with_one_tree_and_one_verdict():
    cuts, seen = 0, set()
    while cuts is not None:
        board, one = world(bringing("app"))
        board.cut_after(cuts)
        ends = []
        while not ends or ends[-1] != "Waits":
            with board:
                try:
                    ends.append(one.boot())
                except PowerCut:
                    ends.append("Cut")
            if ends[-1] == "Cut":
                board.cut_after(None)
            told = one.reports and one.verdict()[0] in ("succeeded", "failed")
            phase = Journal(one.cells).phase
            going = phase == ACTIVATED or told
            one.jobs = [] if going else [execution(document=bringing("app"), queued=False)]
            if not one.verdicts:
                one.verdicts = [True]
            assert len(ends) < 9, (cuts, ends)
        with board:
            step = one.verdict()[0]
            assert one.runs() == (NEW if step == "succeeded" else OLD), (cuts, step, ends)
            record = noted()
            assert not record["new"], cuts
            for letter, sha256, _, _ in record["app"]:
                assert digest(read("/app." + letter)) == sha256, cuts
            told = [step for _, step, _ in one.reports if step in ("succeeded", "failed")]
            assert len(told) == 1, (cuts, one.reports)
            seen.add(step)
        cuts = cuts + 3 if "Cut" in ends else None
    assert seen == {"succeeded", "failed"}, seen
