"""docs/fleet.md, word for word: its commands are run, and show what it says."""

from pages import blocks, lines

from sluice.compile import ROOT
from sluice.fleet.things_shown import Row

PAGE = (ROOT / "docs/fleet.md").read_text()


def test_page_leads_to_a_fleet_that_is_shown(reader):
    printed = {}
    for text in blocks(PAGE, "sh"):
        for line in lines(text):
            printed[line] = reader.does(line)
    fleet = printed["sluice fleet --state lab"].splitlines()
    assert [row.split()[:2] for row in fleet[1:3]] == [["fan", "never"], ["pump", "connected"]]
    assert fleet[3:] == ["2 things: 1 connected"]
    assert "pump" not in printed["sluice fleet --offline --state lab"]
    assert "connected    yes" in printed["sluice thing show pump --state lab"]
    assert "no jobs" in printed["sluice job list --state lab"]


def test_columns_of_the_page_are_those_of_the_table():
    head = blocks(PAGE, "text")[0].splitlines()[0]
    assert len(head.replace("LAST JOB", "JOB").split()) == len(Row.__dataclass_fields__)
