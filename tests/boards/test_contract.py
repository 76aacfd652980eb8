"""Every board.py keeps the contract of boards/README.md, on the simulated chip."""

import json
from pathlib import Path

import pytest

from sluice import boards
from sluice.device.supervisor import Board
from sluice.image import make_image
from sluice.image.modules import device_sources

CONTRACT = Path(__file__).with_name("contract.py")
NAMES = sorted(file.name for file in boards.BOARDS.iterdir() if file.is_dir())


@pytest.fixture
def board(request, tmp_path, release):
    """A new board of that folder, whose main.py is the contract: as source, for its asserts."""
    name = request.param
    thing = tmp_path / "things/lamp"
    thing.mkdir(parents=True)
    (thing / "config.json").write_text(json.dumps({"thing": "lamp"}))
    modules = device_sources(name)
    del modules["main.py"]  # a frozen one would come first
    image = make_image("1.0.0", chip=boards.chip(name), modules=modules)
    made = Board(tmp_path, "lamp", board=name, factory=image, heap="200k")
    made.make()
    made.write_file("/main.py", CONTRACT.read_bytes())
    yield made
    made.stop()


@pytest.mark.parametrize("board", NAMES, indirect=True)
def test_board_keeps_the_contract(board):
    board.start()
    board.wait_for("@BOARD end")
    told = dict(line.split()[1:3] for line in board.lines if line.startswith("@BOARD"))
    assert told["name"] == board.board
    assert int(told["size"]) <= board.table.slots[-1].size
    seen = len(board.lines)
    board.wait_for(r"^boot: ", after=seen - 1)
    assert "reset: machine.reset" in board.lines
    assert not [line for line in board.lines if "Traceback" in line]
