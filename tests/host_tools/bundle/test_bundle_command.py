"""`sluice bundle make` and `bundle show`."""

import hashlib
import json

import pytest
from typed import complaint, good, sluice

from sluice import __version__
from sluice.bundle import tree
from sluice.bundle.container import unpack
from sluice.compile import EXAMPLES


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "app"
    (folder / "data").mkdir(parents=True)
    (folder / "app.py").write_text("x = 1\n")
    (folder / "data/table.json").write_text("{}")
    return folder


def test_bundle_is_made_and_shown(app, tmp_path):
    out = tmp_path / "out"
    said = good("bundle", "make", app, out, "--version", "1.2.0", "--needs-agent", "0.1.0")
    assert said == (
        f"{out}: app, version 1.2.0, {out.stat().st_size:,} bytes; "
        "blocks of flash that its tree takes: 1\n"
    )
    description, members = unpack(out.read_bytes())
    assert description["needs"] == {"agent": "0.1.0"}
    shown = json.loads(good("bundle", "show", out, "--json"))
    made = tree.pack(members)
    assert shown == {
        "kind": "app",
        "version": "1.2.0",
        "board": None,
        "mpy": 6,
        "needs": {"agent": "0.1.0"},
        "size": out.stat().st_size,
        "unpacked": 4096,
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "tree": {
            "size": len(made),
            "blocks": 1,
            "sha256": hashlib.sha256(made).hexdigest(),
        },
        "members": {path: len(content) for path, content in members.items()},
    }
    rows = good("bundle", "show", out).splitlines()
    for row in (
        "kind     app",
        "version  1.2.0",
        "board    any",
        ".mpy     format 6",
        "needs    agent 0.1.0",
        f"sha256   {tree.digest(made)}",
    ):
        assert row in rows
    assert [row.split()[1] for row in rows if row.startswith("member ")] == list(members)


def test_options_may_stand_anywhere(app, tmp_path):
    out, again = tmp_path / "a", tmp_path / "b"
    good("bundle", "make", app, "--version", "1", out, "--sources")
    good("bundle", "make", "--version", "1", "--sources", app, again)
    assert out.read_bytes() == again.read_bytes()
    assert ".mpy     none: sources" in good("bundle", "show", out).splitlines()
    out.unlink()
    good("bundle", "make", "--kind", "agent", out, "--board", "SIM_ESP32")
    assert unpack(out.read_bytes())[0]["version"] == __version__


def test_bundle_that_is_made_within_its_folder_is_not_part_of_it(app):
    line = ("bundle", "make", app, app / "app.bundle", "--version", "1")
    good(*line)
    first = (app / "app.bundle").read_bytes()
    good(*line)
    assert (app / "app.bundle").read_bytes() == first


def test_agent_may_be_of_a_folder_and_of_another_version(app, tmp_path):
    (app / "sluice").mkdir()
    out = tmp_path / "out"
    line = ("bundle", "make", app, out, "--kind", "agent", "--board", "SIM_W800")
    good(*line, "--version", "3.0", "--needs-micropython", "1.23")
    description, members = unpack(out.read_bytes())
    assert description == {
        "board": "SIM_W800",
        "kind": "agent",
        "mpy": 6,
        "needs": {"micropython": "1.23"},
        "version": "3.0",
    }
    assert "app.mpy" not in members


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("out", "--version", "1"), "what is out made of?"),
        ((EXAMPLES / "app.py", "out"), "--version V"),
        (("out", "--kind", "agent"), "--board NAME, of ESP32_GENERIC_C3, "),
        (("out", "--kind", "agent", "--board", "TOASTER"), "no board 'TOASTER'"),
        ((EXAMPLES / "app.py", "out", "--version", "1" * 32), "a version has 1 to 31"),
        ((EXAMPLES / "app.py", "out", "--version", "1", "--needs-agent", "new"), "needs agent"),
        ((EXAMPLES, "no/out", "--version", "1"), "cannot write no/out"),
        (("none", "out", "--version", "1"), "no such file or folder"),
    ],
)
def test_bundle_of_no_sense_is_refused_in_one_line(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert said in complaint("bundle", "make", *words)
    assert not list(tmp_path.iterdir())


def test_file_that_is_no_bundle_is_refused_with_the_reason(tmp_path):
    file = tmp_path / "x"
    file.write_text("text")
    assert f"{file}: not a bundle: it is no gzip file" in complaint("bundle", "show", file)
    assert "cannot read" in complaint("bundle", "show", tmp_path / "none")
    good("bundle", "make", EXAMPLES / "app.py", file, "--version", "1")
    file.write_bytes(file.read_bytes() + b"!")
    assert "bytes follow the end of the gzip: 1" in complaint("bundle", "show", file)


def test_bundle_larger_than_what_aws_streams_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sluice.commands.bundle.SIZE_MAX", 300)
    line = ("bundle", "make", EXAMPLES / "app.py", tmp_path / "out", "--version", "1")
    assert "are too many" in complaint(*line)
    assert not list(tmp_path.iterdir())


def test_word_too_many_shows_the_usage(tmp_path):
    done = sluice("bundle", "make", "a", "b", "c", "--version", "1")
    assert done.returncode == 2 and "unrecognized arguments: c" in done.stderr
