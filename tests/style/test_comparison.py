"""docs/comparison.md: what it says of others has a source, and every source a version or date."""

import re

from sluice.compile import ROOT

TEXT, _, LIST = (ROOT / "docs/comparison.md").read_text().partition("\n## Sources\n")
SOURCES = dict(re.findall(r"^(\d+)\. ((?:.+\n?(?:   .+\n)*))", LIST, re.MULTILINE))
CITED = re.compile(r"\[(\d+)\](?!\()")
ISSUE = re.compile(r"[\w.-]+/[\w.-]+#\d+")


def blocks() -> list[str]:
    """The paragraphs, items of lists and tables of the text; headings are none."""
    parts = re.split(r"\n\n|\n(?=- )", TEXT)
    return [part.strip() for part in parts if part.strip() and not part.strip().startswith("#")]


def test_every_paragraph_names_its_sources():
    for block in blocks():
        if not block.startswith("|"):
            assert CITED.search(block), block


def tables() -> list[list[str]]:
    """The lines of each table."""
    return [block.splitlines() for block in blocks() if block.startswith("|")]


def test_every_column_and_every_row_of_a_table_names_its_sources():
    ahead, agents, ways, troubles = tables()
    columns = agents[0].strip("| ").split(" | ")
    assert columns[0] == "Sluice" and len(columns) > 5
    assert all(CITED.search(column) for column in columns[1:]), columns
    for row in [*ahead[2:], *ways[3:]]:
        assert CITED.search(row), row
    for row in troubles[2:]:
        assert ISSUE.search(row.split("|")[2]), row


def test_cells_are_short_enough_to_read_beside_each_other():
    for table in tables():
        for line in table[2:]:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            words = [len(cell.split()) for cell in cells]
            assert max(words) <= 48 / len(cells) + 4, line


def test_page_says_where_sluice_loses():
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in tables()[0][2:]}
    for what in (
        "boards in the field",
        "provisioning by claim",
        "remote console",
        "formal proofs",
    ):
        assert rows[what].startswith(("no", "none")), what


def test_sources_are_those_that_are_cited():
    assert set(CITED.findall(TEXT)) == SOURCES.keys()
    assert list(SOURCES) == [str(number) for number in range(1, len(SOURCES) + 1)]


def test_every_source_has_a_version_or_a_date():
    for number, source in SOURCES.items():
        assert re.search(r" \d+\.\d+|\b20\d\d\b", source), (number, source)
