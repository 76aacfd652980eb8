"""The shadow: what is reported, what may be desired, and that nothing of it stops the agent."""

import json
import os
from binascii import hexlify

from doubles import Link, raised, run

from sluice import config, log
from sluice.clouds import aws_shadow, shadow
from sluice.errors import Retry
from sluice.slots.tree import Trees
from sluice.version import VERSION

CLASSIC = "$aws/things/t/shadow/"
DONE = {"seq": 7, "job": "j1", "step": "succeeded", "reason": "accepted v2.0.0"}


class Cloud:
    """A shadow's service: answers `get` with the document, or with what is put in its place."""

    def __init__(self, desired=None, path=CLASSIC):
        self.document = {"state": {"desired": desired or {}}, "version": 3}
        self.path = path
        self.raw = None  # payload instead
        self.reports = []  # of the updates
        self.refusal = None  # of an update, while there is one

    def __call__(self, topic, message):
        assert topic.startswith(self.path), topic
        name = topic[len(self.path) :]
        if name == "get":
            assert message == b""
            if self.document is None:
                return [(topic + "/rejected", b'{"code":404,"message":"No shadow exists"}')]
            raw = json.dumps(self.document).encode() if self.raw is None else self.raw
            return [(topic + "/accepted", raw)]
        assert name == "update"
        self.reports.append(json.loads(message)["state"])
        if self.refusal:
            return [(topic + "/rejected", self.refusal)]
        return [(topic + "/accepted", b'{"state":%s}' % (b" " * 9_000))]


class Slots:
    running, version, trial = "ota_1", "2.0.0", False


class Vitals:
    """How a board does, as sluice.vitals has it."""

    def __init__(self):
        self.failures, self.log, self.rssi = None, None, -61
        self.shown = lambda text, limit: text[:limit]

    def steady(self):
        return {
            "board": "SIM_ESP32", "micropython": "1.25.0", "reset": "watchdog",
            "failures": self.failures,
        }  # fmt: skip

    def moving(self):
        return {"rssi": self.rssi, "log": self.log}


class Application:
    state = None


class Agent:
    """As much of one as a shadow tells of."""

    def __init__(self, cloud, **journal):
        self.link = Link(cloud)
        self.journal = {"seq": 1, "job": None, "step": None, "reason": None}
        self.journal.update(journal)
        self.slots = Slots()
        self.application = Application()
        self.trees = Trees({"app": ["b", "0" * 64, "1.2.0", 6]}, False, "SIM_ESP32")
        values = dict.fromkeys(config.REQUIRED, "x")
        self.settings = config.others(values, {}, None)
        self.settings["thing"] = "t"
        self.dropped = 0

    def drop(self):
        self.dropped += 1


def scratch():
    return "/tmp/sluice-settings-" + hexlify(os.urandom(8)).decode()


class Board:
    """A shadow wired to an agent; `look()` is one connect or one chore."""

    def __init__(self, cloud, name="classic", key="version", **journal):
        self.cloud, self.file = cloud, scratch()
        self.agent = Agent(cloud, **journal)
        self.agent.settings.update(shadow=name, report_version=key)
        self.shadow = shadow.kept("sluice.config", "sluice.vitals")
        self.vitals = Vitals()
        self.lines = []

    def adopt(self, settings, found):
        return config.adopt(settings, found, self.file)

    def plugged(self, path, name):
        return self.adopt if path == "sluice.config" else getattr(self.vitals, name)

    def look(self, does=aws_shadow.report):
        real, aws_shadow.plug_in = aws_shadow.plug_in, self.plugged
        log.to(self.lines.append)
        try:
            run(does(self.agent, self.shadow))
        finally:
            log.to(print)
            log.level("I")
            aws_shadow.plug_in = real
        return self.cloud.reports

    def connect(self):
        self.shadow["reported"] = self.shadow["reported"] and 1
        return self.look()

    def close(self):
        for name in (self.file, self.file + ".new"):
            try:
                os.remove(name)
            except OSError:
                pass


