"""docs/prompt.md, word for word; at the console tests/scenarios/test_console.py types."""

from pages import Reader, blocks, lines

from sluice.compile import ROOT

PAGE = (ROOT / "docs/prompt.md").read_text()
TYPED = ["sluice console --port lab/port"]


def test_page_leads_to_a_report_about_the_board(reader: Reader):
    installation, board, console, doctor = (lines(text) for text in blocks(PAGE, "sh"))
    for line in installation + board:
        reader.does(line)
    said = reader.folder / "device.log"
    reader.waits_for(lambda: "idle free" in said.read_text(), said)
    assert console == TYPED
    reports = [reader.does(line) for line in doctor]
    assert "P-256 verified" in reports[0]
