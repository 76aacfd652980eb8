"""Sessions at a simulated board's REPL, with the code that `sluice flash` sends there."""

import time
from collections.abc import Callable
from pathlib import Path

from patience import FUSE_S

from sluice.board_port import BoardPort, connect
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.flash import on_board
from sluice.transport import Transport


def wipe(port: BoardPort) -> None:
    """Remove every file and folder that was put there; what MicroPython has mounted stays."""
    port.run(
        "def wipe(at):\n"
        "    for name, kind, *_ in list(os.ilistdir(at or '/')):\n"
        "        path = at + '/' + name\n"
        "        if kind == 0x8000:\n"
        "            os.remove(path)\n"
        "        elif path not in ('/rom', '/shims'):\n"
        "            wipe(path)\n"
        "            os.rmdir(path)\n"
        "wipe('')\n"
    )


def _patiently(board: Board) -> Transport:
    """Open the port. A board that this same process simulates has it open for a moment while
    MicroPython is started anew."""
    limit = time.monotonic() + FUSE_S
    while True:
        assert board.alive, board.lines[-8:]
        try:
            return connect(str(board.link))
        except SluiceError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.05)


class Session:
    """At the REPL, as `sluice flash` opens it. Leaving leaves the board there, which is quicker
    than restarting it."""

    def __init__(self, board: Board):
        self._board = board

    def __enter__(self) -> BoardPort:
        self._port = BoardPort(_patiently(self._board))
        self._port.enter()
        self._port.run(Path(on_board.__file__).read_text())
        return self._port

    def __exit__(self, *error: object) -> None:
        self._port.close()


class Interrupted(Exception):
    """The cable is pulled."""


def interrupt(port: BoardPort, after: int) -> Callable[[], int]:
    """Have the port fail at a call; returns how many there were."""
    count = 0

    def counted(call: Callable) -> Callable:
        def wrapped(*words, **options):
            nonlocal count
            count += 1
            if count > after:
                raise Interrupted
            return call(*words, **options)

        return wrapped

    for name in ("run", "put"):
        setattr(port, name, counted(getattr(port, name)))
    return lambda: count
