"""The host's reader of containers takes what keeps the rules, and refuses all else."""

import time
from random import Random

import pytest
from containers import SOURCE, built, container

from sluice.errors import SluiceError
from sluice.image.smaller import applied

INPUTS = 1_500  # 100,000 were tried once
SLOW_S = 2  # of the processor's time, for one input, at most


def read(data: bytes) -> bytes | None:
    """The image; None where the container is refused."""
    begin = time.process_time()
    try:
        return applied(data, SOURCE)
    except SluiceError:
        return None
    finally:
        assert time.process_time() - begin < SLOW_S


@pytest.mark.parametrize("seed", range(3))
def test_container_is_taken_where_it_keeps_the_rules_and_there_only(seed: int):
    chance, taken = Random(seed), 0
    for _ in range(INPUTS // 3):
        data, image, *_ = built(chance)
        found = read(data)
        taken += found is not None
        assert found == image, data.hex()
    assert INPUTS // 15 < taken < INPUTS // 3


def test_container_of_any_kind_is_refused_or_makes_what_it_says():
    chance, taken = Random(9), 0
    for _ in range(INPUTS):
        taken += read(container(chance)) is not None
    assert INPUTS // 10 < taken < INPUTS
