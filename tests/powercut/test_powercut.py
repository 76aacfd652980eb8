"""The power fails at flash operations across a whole update: download, journal, otadata, trial.

The operations are those that an undisturbed update was seen to take, from power-on to its verdict.
Of them some are cut at, a different part of each: erases, programs, and halves of both.
SLUICE_POWERCUTS=all cuts at each operation and each part, which takes half an hour: to be run by
hand after a change to the journal, the slots, the files or the states.
"""

import os

import pytest
from sweep import PARTS, judge, ran

ALL = os.environ.get("SLUICE_POWERCUTS") == "all"
SHARES = 8  # tests that the operations are dealt out to, so that several can run at once
STRIDE = {False: 2, True: 4}  # by whether there was an update before: each second, or fourth

pytestmark = pytest.mark.timeout(7200 if ALL else 1800)


@pytest.mark.parametrize("share", range(SHARES))
@pytest.mark.parametrize("updated", [False, True], ids=["new", "updated"])
def test_power_cut_at_an_operation_boots_a_good_image_and_tells_the_truth_once(
    cloud, undisturbed, tmp_path, updated, share
):
    stride = 1 if ALL else STRIDE[updated]
    dealt = range(1 + share * stride, undisturbed[updated] + 1, SHARES * stride)
    cuts = [(at, part) for at in dealt for part in (PARTS if ALL else (PARTS[at // stride % 4],))]
    missed = []
    for at, part in cuts:
        with ran(cloud, tmp_path, at, part, updated) as run:
            missed += [] if run.was_cut else [at]
            try:
                judge(run)
            except AssertionError as error:
                raise AssertionError(f"cut at {at}, {part}:\n{run.scene.tail}") from error
    assert all(at > 0.8 * undisturbed[updated] for at in missed)


def test_undisturbed_update_takes_as_many_operations_each_time(cloud, undisturbed, tmp_path):
    with ran(cloud, tmp_path) as run:
        assert abs(run.operations - undisturbed[False]) <= 4
