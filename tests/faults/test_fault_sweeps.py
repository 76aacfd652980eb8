"""The small form of `make faults`: each kind of fault, met by each job, at some of its places."""

import pytest
from fault_sweeps import KINDS, Outcome, build, sweeps, swept

STEPS = {  # of so many faults one is taken
    "awaits": 19, "transport": 31, "requests": 17, "blocks": 5, "pages": 3, "flash": 3, "disk": 13,
    "full": 7, "heap": 397,
}  # fmt: skip


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    return build(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_fails_the_job_ends_with_the_truth_and_the_board_goes_on(compiled, kind):
    [(_, outcome)] = sweeps(compiled, [kind], STEPS[kind])
    assert not outcome.losses, "\n".join(outcome.losses[:3])
    assert outcome.cases >= len(KINDS[kind][1])
    assert outcome.succeeded or kind == "flash"  # a sector that cannot be written fails a job


def test_sweep_is_able_to_find_a_loss(compiled):
    outcome: Outcome = swept(compiled, "lies", "image, JSON", 0, 1, "amd64")
    assert outcome.cases == 2 and len(outcome.losses) == 2
    assert "SUCCEEDED, but the old image runs" in outcome.losses[0]
    assert "stands" in outcome.losses[1]