def looked(desired, **journal):
    """(what was reported, agent) after one look at these desired settings."""
    board = Board(Cloud({"settings": desired}), **journal)
    reported = board.look()[0]["reported"]
    board.close()
    return reported, board.agent


DEFAULTS = {"log": "I", "report_s": 5, "poll_s": 900, "block": 4096, "window": 262_144}


def test_report_says_what_the_board_is():
    reported, _ = looked({}, **DONE)
    assert reported.pop("free") > 0
    assert reported == {
        "version": "2.0.0", "slot": "ota_1", "trial": False, "board": "SIM_ESP32",
        "settings": DEFAULTS, "refused": None,
        "agent": VERSION, "app": "1.2.0", "app_state": None, "trees": "app.b",
        "job": {"id": "j1", "status": "SUCCEEDED", "reason": "accepted v2.0.0"},
        "micropython": "1.25.0", "reset": "watchdog", "failures": None, "rssi": -61, "log": None,
    }  # fmt: skip


def test_report_says_how_the_application_does():
    for state in ("running", "ended", "failed"):
        board = Board(Cloud({}))
        board.agent.application.state = state
        reported = board.look()[0]["reported"]
        assert reported["app_state"] == state
        board.agent.slots = type("Slots", (), {"running": "ota_0", "version": "3", "trial": True})
        reported = board.look()[1]["reported"]
        board.close()
        assert "app_state" in reported and reported["app_state"] is None


def test_report_says_which_trees_run_and_whether_one_is_on_trial():
    for trial in (False, True):
        board = Board(Cloud({}))
        runs = {"app": ["b", "", "1.2.0", 6], "agent": ["a", "", "0.3.0", 6]}
        board.agent.trees = Trees(runs, trial, "SIM_ESP32")
        reported = board.look()[0]["reported"]
        board.close()
        assert (reported["agent"], reported["app"]) == ("0.3.0", "1.2.0")
        assert reported["trees"] == "agent.a+app.b" and reported["trial"] is trial


def test_report_before_any_job_ended_has_none():
    for journal in ({}, {"job": "j1", "seq": 2, "phase": "downloading"}):
        reported, _ = looked({}, **journal)
        assert "job" not in reported


def test_report_of_a_long_reason_is_cut():
    reported, _ = looked({}, seq=2, job="j", step="failed", reason="r" * 999)
    assert len(reported["job"]["reason"]) == 128


def test_report_under_a_key_of_the_users_and_to_a_named_shadow():
    cloud = Cloud(path="$aws/things/t/shadow/name/fleet/")
    board = Board(cloud, "fleet", "fw")
    reported = board.look()[0]["reported"]
    assert reported["fw"] == reported["version"] == "2.0.0"


def test_report_is_made_at_every_connect_and_else_when_something_changed():
    board = Board(Cloud())
    assert len(board.look()) == 1
    assert len(board.look()) == 1
    assert len(board.connect()) == 2
    board.agent.slots = type("Slots", (), {"running": "ota_0", "version": "3", "trial": True})
    assert len(board.look()) == 3
    assert board.cloud.reports[2]["reported"]["trial"] is True


def test_report_after_a_failure_is_another_and_what_moves_alone_is_no_reason():
    board = Board(Cloud())
    board.look()
    board.vitals.log, board.vitals.rssi = ["W 1 tag line"], -80
    assert len(board.look()) == 1
    board.vitals.failures = ["2026-11-30 18:00:00 stopped OSError"]
    reported = board.look()[1]["reported"]
    assert (reported["rssi"], reported["log"]) == (-80, ["W 1 tag line"])
    assert reported["failures"] == ["2026-11-30 18:00:00 stopped OSError"]


