"""docs/bundles.md: its commands are run, its program makes what we make, its examples are so."""

import json
import re

from pages import Reader, blocks, lines

from sluice.bundle import container, rules, tree
from sluice.compile import ROOT

PAGE = (ROOT / "docs/bundles.md").read_text()


def test_page_leads_to_bundles(reader: Reader):
    (reader.folder / "lamp").mkdir()
    app, greeting, _ = blocks(PAGE, "python")
    (reader.folder / "lamp/app.py").write_text(app)
    (reader.folder / "lamp/greeting.py").write_text(greeting)
    said = [reader.does(line) for text in blocks(PAGE, "sh") for line in lines(text)]
    assert "sluice.json\napp.mpy\ngreeting.mpy\n" in said
    made = {
        file.name: container.unpack(file.read_bytes()) for file in reader.folder.glob("*.bundle")
    }
    kinds = {name: description["kind"] for name, (description, _) in made.items()}
    assert kinds == {"lamp-1.0.0.bundle": "app", "small.bundle": "app", "agent.bundle": "agent"}
    assert list(made["small.bundle"][1]) == ["sluice.json", "app.py"]


def test_program_of_the_page_makes_the_bundle_and_the_tree_that_we_make():
    made: dict = {}
    exec(blocks(PAGE, "python")[-1], made)
    description, members = container.unpack(made["bundle"])
    assert (description, members) == (made["description"], made["contents"])
    assert tree.pack(members) == made["tree"]
    assert container.unpack(container.pack(made["description"], made["files"]))[1] == members


def test_examples_of_the_page_are_taken():
    (text,) = blocks(PAGE, "json")
    assert rules.read(text.strip().encode())["needs"] == {"agent": "0.1.0"}
    (cell,) = blocks(PAGE, "text")
    found = tree.read_record([cell.strip().encode(), None])
    assert found["app"] == [["b", "SHA", "1.3.0"]]
    fields = {name: found[name] for name in ("seq", "app", "agent", "new", "tried", "slot")}
    assert tree.record(**fields) == cell.strip().encode()


def table(heading: str) -> list[str]:
    """The first cells of the first table of a section."""
    section = re.split(r"\n#+ ", PAGE.split(f"# {heading}\n")[1])[0]
    return [row.split("`")[1] for row in section.splitlines() if row.startswith("| `")]


def test_tables_of_the_page_name_all_there_is():
    assert table("sluice.json") == sorted(rules.STATED)
    (cell,) = blocks(PAGE, "text")
    assert table("The record") == list(json.loads(cell[8:]))
    for number in (f"{rules.DESCRIPTION_MAX} bytes", f"{rules.MEMBERS_MAX} members"):
        assert number in PAGE
    assert f"1 to {rules.NAME_MAX} characters" in PAGE
    assert f"{container.UNPACKED_MAX // 1024 // 1024} MiB" in PAGE
    assert " ".join(f"{byte:02x}" for byte in container.GZIP) in PAGE
