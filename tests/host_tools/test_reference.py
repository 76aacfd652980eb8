"""docs/commands/: made of the parsers, complete, and each example of it runs."""

import argparse
import re
from pathlib import Path

import pytest
from pages import Reader, blocks, lines
from seat import Seat

from sluice import reference
from sluice.cli import COMMANDS, parser
from sluice.complaints import complaints
from sluice.examples import EXAMPLES
from sluice.reference import FOLDER, INDEX, MADE

PAGES = {file.stem: file.read_text() for file in FOLDER.glob("*.md") if file.name != INDEX}
SAID = {  # what the last line of an example prints
    "demo": "SUCCEEDED",
    "cloud": '"pump"',
    "completion": "",
    "deploy": "SUCCEEDED",
    "doctor": "P-256 verified",
    "fleet": "pump",
    "flash": "pump is ready",
    "image": "kind     delta",
    "job": "SUCCEEDED",
    "sign": "ME",
}


def commands() -> list[tuple[str, argparse.ArgumentParser]]:
    """(page, parser) of each command line that there is."""
    top = reference._choices(parser()).items()
    return [(name, one) for name, row in top for one in reference._choices(row).values() or [row]]


def test_pages_are_those_of_the_commands():
    assert PAGES.keys() == COMMANDS.keys()


@pytest.mark.parametrize(("name", "row"), commands(), ids=lambda one: getattr(one, "prog", ""))
def test_page_has_every_argument_of_a_command(name, row):
    text = PAGES[name]
    assert f"\n{row.prog}" in text
    for action in row._actions:
        for option in action.option_strings if action.help != argparse.SUPPRESS else ():
            if option.startswith("--") and option != "--help":
                assert re.search(rf"^\| `[^`]*{option}[ `]", text, re.MULTILINE), option


@pytest.mark.parametrize("name", PAGES)
def test_page_has_every_part(name):
    text = PAGES[name]
    first, made, sentence = text.split("\n\n")[:3]
    assert (first, made) == (f"# sluice {name}", MADE)
    assert re.fullmatch(r"[A-Z][^\n]+\.", sentence)
    assert "```text\nsluice " in text and "\n## Exit codes\n" in text
    assert blocks(text, "sh"), f"write an example of {name}: host_tools/examples.py"
    assert f"sluice {name}" in blocks(text, "sh")[0]
    assert "| – |" not in text, "an argument without a help text"


def test_usage_shows_what_is_needed_what_repeats_and_what_excludes():
    one = argparse.ArgumentParser(prog="sluice pour")
    one.add_argument("--cup", action="append", required=True, metavar="NAME", help="a|b, 50 %%")
    some = one.add_mutually_exclusive_group()
    some.add_argument("--hot", action="store_true", help="of %(default)s")
    some.add_argument("--size", choices=("s", "l"))
    one.add_argument("what", nargs="*")
    usage, table = reference._usage(one)
    assert "sluice pour [WHAT]… --cup NAME… [--hot | --size {s,l}]" in usage
    assert r"| `--cup NAME` | a\|b, 50 % |" in table
    assert "| `--hot` | of False |" in table
    assert "| `--size {s,l}` | – |" in table


def test_complaints_are_those_of_the_command_and_of_what_adds_options_to_it():
    from sluice.commands import deploy

    found = complaints(deploy)
    assert "--file …: SRC=DEST is wanted" in found
    assert "whom for? --thing NAME or --group NAME" in found  # of fleet/targets.py
    assert len(found) == len(set(found))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name in EXAMPLES])
def test_example_of_a_page_runs(name: str, reader: Reader):
    reader.begins()
    said = ""
    (text,) = blocks(PAGES[name], "sh")
    for line in lines(text):
        if line.startswith("sluice console"):
            said = typed(reader.folder / line.split()[-1])
        else:
            said = reader.does(line)
    assert SAID.get(name, "") in said


def typed(port: Path) -> str:
    """What a terminal shows of the console, until it is left."""
    seat = Seat(port)
    try:
        shown = seat.read_until(b"Ctrl-]").decode()
        seat.type(b"\x1d")
        assert seat.end() == 0
        return shown
    finally:
        seat.close()
