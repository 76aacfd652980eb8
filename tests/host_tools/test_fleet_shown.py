"""What people and programs are shown of a fleet: nothing is cut, changed or acted upon."""

import io
import re

import pytest

from sluice.cli import main
from sluice.commands import fleet as fleet_command
from sluice.errors import SluiceError
from sluice.fleet import jobs_shown, shown, things_shown, watch
from sluice.fleet.status import Execution, FleetStatus, JobStatus, ThingStatus
from sluice.terminal import console

NOW = 1_780_000_000.0
MAC = "24:0a:c4:ab:12:34"
SITE = "site:car:7"
LONG = "x" * 256
ID = "AFR_OTA-" + "0123456789abcdef" * 3 + "-and-more"  # 64 columns and more are allowed
ESCAPE = "\x1b[2J\x9b\u202e"
CODES = re.compile(r"\x1b\[[0-9;]*m")


def said(capsys, *parts) -> str:
    shown.show(*parts)
    return CODES.sub("", capsys.readouterr().out)


@pytest.fixture
def terminal(monkeypatch):
    """A function: columns → standard output is a terminal that wide."""

    def make(columns: int) -> None:
        monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes that for a terminal
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(columns))

    return make


@pytest.mark.parametrize("columns", [None, 80, 200])
def test_address_is_no_emoji(capsys, terminal, columns):
    if columns:
        terminal(columns)
    one = Execution(SITE, MAC, 1, "FAILED", {"reason": f"no {MAC}"})
    thing = ThingStatus(MAC, groups=(SITE,), board=SITE, job=one)
    job = JobStatus(SITE, "IN_PROGRESS", {"FAILED": 1}, comment=MAC, executions=(one,))
    rows = fleet_command.rows(FleetStatus((thing,), read_at=NOW), (thing,))
    parts = (*rows, *things_shown.thing(thing), *jobs_shown.job(job), f"{MAC} alone")
    found = said(capsys, *parts)
    assert found.count(MAC) >= 6 and found.count(SITE) >= 5 and found.isascii()


def test_lines_of_waiting_have_the_name_as_it_is_and_no_control_characters(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(watch.terminal, "console", lambda **_: console(file=screen, width=80))
    seen = watch.Watch(None, f"job-of-{MAC}", (MAC,))
    monkeypatch.setattr(watch, "asked", lambda _: (True, f"{MAC}: will ask again: {ESCAPE}\nx"))
    assert watch.follow(seen, 0, 0)
    assert screen.getvalue() == f"{MAC}: will ask again: ?[2J???x\n"


def test_hostile_shadow_leaves_a_line_a_thing_where_there_is_no_terminal(capsys):
    hostile = dict.fromkeys(("board", "image", "agent", "app"), LONG)
    job = Execution(ID, "bad", 1, "FAILED", {"reason": "y" * 1_024})
    things = ThingStatus("bad", groups=(LONG,) * 9, job=job, **hostile), ThingStatus("good")
    rows = fleet_command.rows(FleetStatus(things, read_at=NOW), things)
    _, bad, good = said(capsys, *rows).splitlines()
    assert bad.count(LONG) == 4 and bad.endswith(f"FAILED: {'y' * 1_024} ({ID})")
    assert good.startswith("good ")
    _, bad, _ = said(capsys, *things_shown.things(things)).splitlines()
    assert bad.count(LONG) == 10


@pytest.mark.parametrize("columns", [50, 60, 80])
def test_id_of_a_job_can_be_copied_from_a_narrow_terminal(capsys, terminal, columns):
    terminal(columns)
    one = Execution(ID, "pump", 1, "SUCCEEDED", {"reason": "accepted v1"})
    thing = ThingStatus("pump", job=one)
    job = JobStatus(ID, "IN_PROGRESS", {"SUCCEEDED": 1}, executions=(one,))
    rows = fleet_command.rows(FleetStatus((thing,), read_at=NOW), (thing,))
    for parts in (rows, things_shown.thing(thing), jobs_shown.job(job)):
        lines = said(capsys, *parts).splitlines()
        assert sum(ID in line for line in lines) == 1, lines
        assert all(len(line) <= columns for line in lines if ID not in line)


@pytest.mark.parametrize(
    "document",
    [
        {"afr_ota": {"files": [{"filepath": f"a{ESCAPE}\nb"}]}},
        {"operation": f"a{ESCAPE}\nb"},
        {f"a{ESCAPE}\nb": 1},
    ],
)
def test_control_characters_of_a_job_do_not_reach_the_terminal(capsys, document):
    job = JobStatus("j", "CANCELED", {}, comment=f"a{ESCAPE}\nb", document=document)
    found = said(capsys, *jobs_shown.job(job))
    assert found.count("a?[2J???b") == 2
    assert all(line.isprintable() for line in found.splitlines())


def test_complaint_has_no_control_characters(capsys, monkeypatch):
    def complain(_):
        raise SluiceError(f"canceled (a{ESCAPE}\nb)")

    monkeypatch.setattr(fleet_command, "run", complain)
    assert main(["fleet"]) == 1
    assert capsys.readouterr().err == "sluice: canceled (a?[2J?? b)\n"
    with pytest.raises(SystemExit):
        main([f"a{ESCAPE}b"])
    assert "unknown command a?[2J??b" in capsys.readouterr().err
