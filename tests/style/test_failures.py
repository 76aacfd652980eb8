"""docs/failures.md names every reason that a job can end with, and none that it cannot."""

import ast
import re
from collections.abc import Iterator

from sources import device_files, parsed, where

from host_tools.compile import ROOT

PAGE = (ROOT / "docs/failures.md").read_text()
FINAL = ("Refuse", "Fail")  # what a job ends with; ConfigError and Retry it never hears of


def rows() -> Iterator[str]:
    """The first cell of every row, without its mark-up."""
    for line in PAGE.splitlines():
        cell = line.removeprefix("| ").partition(" |")[0]
        if line.startswith("| ") and cell not in ("reason", "log") and "`" in cell:
            yield cell


def stated() -> set[str]:
    """The reasons of the page, as the code begins them."""
    return {text for cell in rows() for text in re.findall(r"`([^`]+)`", cell)}


def raised() -> dict[str, str]:
    """Every literal reason in the device's code, with the place of it."""
    found = {}
    for file in device_files():
        for node in ast.walk(parsed(file)):
            name = getattr(getattr(node, "func", None), "id", "")
            if name in FINAL and node.args and isinstance(node.args[0], ast.Constant):
                found[node.args[0].value] = where(file, node)
    return found


def test_every_reason_is_on_the_page():
    lacking = {reason: place for reason, place in raised().items() if reason not in stated()}
    assert not lacking, "docs/failures.md lacks " + ", ".join(
        f"{reason!r} ({place})" for reason, place in lacking.items()
    )


def test_reasons_of_the_page_are_in_the_code():
    code = "\n".join(file.read_text() for file in device_files())
    for text in stated():
        words = text.partition(" …")[0].partition("…")[0].removeprefix("rolled back: ").strip()
        assert words in code, f"{text}: nothing says {words!r}"


def test_page_says_what_to_do_about_each():
    for line in PAGE.splitlines():
        if line.startswith("| ") and line.count(" | ") < 2:
            raise AssertionError(f"not three cells: {line}")
