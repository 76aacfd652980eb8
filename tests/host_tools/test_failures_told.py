"""The last failures that a board told, in words: the newest first."""

import pytest

from sluice.fleet.failures import Failure, newest_first

AT = 1_795_846_202.0  # 2026-11-28 06:10:02 UTC


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("AFR_OTA-a 1 failed bad signature", "job AFR_OTA-a failed: bad signature"),
        ("b 3 rejected unknown job document", "job b, try 3, was refused: unknown job document"),
        ("b 1 failed None", "job b failed"),
        ("b 1 failed", "job b failed"),
        (
            "b 1 succeeded accepted v2; but the cloud had ended the job: TIMED_OUT",
            "job b was done: accepted v2; but the cloud had ended the job: TIMED_OUT",
        ),
        ("stopped ValueError('x')", "the board stopped: ValueError('x')"),
        ("cannot start: config endpoint", "the agent cannot start: config endpoint"),
        (
            "application failed did not start, times 3",
            "the application failed: did not start, times 3",
        ),
        ("", ""),
    ],
)
def test_line_of_a_board_becomes_words_and_a_time(line, found):
    assert newest_first([f"2026-11-28 06:10:02 UTC: {line}"]) == [Failure(AT, found)]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("2000-01-01 00:00:09 UTC: a 1 failed no room", "job a failed: no room"),
        ("2026-02-30 00:00:09 UTC: a 1 failed no room", "job a failed: no room"),
        ("no room", "no room"),
    ],
)
def test_time_that_a_board_did_not_know_is_not_told(line, text):
    assert newest_first([line]) == [Failure(None, text)]


def test_newest_failure_comes_first():
    lines = ["2026-11-28 06:10:02 UTC: old", "2026-11-29 06:10:02 UTC: new"]
    assert [one.text for one in newest_first(lines)] == ["new", "old"]
