"""What is made of what a board told in its shadows, which may be anything."""

import pytest

from sluice.fleet.about import job_told, of_document
from sluice.fleet.filters import Filters
from sluice.fleet.status import BAD, Execution, FleetStatus
from sluice.fleet.things_shown import application, line, summary, thing


def told(**reported: object) -> dict:
    return {"thingName": "one", "shadow": {"reported": reported}}


def test_all_shadows_of_a_thing_are_laid_over_each_other():
    shadow = {"reported": {"version": "1.0.0", "slot": "ota_0"}}
    shadow["name"] = {"site": {"reported": {"slot": "ota_1"}}, "other": {"desired": {"a": 1}}}
    found = of_document({"thingName": "one", "shadow": shadow})
    assert (found.image, found.slot) == ("1.0.0", "ota_1")


def test_last_report_is_the_newest_time_anywhere_in_the_metadata():
    times = {"a": {"timestamp": 5}, "b": [{"c": {"timestamp": 9}}], "d": {"timestamp": True}}
    shadow = {"reported": {"a": 1}, "metadata": {"reported": times, "desired": {"timestamp": 99}}}
    shadow["name"] = {"site": {"metadata": {"reported": {"e": {"timestamp": 7}}}}}
    found = of_document({"thingName": "one", "shadow": shadow})
    assert (found.told_at, found.seen_at) == (9, 9)


def test_all_that_a_board_reports_is_read():
    found = of_document(
        told(
            version="1.1.0",
            micropython="1.25.0",
            free=24336,
            rssi=-61,
            reset="watchdog",
            agent="0.2.0",
            app="1.3.0",
            trees="agent.a+app.b",
            failures=["no room"],
            log=["I 1 a", "W 2 b"],
            settings={"report_s": 5},
        )
    )
    assert (found.free, found.rssi, found.reset) == (24336, -61, "watchdog")
    assert (found.agent, found.app, found.micropython) == ("0.2.0", "1.3.0", "1.25.0")
    assert (found.failures, found.log) == (("no room",), ("I 1 a", "W 2 b"))
    assert found.settings == {"report_s": 5}


LIES = [None, 7, True, [], {}, ["x", 1, None], "\x1b[2J", "9" * 5000, 10**400, -(10**400)]
LIES += [float(text) for text in ("inf", "-inf", "nan", "1e300")]


@pytest.mark.parametrize("value", LIES)
def test_what_is_no_text_or_number_or_a_text_for_terminals_is_not_taken(value):
    keys = (
        "version",
        "slot",
        "board",
        "agent",
        "app",
        "app_state",
        "trees",
        "reset",
        "micropython",
    )
    keys += ("free", "rssi", "failures", "log", "settings", "trial", "job")
    found = of_document(told(**dict.fromkeys(keys, value)))
    texts = (found.image, found.board, found.agent, found.app, found.reset, *found.log)
    assert all(text.isprintable() and len(text) <= 256 for text in texts)
    assert found.free in (None, 7) and found.rssi in (None, 7) and found.job is None
    assert found.trial is (value is True)
    assert "\x1b" not in "\n".join(thing(found))


def test_shadow_that_is_no_object_tells_nothing():
    for shadow in (None, 3, [], {"reported": 5, "name": 3, "metadata": []}):
        found = of_document({"thingName": "one", "shadow": shadow})
        assert not found.reported and found.seen_at is None


def test_job_that_a_board_told_of_stands_in_where_the_cloud_knows_none():
    job = {"id": "j1", "status": "FAILED", "reason": "no room"}
    found = of_document(told(job=job))
    assert (found.job.verdict, found.failed) == ("FAILED: no room", True)
    known = Execution("j2", "one", 1, "SUCCEEDED")
    assert of_document(told(job=job), known).job is known
    assert job_told(told(job={"id": "j1", "status": "DONE"})) is None


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        ("accepted v1.1.0", "SUCCEEDED accepted v1.1.0"),
        ("accepted v", "SUCCEEDED accepted, version unknown"),
        ("accepted vunknown (saved)", "SUCCEEDED accepted, version unknown (saved)"),
        ("accepted, version unknown (saved)", "SUCCEEDED accepted, version unknown (saved)"),
        ("accepted app v, agent v0.2", "SUCCEEDED accepted app, version unknown, agent v0.2"),
        ("rebooted", "SUCCEEDED rebooted"),
        ("", "SUCCEEDED"),
        ("a\x1b[2Jb", "SUCCEEDED a?[2Jb"),
    ],
)
def test_verdict_reads_well(reason, verdict):
    one = Execution("j", "one", 1, "SUCCEEDED", {"reason": reason})
    assert one.verdict == verdict and one.reason == verdict[len("SUCCEEDED ") :]


@pytest.mark.parametrize("status", BAD)
def test_verdict_of_what_went_wrong_has_the_reason_if_there_is_one(status):
    assert Execution("j", "one", 1, status, {"reason": "why"}).verdict == f"{status}: why"
    assert Execution("j", "one", 1, status).verdict == status


def test_each_kind_of_code_has_its_line():
    state = {"version": "1.4.0", "slot": "ota_1", "board": "SIM_ESP32", "agent": "0.1.0"}
    state |= {"app": "2.0.0", "trees": "agent.b+app.a", "trial": True, "free": 24336}
    assert thing(of_document(told(**state))) == [
        "thing        one",
        "connected    nobody knows",
        "board        SIM_ESP32",
        "image        1.4.0 in ota_1",
        "agent        0.1.0, from tree agent.b",
        "application  2.0.0, from tree app.a",
        "trial        what runs is on trial",
        "free heap    24,336 bytes",
        "told         nothing yet",
    ]


@pytest.mark.parametrize("version", ["", "2.0.0"])
@pytest.mark.parametrize("state", ["", "running", "ended", "failed"])
def test_state_of_an_application_is_seen_wherever_it_does_not_run(version, state):
    one = of_document(told(app=version, app_state=state))
    assert one.failed == (state == "failed")
    shown = " ".join([version, state * (state != "running")]).strip()
    assert application(one).plain == shown
    assert (shown in line(one, 0)) and (state not in line(one, 0) or state != "running")
    known = version or ("no version" if state else "none, or none that was told")
    assert f"application  {', '.join(filter(None, (known, state)))}" in thing(one)
    said = summary(FleetStatus((one,)), (one,))
    assert said.endswith(", 1 whose application failed") == (state == "failed")
    assert bool(Filters(failed=True).chosen((one,))) == (state == "failed")


def test_failures_and_log_have_a_line_each_and_the_newest_failure_is_first():
    rows = thing(of_document(told(failures=["a", "b"], log=["c", "d"])))
    assert rows[-4:] == ["failures     b", "             a", "log          c", "             d"]
    [row] = thing(of_document(told(failures=["2001-01-01 00:00:00 UTC: j 1 failed no room"])))[-1:]
    assert row == "failures     job j failed: no room"


def test_line_that_goes_on_in_a_narrow_terminal_is_indented_below_what_it_began_with():
    rows = thing(of_document(told(log=["W 2841 uplink attempt failed: no Wi-Fi house yet"])))
    assert rows[-1].within(40) == (
        "log          W 2841 uplink attempt\n"
        "             failed: no Wi-Fi house yet"
    )  # fmt: skip
    assert rows[-1].within(100) == rows[-1]
