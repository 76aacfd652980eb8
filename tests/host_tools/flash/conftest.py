"""A blank simulated board at a serial port, which several tests may share."""

from collections.abc import Callable, Iterator

import pytest
from sessions import Session, wipe

from sluice.board_port import BoardPort
from sluice.device.supervisor import Board


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory, release: str) -> Iterator[Board]:
    """Switched on, with MicroPython alone on it."""
    folder = tmp_path_factory.mktemp("blank")
    board = Board(folder / "state", "lamp", link=folder / "port", blank=True).start()
    board.wait_for("simulated ESP32")
    yield board
    board.stop()


@pytest.fixture
def rested(blank: Board) -> Iterator[Board]:
    """The same, with no file on it, for commands that open the port themselves."""
    with Session(blank) as port:
        wipe(port)
    yield blank


@pytest.fixture
def session(blank: Board) -> Iterator[BoardPort]:
    """At its REPL, with our code loaded and no file on it."""
    with Session(blank) as port:
        wipe(port)
        yield port


@pytest.fixture
def again(blank: Board) -> Callable[[], Session]:
    """Opens another session, after the one before was closed; no file is there at first."""
    with Session(blank) as port:
        wipe(port)
    return lambda: Session(blank)
