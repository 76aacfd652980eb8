"""README.md, word for word: its application is brought onto a simulated board."""

from pathlib import Path

from pages import BEGINNING, Reader, blocks, lines

from sluice.compile import ROOT

PAGE = (ROOT / "README.md").read_text()
LONGEST = 100  # lines of the page: a screen or two
SUCCEEDED = "SUCCEEDED accepted app v1.0.0"
PORT_KNOWN = "until [ -e lab/cloud.json ]; do sleep 0.1; done"  # the page's port is, beforehand
PASTED = "set -e\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n"


def saved(folder: Path) -> Path:
    """The application, as the page has it saved."""
    (app,) = blocks(PAGE, "python")
    file = folder / "app.py"
    file.write_text(app)
    return file


def first() -> str:
    """The block of commands that updates an application."""
    found = blocks(PAGE, "sh")[0]
    assert found.startswith(BEGINNING)
    return found


def test_block_pasted_as_a_whole_ends_in_an_update(reader: Reader):
    saved(reader.folder)
    pasted = first().replace(" cloud run ", " cloud run --port 0 --http-port 0 ")
    pasted = pasted.replace("lab &\n", f"lab &\n{PORT_KNOWN}\n", 1)
    done = reader.pastes(PASTED + pasted)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SUCCEEDED in done.stdout.splitlines()
    assert "\x1b" not in done.stdout + done.stderr


def test_application_of_the_page_runs_and_an_unhealthy_one_is_taken_back(reader: Reader):
    app = saved(reader.folder)
    for line in lines(first()):
        said = reader.does(line)
    assert said.splitlines()[-1] == SUCCEEDED
    log = reader.folder / "device.log"
    reader.waits_for(lambda: "reading 1" in log.read_text().splitlines(), log)
    app.write_text(app.read_text().replace("return True", "return False"))
    said = reader.fails(line.replace("1.0.0", "1.1.0"))
    assert "rolled back: self-test failed" in said


def test_page_is_short():
    assert len(PAGE.splitlines()) <= LONGEST
    (app,) = blocks(PAGE, "python")
    assert len([line for line in app.splitlines() if line]) <= 10
