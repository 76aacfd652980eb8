"""Host code says the encoding of what it reads, writes and hears: a locale decides nothing."""

import ast
from collections.abc import Iterator

import pytest
from sources import parsed, where
from test_host_layers import HOST, is_boards_own

from sluice.compile import ROOT

FILES = [*sorted(file for file in HOST.rglob("*.py") if not is_boards_own(file))]
FILES.append(ROOT / "setup.py")
BINARY = {"os", "tarfile", "zipfile", "dbm", "webbrowser", "file_system"}  # whose open is no text


def unsaid(tree: ast.Module) -> Iterator[ast.Call]:
    """Calls that read or write text in the locale's encoding."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _text(node):
            words = {keyword.arg for keyword in node.keywords}
            if not words & {"encoding", None}:  # None: **options, which say it
                yield node


def _text(node: ast.Call) -> bool:
    """Whether a call is about text, without an encoding as argument by its place."""
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    owner = getattr(called.value, "id", "") if isinstance(called, ast.Attribute) else ""
    if name in ("read_text", "write_text"):
        return len(node.args) < 1 + (name == "write_text")
    if name == "open" and owner not in BINARY:
        return "b" not in _mode(node, 0 if owner or isinstance(called, ast.Attribute) else 1)
    if name == "fdopen":
        return "b" not in _mode(node, 1)
    if name in ("NamedTemporaryFile", "TemporaryFile"):
        return "b" not in _mode(node, 0, "w+b")
    return any(
        keyword.arg in ("text", "universal_newlines")
        and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
        for keyword in node.keywords
    ) and name in ("run", "Popen", "check_output")


def _mode(node: ast.Call, place: int, usual: str = "r") -> str:
    """The mode of something that is opened; "b" where that is not said in the call itself."""
    found = [keyword.value for keyword in node.keywords if keyword.arg == "mode"]
    found += node.args[place : place + 1]
    if not found:
        return usual
    return found[0].value if isinstance(found[0], ast.Constant) else "b"


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_host_code_says_its_encodings(file):
    assert not [where(file, node) for node in unsaid(parsed(file))]


def test_every_way_to_forget_an_encoding_is_seen(tmp_path):
    good = (
        "p.read_bytes(); p.read_text('ascii'); p.write_text(x, encoding='utf-8'); p.open('rb')\n"
        "os.open(p, 0); os.fdopen(1, 'wb'); open(p, mode='wb'); run(c, text=True, encoding='a')\n"
        "NamedTemporaryFile(); run(c); run(c, **options)\n"
    )
    bad = (
        "p.read_text(); p.write_text(x); p.open(); p.open('w'); open(p); open(p, 'a')\n"
        "os.fdopen(1, 'w'); NamedTemporaryFile('w'); run(c, text=True)\n"
        "subprocess.Popen(c, universal_newlines=True); p.open(mode='r')\n"
    )
    assert not list(unsaid(ast.parse(good)))
    assert len(list(unsaid(ast.parse(bad)))) == bad.count("(")
