"""A blank simulated board at a serial port, which several tests may share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from host_tools.board_port import BoardPort, connect
from host_tools.device.supervisor import Board
from host_tools.flash import on_board


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """Switched on, with MicroPython alone on it."""
    folder = tmp_path_factory.mktemp("blank")
    board = Board(folder / "state", "lamp", link=folder / "port", blank=True).start()
    board.wait_for("simulated ESP32")
    yield board
    board.stop()


@pytest.fixture
def session(blank: Board) -> Iterator[BoardPort]:
    """At its REPL, with our code loaded and no file on it."""
    with opened(blank) as port:
        wipe(port)
        yield port


def wipe(port: BoardPort) -> None:
    """Remove every file that was put there; what MicroPython has mounted stays."""
    port.run(
        "for at in ('/', '/lib', '/lib/ota'):\n"
        "    try:\n"
        "        remove([at + '/' + row[0] for row in os.ilistdir(at) if row[1] == 0x8000])\n"
        "    except OSError:\n"
        "        pass\n"
    )


def opened(board: Board):
    """A session of its own, as `sluice flash` opens one."""
    return _Session(board.link)


class _Session:
    """At the REPL; leaving leaves the board there, which is quicker than restarting it."""

    def __init__(self, link: Path):
        self._link = link

    def __enter__(self) -> BoardPort:
        self._port = BoardPort(connect(str(self._link)))
        self._port.enter()
        self._port.run(Path(on_board.__file__).read_text())
        return self._port

    def __exit__(self, *error: object) -> None:
        self._port.close()


@pytest.fixture
def again(blank: Board) -> Callable[[], _Session]:
    """Opens another session, after the one before was closed; no file is there at first."""
    with opened(blank) as port:
        wipe(port)
    return lambda: opened(blank)
