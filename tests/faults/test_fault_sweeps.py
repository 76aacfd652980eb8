"""The small form of `make faults`: each kind of fault, met by each job, at some of its places."""

import pytest
from fault_sweeps import KINDS, Outcome, build, sweeps, swept

STEPS = {  # of so many faults one is taken
    "awaits": 23, "transport": 53, "requests": 23, "blocks": 5, "pages": 3, "flash": 3, "disk": 17,
    "full": 7, "heap": 601,
}  # fmt: skip


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    return build(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_fails_the_job_ends_with_the_truth_and_the_board_goes_on(compiled, kind, release):
    [(_, outcome)] = sweeps(compiled, [kind], STEPS[kind])
    assert not outcome.losses, "\n".join(outcome.losses[:3])
    assert outcome.cases >= len(KINDS[kind][1])
    assert outcome.succeeded or kind == "flash"  # a sector that cannot be written fails a job


@pytest.mark.differs
@pytest.mark.parametrize("kind", ["disk", "full"])
def test_file_system_of_each_release_that_fails_or_is_full_leaves_the_truth(
    compiled, kind, release
):
    [(_, outcome)] = sweeps(compiled, [kind], 4 * STEPS[kind])
    assert not outcome.losses, "\n".join(outcome.losses[:3])
    assert outcome.cases


def test_sweep_is_able_to_find_a_loss(compiled, release):
    outcome: Outcome = swept(compiled, "lies", "image, JSON", 0, 1, "amd64")
    assert outcome.cases == 2 and len(outcome.losses) == 2
    assert "SUCCEEDED, but the old image runs" in outcome.losses[0]
    assert "stands" in outcome.losses[1]
