"""What rich prints is as it was told: no emoji, and no styles in what is anybody's."""

import ast

from sources import parsed, where

from sluice.compile import ROOT

FILES = sorted((ROOT / "host_tools").rglob("*.py"))
MAKER = ROOT / "host_tools/terminal.py"


def calls(name: str):
    """(file, call) of all that call something of that name."""
    for file in FILES:
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
                yield file, node


def test_consoles_are_made_at_one_place_without_emoji():
    found = list(calls("Console"))
    assert [file for file, _ in found] == [MAKER], [where(*one) for one in found]
    [(_, call)] = found
    assert "emoji=False" in ast.unparse(call)


def test_columns_of_a_bar_take_text_as_it_is():
    """They look for styles and emoji themselves, whatever their console does."""
    found = list(calls("TextColumn"))
    assert found
    for file, call in found:
        words = {one.arg: ast.unparse(one.value) for one in call.keywords}
        assert words.get("markup") == "False", where(file, call)
