"""A board of the user's own, in a folder anywhere: wherever --board is taken, its path will do."""

import json
import shutil
from pathlib import Path

import pytest
from patience import FUSE_S
from typed import complaint, good, sluice

from sluice import boards
from sluice.bundle import container
from sluice.cloud.state import State
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.flash import boards as at_port
from sluice.image import make_image

TWIN = "SIM_ESP32"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A board GARAGE in the working folder, by its path."""
    folder = tmp_path / "my boards/GARAGE"
    shutil.copytree(boards.folder(TWIN), folder)
    text = (folder / "board.py").read_text(encoding="utf-8")
    (folder / "board.py").write_text(text.replace(f'"{TWIN}"', '"GARAGE"'), encoding="utf-8")
    monkeypatch.chdir(folder.parent)
    return "./GARAGE"


def test_bundle_is_for_the_name_of_the_folder(own):
    good("bundle", "make", "a.bundle", "--kind", "agent", "--board", own)
    description, members = container.unpack(Path("a.bundle").read_bytes())
    assert description["board"] == "GARAGE" and b"GARAGE" in members["board.mpy"]
    Path("app.py").touch()
    good("bundle", "make", "app.py", "b.bundle", "--version", "1", "--board", own)
    assert container.unpack(Path("b.bundle").read_bytes())[0]["board"] == "GARAGE"


def test_simulated_board_starts_from_its_own_folder(own, tmp_path, release):
    good("thing", "create", "lamp", "--state", tmp_path / "lab")
    with Board(tmp_path / "lab", "lamp", board=own) as board:
        board.wait_for("main agent", FUSE_S)
    assert b"GARAGE" in make_image("1.0.0", board=own)


def test_deploy_names_the_bundle_after_the_folder(own, tmp_path):
    State(tmp_path / "lab")
    words = ("--agent", "--board", own, "--thing", "lamp", "--dry-run", "--aws", "--role", "r")
    said = sluice("deploy", *words, "--bucket", "b", "--signer-profile", "p").stdout
    assert "agent-GARAGE-" in said


def test_flash_takes_its_chip_and_offset(own):
    file = Path(own, "board.json")
    about = json.loads(file.read_text(encoding="utf-8"))
    about["deploy_options"] = {"flash_offset": "0x1000"}
    file.write_text(json.dumps(about), encoding="utf-8")
    assert at_port.choose(0, own).offset == 0x1000
    about["deploy_options"] = {"flash_offset": "high"}
    file.write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(SluiceError, match="has high as flash_offset"):
        at_port.named(own)


@pytest.mark.parametrize(
    ("board", "said"),
    [
        ("./GARAGF", "my boards (GARAGE) and in "),
        ("./GARAGF", "my boards/GARAGE?"),
        ("GARAGE", "did you mean /"),
        ("./SIM_ESP32", "did you mean SIM_ESP32?"),
        ("SIM_ESP23", "did you mean SIM_ESP32?"),
        ("nowhere/at/all", "nowhere/at (no boards)"),
        ("", "no board ''; looked in "),
    ],
)
def test_board_that_is_not_found_is_told_where_it_was_looked_for(own, board, said):
    with pytest.raises(SluiceError) as refused:
        boards.folder(board)
    assert said in str(refused.value) and "SIM_ESP32" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("board.json", "[]", "does not say the chip"),
        ("board.json", '{"mcu": 1}', "does not say the chip"),
        ("board.json", "{", "is not JSON"),
        ("board.json", "[" * 60_000, "is not JSON"),
        ("board.json", " " * 70_000, "has more than 65,536 bytes"),
        ("board.py", "def slots(:\n", "board.py: invalid syntax"),
        ("board.py", "from sluice.net.connect import wrap\n", "wrap of sluice.net.connect is not"),
    ],
)
def test_folder_that_is_no_board_is_refused_in_one_line(own, name, text, said):
    Path(own, name).write_text(text, encoding="utf-8")
    words = ("bundle", "make", "a.bundle", "--kind", "agent", "--board", own)
    if name == "board.json":
        words = ("device", "run", "lamp", "--blank", "--state", "lab", "--board", own)
    assert said in complaint(*words)
