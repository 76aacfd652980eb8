"""docs/job-operation.md, word for word: its files are written, its commands are run."""

import json

from pages import Reader, blocks, lines

from sluice.compile import ROOT

PAGE = (ROOT / "docs/job-operation.md").read_text()


def outcome(reader: Reader, job: str) -> tuple[str, str]:
    """The status that a job ends with, and the reason."""
    found = []

    def over() -> bool:
        told = json.loads(reader.does(f"sluice job show {job} --state lab --json"))
        found[:] = told["executions"]
        return found[0]["status"] not in ("QUEUED", "IN_PROGRESS")

    reader.waits_for(over, found)
    return found[0]["status"], found[0]["statusDetails"]["reason"]


def test_page_leads_to_an_operation_that_does_what_it_says(reader):
    (reader.folder / "operations").mkdir()
    (module,) = blocks(PAGE, "python")
    (reader.folder / "operations/setpoint.py").write_text(module)
    (order,) = blocks(PAGE, "json")
    (reader.folder / "set.json").write_text(order)
    for text in blocks(PAGE, "sh"):
        for line in lines(text):
            reader.does(line)
    assert outcome(reader, "set-1") == ("SUCCEEDED", "215 tenths of a degree")
    (reader.folder / "set.json").write_text(order.replace("215", '"warm"'))
    reader.does("sluice job create --thing pump --document set.json --id set-2 --state lab")
    assert outcome(reader, "set-2") == ("REJECTED", "job document lacks or misstates tenths")
