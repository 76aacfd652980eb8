"""What `--wait` says at a terminal and to a program: whole lines, of what has changed."""

import pytest

from sluice.fleet.news import News, tenth
from sluice.fleet.status import Execution
from sluice.fleet.watch import SHOWN, Watch


@pytest.fixture
def watch() -> Watch:
    """A job for two things, without a cloud."""
    return Watch(None, "job", ("pump", "lamp"))


def stand(watch: Watch, thing: str, status: str, number: int = 1, **details: str) -> None:
    watch.devices[thing] = Execution("job", thing, number, status, details)


def said(news: News, over: bool = False, trouble: str = "") -> list[str]:
    return [line for line, _ in news.lines(over, trouble)]


def test_thing_has_a_line_for_each_change_and_for_each_tenth_of_a_download(watch):
    news = News(watch, each=True)
    assert said(news) == ["job: no thing notified yet"]
    stand(watch, "pump", "QUEUED")
    assert said(news) == ["pump: QUEUED"] and said(news) == []
    for blocks in range(101):
        stand(watch, "pump", "IN_PROGRESS", step="downloading", receive=f"{blocks}/100")
        expected = [f"pump: IN_PROGRESS, downloading, {blocks}/100 blocks"]
        assert said(news) == ([] if blocks % 10 else expected)
    stand(watch, "pump", "IN_PROGRESS", self_test="ready", receive="100/100")
    assert said(news) == ["pump: IN_PROGRESS, ready, 100/100 blocks"]
    stand(watch, "pump", "SUCCEEDED", reason="accepted v")
    stand(watch, "lamp", "FAILED", reason="no room")
    assert said(news) == ["lamp: FAILED: no room", "pump: SUCCEEDED accepted, version unknown"]


def test_bytes_of_a_smaller_form_and_a_second_try_are_said(watch):
    news = News(watch, each=True)
    stand(watch, "pump", "IN_PROGRESS", receive="1/3", form="1200/5000")
    stand(watch, "lamp", "QUEUED", number=2)
    assert said(news) == [
        "lamp, try 2: QUEUED",
        "pump: IN_PROGRESS, 1/3 blocks, 1,200 of 5,000 bytes",
    ]


def test_thing_that_is_alone_gets_no_line_of_its_end():
    watch = Watch(None, "job", ("pump",))
    news = News(watch, each=True)
    stand(watch, "pump", "FAILED", reason="first")
    assert said(news) == ["pump: FAILED: first"], "it is tried again"
    stand(watch, "pump", "SUCCEEDED", number=2, reason="accepted v1")
    assert said(news, over=True) == []


def test_trouble_is_said_once_and_hides_no_change(watch):
    news = News(watch, each=True)
    stand(watch, "pump", "QUEUED")
    assert said(news, trouble="no net") == ["no net"]
    assert said(news, trouble="no net") == []
    assert said(news) == ["pump: QUEUED"]
    assert said(news, trouble="no net") == ["no net"]


def test_many_things_are_counted(watch):
    news = News(watch, each=True)
    for number in range(SHOWN + 1):
        stand(watch, f"thing-{number}", "QUEUED")
    assert said(news) == [f"job: {SHOWN + 1} QUEUED"]
    stand(watch, "thing-0", "FAILED")
    assert said(news) == [f"job: 1 FAILED, {SHOWN} QUEUED"] and said(news) == []


def test_program_gets_the_counts_alone(watch):
    news = News(watch, each=False)
    stand(watch, "pump", "QUEUED")
    stand(watch, "lamp", "QUEUED")
    assert said(news) == ["job: 2 QUEUED"]
    stand(watch, "pump", "SUCCEEDED", reason="accepted v1")
    assert said(news, over=True) == ["job: 1 SUCCEEDED, 1 QUEUED"]


@pytest.mark.parametrize("receive", ["", "3", "a/b", "1/0", "-1/3", "²/3"])
def test_progress_that_is_none_counts_for_nothing(receive):
    assert tenth(receive) == 0
