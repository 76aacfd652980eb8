"""docs/deploying.md, word for word: what it deploys succeeds, and its sizes are near."""

import json
import re
from itertools import groupby
from pathlib import Path

from pages import Reader, blocks, lines

from bench import numbers
from sluice import __version__
from sluice.bundle import make
from sluice.compile import ROOT

PAGE = (ROOT / "docs/deploying.md").read_text()
NEAR = 0.15  # of a size that the page gives


def files(folder: Path) -> None:
    """Save what the page has saved."""
    (folder / "lamp").mkdir()
    app, greeting = blocks(PAGE, "python")
    (folder / "lamp/app.py").write_text(app)
    (folder / "lamp/greeting.py").write_text(greeting)
    (order,) = blocks(PAGE, "json")
    (folder / "back.json").write_text(order)


def outcome(reader: Reader, job: str) -> tuple[str, str]:
    """The status that a job ends with, and the reason."""
    found = []

    def over() -> bool:
        told = json.loads(reader.does(f"sluice job show {job} --state lab --json"))
        found[:] = told["executions"]
        return found[0]["status"] not in ("QUEUED", "IN_PROGRESS")

    reader.waits_for(over, found)
    return found[0]["status"], found[0]["statusDetails"]["reason"]


def test_page_leads_to_each_kind_of_update_and_back(reader: Reader):
    files(reader.folder)
    said = []
    for text in blocks(PAGE, "sh"):
        for line in lines(text):
            printed = reader.does(line)
            if line.startswith("sluice deploy"):
                said.append(outcome(reader, printed.split()[0]))
            elif line.startswith("sluice job create"):
                said.append(outcome(reader, "back-1"))
    accepted = ("app v1.0.0", "app v1.1.0", "app v1.0.0", f"agent v{__version__}.1")
    accepted += ("v1.1.0", "v1.2.0", "v1.3.0")
    assert [status for status, _ in said] == ["SUCCEEDED"] * len(accepted), said
    for what, (_, reason) in zip(accepted, said, strict=True):
        assert reason.partition(" (")[0] == f"accepted {what}", said
    assert re.fullmatch(r"accepted v1.3.0 \(delta: \d+ of \d+ bytes\)", said[-1][1]), said
    log = (reader.folder / "device.log").read_text()
    runs = [line.split()[-1] for line in re.findall(r" main agent (.+)", log)]
    other = [tree for tree, _ in groupby(runs)]  # a full heap may be a reset, too
    assert other == ["tree", "app.a", "app.b", "app.a", "agent.a+app.a", "agent.a+app.b"]


def test_shares_of_smaller_images_are_those_of_the_results():
    found = numbers.load()
    stated = re.findall(r"^\| (delta, .*|compressed) \| ([\d.]+) % \|$", PAGE, re.MULTILINE)
    rows = {
        "delta, another version and nothing else": ("another version only", "delta"),
        "delta, one function longer, some strings and constants": (
            "a function longer, strings and constants",
            "delta",
        ),
        "delta, 12 weeks of MicroPython and another ESP-IDF": (
            "two real builds, 12 weeks apart",
            "delta",
        ),
        "compressed": ("two real builds, 12 weeks apart", "compressed"),
    }
    assert dict(stated).keys() == rows.keys()
    for name, share in stated:
        row, kind = rows[name]
        measured = numbers.value(found, "smaller", row, f"{kind}, %")
        assert abs(float(share) / measured - 1) < NEAR / 3


def test_sizes_of_the_page_are_near(tmp_path):
    files(tmp_path)
    (row,) = re.findall(r"^\| bytes of the file .*", PAGE, re.MULTILINE)
    app, agent = (float(number) * 1000 for number in re.findall(r"([\d.]+) KB", row))
    assert abs(len(make.application(tmp_path / "lamp/app.py", "1.0.0")) / app - 1) < NEAR
    assert abs(len(make.agent("SIM_ESP32")) / agent - 1) < NEAR
