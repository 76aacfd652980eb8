"""What firmware/DESIGN.md promises of the time between two awaits, in instructions."""

import pytest

from bench import blocking, callgrind, numbers
from sluice.compile import FIRMWARE

NEAR = 0.05  # by which a number may differ from what results.json says
COLLECTION = 1_000_000  # instructions of one: the longest stretch has one in it, or not
COUNTED = [case for case in blocking.DOWNLOADS if case[0] in (256, 4_096)]
# The others take long: of them results.json alone is judged.
COUNTED = [case for case in COUNTED if case[1] in ("json", "cbor", "http")]
counting = pytest.mark.skipif(not callgrind.available(), reason=callgrind.MISSING)
STATED = {n.row: n for n in numbers.load() if n.table == "blocking"}


@pytest.fixture(scope="module")
def folder(measured, tmp_path_factory):
    """The device code and what the stretches work on."""
    made = tmp_path_factory.mktemp("blocking")
    blocking.prepare(made)
    return made


@counting
@pytest.mark.parametrize("name", blocking.STRETCHES)
def test_stretch_between_two_awaits_keeps_within_its_instructions(folder, name):
    counted = blocking.instructions(folder, name)
    assert 1_000 < counted <= blocking.LIMIT
    if STATED[name].repeatable:
        wanted = pytest.approx(STATED[name].value, rel=NEAR)
        assert counted == wanted, "run: python -m bench blocking"


@counting
@pytest.mark.parametrize("case", COUNTED, ids=blocking.named)
def test_longest_stretch_of_a_download_keeps_within_its_instructions(folder, case):
    counted = blocking.download(folder, case)
    stated = STATED[blocking.named(case)].value
    assert 50_000 < counted <= blocking.LIMIT
    assert abs(counted - stated) <= NEAR * stated + COLLECTION, "run: python -m bench blocking"


def test_results_have_every_stretch_and_none_is_longer_than_promised():
    wanted = {blocking.named(case) for case in blocking.DOWNLOADS} | blocking.STRETCHES.keys()
    assert STATED.keys() == wanted
    assert max(number.value for number in STATED.values()) <= blocking.LIMIT


def test_limit_is_the_one_that_is_promised():
    said = f"{blocking.LIMIT // 1_000_000} million instructions at most"
    assert said in " ".join((FIRMWARE / "DESIGN.md").read_text().split())
