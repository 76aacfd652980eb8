"""A board at a serial port, as other commands drive it."""

from functools import partial
from pathlib import Path

import pytest
from ports import talking
from serial import Serial

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


STUBBORN = """
import time
n = 0
while True:
    try:
        n += 1
        print("tick", n)
        time.sleep_ms(50)
    except KeyboardInterrupt:
        print("no")
        time.sleep_ms(20)  # as long as a line takes on a wire, which a pty has not
"""
DEAF = "import micropython\nmicropython.kbd_intr(-1)\n" + TICKING


@pytest.fixture
def held(tmp_path: Path, release: str):
    """A function: (program) → a board that runs it."""
    made = []

    def make(program: str) -> Board:
        thing = tmp_path / "things" / "lamp"
        thing.mkdir(parents=True)
        (thing / "config.json").write_text("{}")
        factory = make_image("1.0.0", None, modules={"main.py": program})
        made.append(Board(tmp_path, "lamp", factory=factory, link=tmp_path / "port").start())
        made[-1].wait_for("tick 2")
        return made[-1]

    yield make
    for board in made:
        board.stop()


def test_board_whose_program_swallows_ctrl_c_is_entered_by_holding_it(held):
    board = held(STUBBORN)
    told: list[str] = []
    with board_at(str(board.link), 115_200, 2, reset=True, tell=told.append) as port:
        assert port.run("print(6 * 7)") == "42\n"
    assert any(line == "no" for line in board.lines)
    assert not any("boot: ota" in line for line in board.lines[1:]) and told == []


def test_board_whose_program_is_deaf_to_ctrl_c_is_said_to_be_held(held):
    board = held(DEAF)
    told: list[str] = []
    raises = pytest.raises(SluiceError, match="or a program that swallows Ctrl-C holds it")
    with raises, board_at(str(board.link), 115_200, 1, reset=True, tell=told.append):
        pytest.fail("entered")
    assert told == [
        "no prompt: a program that swallows Ctrl-C may hold the board. "
        "Press its reset button now, if it has one"
    ]


class Lines:
    """A port's DTR and RTS, which a pty has not, wired as a development board's are."""

    def __init__(self, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set = {"dtr": True, "rts": True}
        self.resets: list[bool] = []  # whether GPIO0 was up at each
        self._board = board
        for name in self.set:
            line = property(lambda _, name=name: self.set[name], partial(self._pull, name))
            monkeypatch.setattr(Serial, name, line)

    def _pull(self, name: str, port: Serial, value: bool) -> None:
        down = self.set["rts"] and not self.set["dtr"]
        self.set[name] = value
        if down and name == "rts" and not value:  # EN goes up
            self.resets.append(not self.set["dtr"])
            self._board.cut_power()


def test_board_whose_program_is_deaf_to_ctrl_c_is_reset_by_dtr_and_rts(held, monkeypatch):
    board = held("import time\ntime.sleep_ms(500)\n" + DEAF)
    lines, told = Lines(board, monkeypatch), []
    with board_at(str(board.link), 115_200, 2, reset=True, tell=told.append) as port:
        assert port.run("print(6 * 7)") == "42\n"
        assert lines.resets == [True] and lines.set == {"dtr": True, "rts": True}
    assert told == [
        "no prompt: a program that swallows Ctrl-C may hold the board. It was reset by DTR and RTS"
    ]


def test_board_is_not_reset_where_that_is_not_wanted(held, monkeypatch):
    board = held(DEAF)
    lines = Lines(board, monkeypatch)
    with pytest.raises(SluiceError), board_at(str(board.link), 115_200, 0.4):
        pytest.fail("entered")
    assert lines.resets == []


def test_board_whose_button_is_pressed_meanwhile_is_entered(held):
    board = held("import time\ntime.sleep_ms(500)\n" + DEAF)

    def press(text: str) -> None:
        assert "Press its reset button now" in text
        board.cut_power()

    with board_at(str(board.link), 115_200, 2, tell=press) as port:
        assert port.run("print(6 * 7)") == "42\n"


def test_port_that_is_silent_is_said_to_be_so(dead_port):
    link, _ = dead_port
    with pytest.raises(SluiceError, match="is silent"), board_at(str(link), answer_s=0.3):
        pytest.fail("entered")


def test_port_that_talks_nonsense_is_not_micropython(dead_port):
    link, far = dead_port
    raises = pytest.raises(SluiceError, match="not as MicroPython's REPL does")
    with raises, talking(far), board_at(str(link), answer_s=0.5):
        pytest.fail("entered")
