"""Boards to test with: a thing, a factory image of the test's own modules, and a clean end."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluice.device.supervisor import Board
from sluice.image import make_image

BoardMaker = Callable[..., Board]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with the thing "lamp"."""
    thing = tmp_path / "things" / "lamp"
    thing.mkdir(parents=True)
    (thing / "config.json").write_text(json.dumps({"thing": "lamp"}))
    (thing / "certificate.pem.crt").write_text("a certificate\n")
    return tmp_path


@pytest.fixture
def new_board(state: Path, release: str) -> Iterator[BoardMaker]:
    """Makes boards whose factory image runs `main`; all are switched off at the end."""
    made: list[Board] = []

    def make(
        main: str | None = "", modules: dict | None = None, size: int | None = None, **options
    ):
        if "factory" not in options:
            content = ({} if main is None else {"main.py": main}) | (modules or {})
            options["factory"] = make_image("1.0.0", size, modules=content)
        made.append(Board(state, "lamp", **options))
        return made[-1]

    yield make
    for board in made:
        board.stop()
