"""What `--wait` says at a terminal and to a program: whole lines, of what has changed."""

from collections import Counter

import pytest

from sluice.fleet.news import SHOWN, News, tenth
from sluice.fleet.shown import STEP, going
from sluice.fleet.status import Execution, counted


class Job:
    """Its things, and what is said of them."""

    def __init__(self, each: bool = True) -> None:
        self._news, self._things = News(each), {}

    def stand(self, thing: str, status: str, number: int = 1, **details: str) -> None:
        self._things[thing] = Execution("job", thing, number, status, details)

    def said(self, trouble: str = "", last: bool = False) -> list[str]:
        counts = counted(Counter(one.status for one in self._things.values())) or "nobody"
        return [line for line, _ in self._news.lines(counts, self._things, trouble, last)]


def test_thing_has_a_line_for_each_change_and_for_each_tenth_of_a_download():
    job = Job()
    assert job.said() == ["nobody"]
    job.stand("pump", "QUEUED")
    assert job.said() == ["pump: QUEUED"] and job.said() == []
    for blocks in range(101):
        job.stand("pump", "IN_PROGRESS", step="downloading", receive=f"{blocks}/100")
        expected = [f"pump: IN_PROGRESS, downloading, {blocks}/100 blocks"]
        assert job.said() == ([] if blocks % 10 else expected)
    job.stand("pump", "IN_PROGRESS", self_test="ready", receive="100/100")
    assert job.said() == ["pump: IN_PROGRESS, ready, 100/100 blocks"]
    job.stand("pump", "SUCCEEDED", reason="accepted v")
    job.stand("lamp", "FAILED", reason="no room")
    assert job.said() == ["lamp: FAILED: no room", "pump: SUCCEEDED accepted, version unknown"]


def test_bytes_of_a_smaller_form_and_a_second_try_are_said():
    job = Job()
    job.stand("pump", "IN_PROGRESS", receive="1/3", form="1200/5000")
    job.stand("lamp", "QUEUED", number=2)
    assert job.said() == [
        "lamp, try 2: QUEUED",
        "pump: IN_PROGRESS, 1/3 blocks, 1,200 of 5,000 bytes",
    ]


def test_thing_that_is_alone_gets_no_line_of_its_end():
    job = Job()
    job.stand("pump", "FAILED", reason="first")
    assert job.said() == ["pump: FAILED: first"], "it is tried again"
    job.stand("pump", "SUCCEEDED", number=2, reason="accepted v1")
    assert job.said(last=True) == []


def test_trouble_is_said_once_and_hides_no_change():
    job = Job()
    job.stand("pump", "QUEUED")
    assert job.said(trouble="no net") == ["no net"]
    assert job.said(trouble="no net") == []
    assert job.said() == ["pump: QUEUED"]
    assert job.said(trouble="no net") == ["no net"]


def test_many_things_are_counted():
    job = Job()
    for number in range(SHOWN + 1):
        job.stand(f"thing-{number}", "QUEUED")
    assert job.said() == [f"{SHOWN + 1} QUEUED"]
    job.stand("thing-0", "FAILED")
    assert job.said() == [f"1 FAILED, {SHOWN} QUEUED"] and job.said() == []


def test_program_gets_the_counts_alone():
    job = Job(each=False)
    job.stand("pump", "QUEUED")
    job.stand("lamp", "QUEUED")
    assert job.said() == ["2 QUEUED"]
    job.stand("pump", "SUCCEEDED", reason="accepted v1")
    assert job.said(last=True) == ["1 SUCCEEDED, 1 QUEUED"]


MAD = "/".join(2 * ["1" * 5_000])


@pytest.mark.parametrize("receive", ["", "3", "a/b", "1/0", "-1/3", "²/3", "9/3", MAD])
def test_progress_that_is_none_counts_for_nothing_and_is_not_shown(receive):
    assert tenth({"receive": receive}) == 0
    one = Execution("job", "pump", 1, "IN_PROGRESS", {"receive": receive, "form": receive})
    assert going(one) == ""


def test_step_of_any_length_is_shown_in_part_and_without_control_characters():
    one = Execution("job", "pump", 1, "IN_PROGRESS", {"step": "\x1b" + "x" * 9_999})
    assert going(one) == ", ?" + "x" * (STEP - 1)