def test_report_of_what_moves_tells_what_moves_and_nothing_else():
    for name, path in (("classic", CLASSIC), ("fleet", "$aws/things/t/shadow/name/fleet/")):
        board = Board(Cloud(path=path), name)
        board.vitals.log = ["W 1 tag line"]
        reported = board.look(aws_shadow.report_moving)[0]["reported"]
        assert reported.pop("free") > 0
        assert reported == {"rssi": -61, "log": ["W 1 tag line"]}
        assert not board.agent.link.sinks and len(board.agent.link.sent) == 1


def test_report_of_the_usual_is_within_what_aws_counts_as_one():
    job = {"seq": 7, "job": "AFR_OTA-" + "9" * 24, "step": "failed", "reason": "r" * 80}
    board = Board(Cloud(), key="nrf_cloud_app_fw_version", **job)
    board.vitals.log = ["W 1234567 link " + "x" * 64] * 4
    board.look()
    topic, message, _ = board.agent.link.sent[-1]
    assert topic == CLASSIC + "update" and 800 < len(message) < 1_024, len(message)


def test_report_that_is_too_large_leaves_out_the_oldest_lines_of_the_log_first():
    board = Board(Cloud({"settings": {"window": 0}}), **DONE)
    board.vitals.log = ["%d " % number + '"' * 80 for number in range(8)]
    board.vitals.failures = ["%d " % number + "\\" * 80 for number in range(4)]
    reported = board.look()[0]["reported"]
    assert len(board.agent.link.sent[-1][1]) <= 2_048
    assert len(reported["failures"]) == 4 and len(reported["refused"]) == 1
    assert [line[0] for line in reported["log"]] == ["3", "4", "5", "6", "7"]
    board.vitals.failures = ["%d " % number + "x" * 998 for number in range(4)]
    reported = board.look()[1]["reported"]
    assert len(board.agent.link.sent[-1][1]) <= 2_048
    assert [line[0] for line in reported["failures"]] == ["3"] and reported["log"] is None
    assert reported["job"]["id"] == "j1"


def test_shadow_that_is_not_there_yet_is_made():
    cloud = Cloud()
    cloud.document = None
    board = Board(cloud)
    assert board.look()[0]["reported"]["refused"] is None


def test_report_that_is_refused_is_said_and_made_again_with_the_next_look():
    board = Board(Cloud())
    for refusal in (b'{"code":413,"message":"too large"}', b"x" * 300):
        board.cloud.refusal = refusal
        board.look()
        text = str(refusal[:256])
        assert text in board.lines[-1] and board.lines[-1].startswith("W")
        assert list(board.agent.link.sinks) == [CLASSIC + "update/delta"]
        assert board.shadow["seq"] == 1  # no reason to look again at once
    board.cloud.refusal = None
    assert len(board.look()) == 3 and len(board.look()) == 3


def test_report_that_is_accepted_costs_no_memory_for_its_answer_and_no_warning():
    """The answer is the report once more, with its metadata: several KiB."""
    board = Board(Cloud())
    board.look()
    assert board.cloud.reports and not [line for line in board.lines if "not taken" in line]


def test_nothing_but_the_notice_stays_subscribed():
    board = Board(Cloud())
    board.look()
    assert list(board.agent.link.sinks) == [CLASSIC + "update/delta"]
    board.agent.link.bring(CLASSIC + "update/delta", b"x" * 9_000)
    assert board.shadow["due"]
    board.look()
    assert not board.shadow["due"]


def test_notice_while_the_shadow_is_looked_at_counts():
    board = Board(Cloud())
    link = board.agent.link
    real = board.cloud.__call__

    def ringing(topic, message):
        return [(CLASSIC + "update/delta", b"{}")] + list(real(topic, message))

    link.cloud = ringing
    board.look()
    assert board.shadow["due"]


def test_desired_settings_are_put_in_force_and_reported():
    wanted = {"log": "D", "report_s": 30, "poll_s": 60, "block": 1024, "window": 65_536}
    reported, agent = looked(wanted)
    assert reported["settings"] == wanted and reported["refused"] is None
    for key in wanted:
        assert agent.settings[key] == wanted[key]


