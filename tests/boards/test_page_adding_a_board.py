"""docs/adding-a-board.md, word for word, in a checkout that a board may be added to."""

import re
import shutil

from pages import blocks, lines

from sluice.compile import ROOT

PAGE = (ROOT / "docs/adding-a-board.md").read_text()


def test_page_leads_to_a_board_whose_agent_waits_for_jobs(reader):
    for name in ("host_tools", "tests"):
        (reader.folder / name).symlink_to(ROOT / name)
    for name in ("boards", "firmware"):  # which manifests refer to by resolved paths
        (reader.folder / name).unlink()
        shutil.copytree(ROOT / name, reader.folder / name)
    (reader.folder / "sluice").symlink_to(ROOT / "host_tools")
    reader.sets(PYTHONPATH=str(reader.folder))  # so that the commands are those of this checkout
    (table,) = blocks(PAGE, "csv")
    printed = {}
    for text in blocks(PAGE, "sh"):
        for line in lines(text):
            printed[line.partition(" -k ")[0]] = reader.does(line)
            if line.startswith("cp "):
                (reader.folder / "boards/GARAGE_C3/partitions.csv").write_text(table)
    passed = re.search(r"(\d+) passed", printed["python -m pytest tests/boards"])
    assert int(passed[1]) >= 7  # two more with cmake
    assert (reader.folder / "lab/devices/lamp/flash.bin").stat().st_size == 8 << 20


def test_page_says_what_was_not_tried():
    (text,) = blocks(PAGE, "text")
    assert "Not tried" in PAGE.split(text)[0].rpartition("\n## ")[2]
