"""Files that are made of others: they are as they would be made today, and old ones are found."""

from pathlib import Path

import pytest

from sluice import diagram, made, package, picture, reference


def test_no_file_is_old():
    wrong = [file.name for file in made.old()]
    assert not wrong, "run: .venv/bin/python -m sluice.made --write"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the checkout, without any of the files but the document's marks."""
    monkeypatch.setattr(made, "ROOT", tmp_path)
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "commands")
    monkeypatch.setattr(picture, "FOLDER", tmp_path / "pictures")
    monkeypatch.setattr(package, "PACKAGE", tmp_path / "package.json")
    monkeypatch.setattr(diagram, "DESIGN", tmp_path / "DESIGN.md")
    (tmp_path / "DESIGN.md").write_text(f"before\n{diagram.BEGIN}\nold\n{diagram.END}\nafter\n")
    return tmp_path


def test_old_files_are_named_and_written_and_strangers_removed(elsewhere, capsys):
    (elsewhere / "commands").mkdir()
    (elsewhere / "commands/gone.md").write_text("of a command that was removed")
    (elsewhere / "commands/sign.md").write_text("of an option that was removed")
    assert made.main([]) == 1
    named = set(capsys.readouterr().out.split())
    assert {"commands/gone.md", "commands/sign.md", "commands/deploy.md"} <= named
    assert {"pictures/update.svg", "package.json", "DESIGN.md"} <= named
    assert (elsewhere / "commands/gone.md").exists() and not (elsewhere / "pictures").exists()
    assert made.main(["--write"]) == 0
    assert set(capsys.readouterr().out.split()) == named
    assert made.main([]) == 0 and capsys.readouterr().out == ""
    assert not (elsewhere / "commands/gone.md").exists()
    document = (elsewhere / "DESIGN.md").read_text()
    assert document.startswith("before\n") and document.endswith("\nafter\n")


def test_document_without_marks_is_complained_of(elsewhere, capsys):
    (elsewhere / "DESIGN.md").write_text("no marks")
    assert made.main(["--write"]) == 1
    assert "has no place for the drawing" in capsys.readouterr().err
    assert (elsewhere / "DESIGN.md").read_text() == "no marks"
