"""What firmware/DESIGN.md promises of the time between two awaits, in instructions."""

import pytest

from bench import blocking, callgrind
from host_tools.compile import FIRMWARE

counting = pytest.mark.skipif(not callgrind.available(), reason=callgrind.MISSING)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The device code and what the stretches work on."""
    made = tmp_path_factory.mktemp("blocking")
    blocking.prepare(made)
    return made


@counting
@pytest.mark.parametrize("name", blocking.STRETCHES)
def test_stretch_between_two_awaits_keeps_within_its_instructions(folder, name):
    assert 1_000 < blocking.instructions(folder, name) <= blocking.LIMIT


@counting
@pytest.mark.parametrize(("form", "block", "limit"), blocking.TURNS)
def test_turn_of_the_link_keeps_within_its_instructions(folder, form, block, limit):
    assert 1_000_000 < blocking.turn(folder, block, form) <= limit


def test_limit_is_the_one_that_is_promised():
    said = " ".join((FIRMWARE / "DESIGN.md").read_text().split())
    assert f"executes {blocking.LIMIT // 1_000_000} million instructions at most." in said
    small = f"It is {blocking.LIMIT_CBOR_256 // 1_000_000} where blocks of 256 bytes come in CBOR."
    assert small in said