def test_desired_log_level_is_in_force_at_once():
    board = Board(Cloud({"settings": {"log": "E"}}))
    log.to(lambda line: None)
    try:
        board.adopt(board.agent.settings, {"log": "E"})
        assert log.level() == "E"
    finally:
        log.level("I")
        log.to(print)
        board.close()


def test_desired_settings_out_of_bounds_are_refused_with_the_reason():
    for wanted, reason in (
        ({"report_s": 0}, "report_s is out of bounds (1 to 3600)"),
        ({"report_s": True}, "report_s is not of type int"),
        ({"report_s": "5"}, "report_s is not of type int"),
        ({"poll_s": 86_401}, "poll_s is out of bounds (30 to 86400)"),
        ({"block": 5000}, "block is neither a multiple nor a divisor of 4096"),
        ({"window": 8}, "window is out of bounds (4096 to 524288)"),
        ({"log": "X"}, "log X is not one of E W I D"),
        ({"log": "EW"}, "log is out of bounds (1 to 1)"),
        ({"endpoint": "elsewhere"}, "endpoint is not to be changed"),
        ({"allow_unsigned": True}, "allow_unsigned is not to be changed"),
        ({"thing": "t"}, "thing is not to be changed"),
        ({"k" * 99: 1}, "k" * 24 + " is not to be changed"),
    ):
        reported, agent = looked(wanted)
        assert reported["refused"] == [reason], reported["refused"]
        assert reported["settings"] == DEFAULTS and agent.settings["thing"] == "t"


def test_desired_settings_of_which_some_are_good_take_those():
    reported, agent = looked({"report_s": 9, "window": 0})
    assert agent.settings["report_s"] == 9 and agent.settings["window"] == 262_144
    assert reported["settings"]["report_s"] == 9 and len(reported["refused"]) == 1


def test_refusals_are_reported_once_however_often_the_shadow_is_looked_at():
    board = Board(Cloud({"settings": {"window": 0}}))
    for _ in range(5):
        board.look()
    assert len(board.cloud.reports) == 1


def test_refusals_are_few_and_end():
    many = {}
    for number in range(40):
        many["unknown%d" % number] = number
    board = Board(Cloud({"settings": many}))
    board.look()
    assert len(board.cloud.reports[0]["reported"]["refused"]) == 8
    assert len(json.dumps(board.cloud.reports[0])) < 1_500
    board.cloud.document["state"]["desired"] = {}
    board.look()
    assert board.cloud.reports[1]["reported"]["refused"] is None


def test_desired_members_of_the_application_are_left_alone():
    board = Board(Cloud({"colour": "red", "report_s": 9}))
    reported = board.look()[0]["reported"]
    assert reported["refused"] is None and reported["settings"] == DEFAULTS


def test_desired_block_lets_go_of_the_image_in_memory():
    assert looked({"block": 8192})[1].dropped == 1
    assert looked({"block": 4096, "window": 65_536})[1].dropped == 0


def test_documents_that_make_no_sense_change_nothing_and_stop_nobody():
    for raw in (
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"state": 5}',
        b'{"state": {"desired": [1]}}',
        b'{"state": {"desired": {"settings": "all"}}}',
        b"[" * 2_000,
        b"x" * 4_097,
    ):
        board = Board(Cloud())
        board.cloud.raw = raw
        reported = board.look()[0]["reported"]
        assert reported["settings"] == DEFAULTS, raw
        assert reported["refused"] in (None, ["it cannot be read"]), raw
        board.close()


def test_document_that_is_too_large_is_said_to_be_unreadable():
    board = Board(Cloud())
    board.cloud.raw = b" " * 4_097
    assert board.look()[0]["reported"]["refused"] == ["it cannot be read"]


