"""docs/log-lines.md has a row for every line that the firmware logs, and none that it does not."""

import ast
import re
from collections.abc import Iterator

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


def logs_of(tree: ast.Module) -> dict[str, str]:
    """{name: tag} of the loggers that a module has, its own and other modules'."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (tag := tag_of(node.value)):
            found |= {name.id: tag for name in node.targets if isinstance(name, ast.Name)}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sluice."):
            file = FIRMWARE / f"{node.module.replace('.', '/')}.py"
            names = [alias for alias in node.names if alias.name in ("log", "_log")]
            theirs = logs_of(parsed(file)) if names and file.exists() else {}
            found |= {alias.asname or alias.name: theirs[alias.name] for alias in names}
    return found


def lines_of(tree: ast.Module) -> Iterator[tuple[tuple[str, str], ast.Call]]:
    """((level, line), the call) of every call that logs."""
    logs = logs_of(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner, level = node.func.value, node.func.attr
        tag = logs.get(owner.id) if isinstance(owner, ast.Name) else tag_of(owner)
        if level in LEVELS:
            assert tag or "log" not in ast.unparse(owner), f"whose log? {ast.unparse(node)}"
        if tag and level in LEVELS:
            yield (level.upper(), f"{tag} {said(node.args)}"), node


def logged() -> dict[tuple[str, str], str]:
    return {
        line: where(file, call)
        for file in sorted((FIRMWARE / "sluice").rglob("*.py"))
        for line, call in lines_of(parsed(file))
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


def test_loggers_are_found_however_they_are_named():
    tree = ast.parse(
        'from sluice.log import Log\nfrom sluice import log as logging\nlog = Log("one")\n'
        '_other = logging.Log("two")\n'
        'log.i("linked", server, 1, "as", name)\n_other.w(*words)\nLog("three").e("gone")\n'
        'elsewhere.i("not ours")\nlog.level("I")\n'
        'from sluice.clouds.product import log as theirs\ntheirs.d("it is")\n'
    )
    assert {line: level for (level, line), _ in lines_of(tree)} == {
        "one linked … as …": "I",
        "two …": "W",
        "three gone": "E",
        "product it is": "D",
    }
