"""Boards: the folders of boards/, by name, and the user's own, by path; what board.json says."""

import json
import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from sluice.errors import SluiceError
from sluice.places import BOARDS

FACTS_MAX = 65_536  # bytes of a board.json


def names(where: Path = BOARDS) -> list[str]:
    """The boards that there are in a folder."""
    return sorted(file.parent.name for file in where.glob("*/board.json"))


def folder(board: str) -> Path:
    """The board's folder; SluiceError tells where it was looked for, and what there is."""
    own = is_path(board)
    found = Path(board) if own else BOARDS / board
    if found.is_dir() and (found / "board.json").is_file():
        return found
    here = found.absolute().parent if own else Path.cwd()
    there = {name: f"{here}{os.sep}{name}" for name in names(here)} | {n: n for n in names()}
    looked = f"{BOARDS} ({_listed(names())})"
    if own:
        looked = f"{here} ({_listed(names(here))}) and in {looked}"
    likely = get_close_matches(Path(board).name, there, 1)
    meant = f"; did you mean {there[likely[0]]}?" if likely else ""
    raise SluiceError(f"no board {board!r}; looked in {looked}{meant}")


def is_path(board: str) -> bool:
    """Whether it is no name, but the path of a folder."""
    return os.sep in board or board in (os.curdir, os.pardir)


def _listed(found: Iterable[str]) -> str:
    return ", ".join(found) or "no boards"


def name(board: str) -> str:
    """What a bundle and a shadow call it: the name of its folder."""
    return folder(board).resolve().name if is_path(board) else board


def facts(board: str) -> dict:
    """Its board.json, which has the words of MicroPython's own."""
    file = folder(board) / "board.json"
    if file.stat().st_size > FACTS_MAX:
        raise SluiceError(f"{file} has more than {FACTS_MAX:,} bytes")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SluiceError(f"{file} is not JSON: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("mcu"), str):
        raise SluiceError(f"{file} does not say the chip, as its mcu")
    return found


def chip(board: str) -> str:
    """What its images are made for: esp32, esp32s3, esp32c3, w800."""
    return facts(board)["mcu"]
