"""A board at a serial port, as other commands drive it."""

from pathlib import Path

import pytest
from ports import talking

from sluice.board_port import BoardRaised, board_at, connect
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.image import make_image

TICKING = """
import time
n = 0
while True:
    n += 1
    print("tick", n)
    time.sleep_ms(50)
"""


@pytest.fixture
def board(tmp_path: Path, release: str):
    thing = tmp_path / "things" / "lamp"
    thing.mkdir(parents=True)
    (thing / "config.json").write_text("{}")
    factory = make_image("1.0.0", None, modules={"main.py": TICKING})
    board = Board(tmp_path, "lamp", factory=factory, link=tmp_path / "port").start()
    board.wait_for("tick 2")
    yield board
    board.stop()


def test_board_runs_code_in_a_fresh_heap_and_then_its_main_again(board: Board):
    with board_at(str(board.link)) as port:
        assert port.run("print(6 * 7)") == "42\n"
        assert port.value("{'n': [1, b'x', None]}") == {"n": [1, b"x", None]}
        assert "n" not in port.value("list(globals())")
        seen = len(board.lines)
    board.wait_for("^tick 1$", after=seen)
    assert board.alive and not any("boot: ota" in line for line in board.lines[seen:])


def test_board_whose_code_raises_is_named_in_one_line_and_goes_on(board: Board):
    seen = len(board.lines)
    raises = pytest.raises(BoardRaised, match="the board raised ZeroDivisionError")
    with raises as raised, board_at(str(board.link)) as port:
        port.run("1 // 0")
    assert "Traceback" in raised.value.traceback
    board.wait_for("^tick 1$", after=seen)


def test_board_takes_files_into_folders_that_were_not_there(board: Board):
    content = bytes(range(256)) * 3
    steps = []
    with board_at(str(board.link)) as port:
        port.folder("/lib/deep")
        port.folder("/lib/deep")
        port.put("/lib/deep/data", content, lambda done, size: steps.append((done, size)))
        assert port.exists("/lib/deep/data") and not port.exists("/lib/other")
        assert port.get("/lib/deep/data") == content
    assert steps[-1] == (768, 768)


def test_board_that_is_reset_goes_through_its_boot_loader(board: Board):
    with board_at(str(board.link)) as port:
        seen = len(board.lines)
        port.reset()
    board.wait_for("boot: ota_0", after=seen)


def test_port_that_is_open_elsewhere_is_said_to_be_busy(board: Board):
    other = connect(str(board.link))
    with pytest.raises(SluiceError, match="is busy: another program has it open"):
        connect(str(board.link))
    other.close()


def test_port_that_is_not_there_or_no_port_is_said_to_be_so(tmp_path: Path):
    with pytest.raises(SluiceError, match="no such port: .*/nowhere"):
        connect(str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(SluiceError, match="file is not a serial port"):
        connect(str(tmp_path / "file"))


def test_port_that_is_silent_is_said_to_be_so(dead_port):
    link, _ = dead_port
    with pytest.raises(SluiceError, match="is silent"), board_at(str(link), answer_s=0.3):
        pytest.fail("entered")


def test_port_that_talks_nonsense_is_not_micropython(dead_port):
    link, far = dead_port
    raises = pytest.raises(SluiceError, match="not as MicroPython's REPL does")
    with raises, talking(far), board_at(str(link), answer_s=0.5):
        pytest.fail("entered")
