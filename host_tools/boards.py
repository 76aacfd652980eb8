"""The folders of boards/: what a board's board.json says of it."""

import json
from pathlib import Path

from sluice.errors import SluiceError
from sluice.places import BOARDS


def names() -> list[str]:
    """The boards that there are."""
    return sorted(file.parent.name for file in BOARDS.glob("*/board.json"))


def folder(name: str) -> Path:
    """The board's folder; SluiceError names those there are."""
    known = names()
    if name not in known:
        raise SluiceError(f"no board {name!r} in boards/; there are {', '.join(known)}")
    return BOARDS / name


def facts(name: str) -> dict:
    """Its board.json, which has the words of MicroPython's own."""
    return json.loads((folder(name) / "board.json").read_text())


def chip(name: str) -> str:
    """What its images are made for: esp32, esp32s3, esp32c3, w800."""
    return facts(name)["mcu"]