def test_shadow_that_does_not_answer_is_told_all_the_same():
    board = Board(Cloud())
    board.agent.link.cloud = lambda topic, message: None
    board.look()
    sent = [topic for topic, _, _ in board.agent.link.sent]
    assert sent == [CLASSIC + "get", CLASSIC + "update"]
    assert any("no answer" in line for line in board.lines)


def test_session_lost_while_asking_is_the_agents_to_deal_with():
    board = Board(Cloud())

    async def lost(ready, deadline_ms):
        raise Retry("the broker closed the connection")

    board.agent.link.wait = lost
    raised(Retry, aws_shadow.report, board.agent, board.shadow)
    assert list(board.agent.link.sinks) == [CLASSIC + "update/delta"]


# -- what is kept over a reboot ------------------------------------------------------------------


def started(kept, **configured):
    """(settings that a board would start with, its log) with that kept file, bytes or None."""
    file, lines = scratch(), []
    values = dict.fromkeys(config.REQUIRED, "x")
    values.update(configured)
    if kept is not None:
        with open(file, "wb") as out:
            out.write(kept)
    log.to(lines.append)
    try:
        found = config.others(values, {}, None)
        config.changed(found, file)
        return found, lines
    finally:
        log.to(print)
        try:
            os.remove(file)
        except OSError:
            pass


def test_settings_that_were_taken_survive_a_reboot_and_no_others_do():
    board = Board(Cloud())
    settings = board.agent.settings
    log.to(lambda line: None)
    board.adopt(settings, {"report_s": 30, "window": 0, "thing": "other"})
    board.adopt(settings, {"poll_s": 60})
    log.to(print)
    with open(board.file, "rb") as file:
        kept = file.read()
    board.close()
    assert json.loads(kept) == {"report_s": 30, "poll_s": 60}
    found, lines = started(kept, report_s=7, window=8_192)
    assert (found["report_s"], found["poll_s"], found["window"]) == (30, 60, 8_192)
    assert not lines


def test_settings_are_not_written_again_when_nothing_changed():
    board = Board(Cloud())
    log.to(lambda line: None)
    board.adopt(board.agent.settings, {"report_s": 30})
    os.remove(board.file)
    real = config._kept
    config._kept = lambda path: {"report_s": 30}
    try:
        board.adopt(board.agent.settings, {"report_s": 30})
    finally:
        config._kept = real
        log.to(print)
    assert raised(OSError, os.stat, board.file)


def test_settings_that_cannot_be_written_are_in_force_all_the_same():
    board = Board(Cloud({"settings": {"report_s": 30}}))
    board.file = "/nowhere/settings.json"
    assert board.look()[0]["reported"]["settings"]["report_s"] == 30
    assert any("settings not kept" in line for line in board.lines)


def test_settings_file_that_is_broken_is_passed_over_and_said():
    for kept in (b"", b"{", b"[]", b'{"report_s": 30', b"\xff"):
        found, lines = started(kept)
        assert found["report_s"] == 5, kept
        assert len(lines) == 1 and "as configured" in lines[0], lines


def test_settings_file_is_judged_key_by_key():
    found, lines = started(b'{"report_s": 0, "poll_s": 60, "endpoint": "elsewhere"}')
    assert (found["report_s"], found["poll_s"], found.get("endpoint")) == (5, 60, None)
    assert len(lines) == 2


def test_settings_file_counts_unless_the_shadow_is_turned_off():
    assert started(b'{"report_s": 30}')[0]["report_s"] == 30
    for off in ("", False):
        assert started(b'{"report_s": 30}', shadow=off)[0]["report_s"] == 5
    assert started(None)[0]["report_s"] == 5


def test_name_of_a_shadow_that_aws_would_not_take_is_refused():
    for name in ("a b", "a/b", "#", "x" * 65):
        values = dict.fromkeys(config.REQUIRED, "x")
        values["shadow"] = name
        told = []
        assert config.others(values, {}, told.append)["shadow"] == "classic"
        assert "shadow" in str(told[0])
