"""docs/log-lines.md has a row for every line that the firmware logs, and none that it does not."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sources import parsed, where

from sluice.compile import FIRMWARE, ROOT

PAGE = ROOT / "docs/log-lines.md"
ROW = re.compile(r"^\| ([EWID]) \| `([^`]+)` \| (\S.*) \|$", re.MULTILINE)
LEVELS = "ewid"  # the methods of sluice.log.Log


def tag_of(node: ast.expr) -> str | None:
    """The tag of `Log("tag")`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Log":
        return ast.literal_eval(node.args[0])
    return None


def said(words: list[ast.expr]) -> str:
    """The words that the code has, with … for each value."""
    texts = [
        word.value if isinstance(word, ast.Constant) and isinstance(word.value, str) else "…"
        for word in words
    ]
    return re.sub(r"…( …)+", "…", " ".join(texts))


def lines_of(file: Path) -> Iterator[tuple[tuple[str, str], str]]:
    """((level, line), place) of every call that logs."""
    tree = parsed(file)
    logs = {
        target.id: tag
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and (tag := tag_of(node.value))
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        tag = logs.get(owner.id) if isinstance(owner, ast.Name) else tag_of(owner)
        if tag and node.func.attr in LEVELS:
            line = f"{tag} {said(node.args)}".strip()
            yield (node.func.attr.upper(), line), where(file, node)


def logged() -> dict[tuple[str, str], str]:
    return {
        line: place
        for file in sorted((FIRMWARE / "sluice").rglob("*.py"))
        for line, place in lines_of(file)
    }


def rows() -> list[tuple[str, str]]:
    return [(level, line) for level, line, _ in ROW.findall(PAGE.read_text())]


def test_every_line_of_the_log_has_a_row():
    lacking = {line: place for line, place in logged().items() if line not in rows()}
    assert not lacking, f"{PAGE.name} lacks " + ", ".join(
        f"{level} `{line}` ({place})" for (level, line), place in lacking.items()
    )


def test_every_row_is_of_a_line_that_there_is_and_stands_once():
    assert sorted(rows()) == sorted(set(rows()))
    assert set(rows()) <= logged().keys()
    tables = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    heads = [line for line in tables if line.startswith("| level ")]
    assert len(tables) == len(rows()) + len(heads), "a row of another kind"


def test_loggers_are_found_however_they_are_named(tmp_path):
    file = tmp_path / "a.py"
    file.write_text(
        'from sluice.log import Log\nfrom sluice import log as logging\nlog = Log("one")\n'
        '_other = logging.Log("two")\n'
        'log.i("linked", server, 1, "as", name)\n_other.w(*words)\nLog("three").e("gone")\n'
        'elsewhere.i("not ours")\nlog.level("I")\n'
    )
    found = [line for line, _ in lines_of(file)]
    assert found == [("I", "one linked … as …"), ("W", "two …"), ("E", "three gone")]
