"""The small form of `make qualify`: every case of AWS's Device Advisor but the slow ones."""

import pytest
from advisor import CASES, Case, NotApplicable, Rig, Warns

QUICK = [one for one in CASES if not one.slow]


@pytest.mark.parametrize("one", QUICK, ids=lambda one: one.run.__name__)
def test_device_passes(one: Case, tmp_path, release):
    try:
        assert one.run(Rig(tmp_path))
    except Warns as seen:
        assert str(seen)
    except NotApplicable as why:
        assert str(why)


def test_each_case_has_an_id_or_says_that_it_is_not_of_aws():
    for one in CASES:
        assert one.id != "-" or one.name.endswith("(not AWS's)"), one


def test_a_device_that_hammers_or_waits_alike_is_found():
    from advisor import judged

    for waits in ([0.1, 0.2, 0.3, 0.1, 0.2], [1.5] * 5, [1.2, 2.0, 90.0, 3.0, 4.0]):
        with pytest.raises(AssertionError):
            judged(waits)
    assert judged([1.2, 2.9, 1.5, 6.0, 12.0])
