"""Asks a board about several paths at once, by the functions of on_board.py."""

import hashlib
from typing import Any

from sluice.board_port import BoardPort
from sluice.errors import SluiceError

AT_ONCE = 12  # paths in one question to the board


def present(board: BoardPort, paths: list[str]) -> list[str]:
    """Those of the paths that the board has."""
    found = set()
    for at in range(0, len(paths), AT_ONCE):
        some = paths[at : at + AT_ONCE]
        found |= set(board.value(f"present({some!r})")) & set(some)
    return [path for path in paths if path in found]


def digests(board: BoardPort, paths: list[str]) -> dict[str, str]:
    """{path: SHA-256 in hex, "" where there is no such file}, computed by the board."""
    return asked(board, "digests", paths)


def asked(board: BoardPort, what: str, paths: list[str]) -> dict[str, Any]:
    """{path: what the board answers of it}."""
    found = {}
    for at in range(0, len(paths), AT_ONCE):
        some = paths[at : at + AT_ONCE]
        answers = board.value(f"{what}({some!r})")
        if not isinstance(answers, list) or len(answers) != len(some):
            raise SluiceError("the board does not answer what it was asked")
        found |= dict(zip(some, answers, strict=True))
    return found


def each(board: BoardPort, action: str, paths: list[str]) -> None:
    """Have the board do something to each."""
    for at in range(0, len(paths), AT_ONCE):
        board.run(f"{action}({paths[at : at + AT_ONCE]!r})")


def sha256(content: bytes) -> str:
    """In hex, as the board has it."""
    return hashlib.sha256(content).hexdigest()
