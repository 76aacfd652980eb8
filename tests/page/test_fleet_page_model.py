"""What the page makes of how the fleet stands: what is filled, curves, bounds, and what is new."""

import asyncio
import json
import re
from dataclasses import replace

import pytest
from page_scene import NOW, Scene, execution

from sluice.errors import SluiceError
from sluice.fleet.status import FleetStatus, JobStatus, Progress, ThingStatus, progress
from sluice.page import history, shapes
from sluice.page.live import Live, Looking
from sluice.page.picture import Picture, Piece, Viewer
from sluice.page.sectors import Filling, filling, step, written

IMAGE = Filling("image", 1_468_006)


def going(**details: str):
    return execution("pump", "job", "IN_PROGRESS", 0, **details)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("212/359", Progress(212, 359)),
        ("0/1", Progress(0, 1)),
        ("", None),
        ("212", None),
        ("1/0", None),
        ("9/8", None),
        ("-1/8", None),
        ("²/8", None),
        ("1/99999999999", None),
        ("999999/1", None),
        ("1" * 1_000 + "/" + "1" * 1_000, None),
    ],
)
def test_progress_is_what_a_board_says_if_it_makes_sense(told, found):
    assert progress({"receive": told}) == found


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"afr_ota": {"files": [{"filesize": 9}]}}, Filling("image", 9)),
        ({"afr_ota": {"files": [{"filesize": 9, "fileType": 200}]}}, Filling("application", 9)),
        ({"afr_ota": {"files": [{"filesize": 9, "fileType": 201}]}}, Filling("agent", 9)),
        ({"afr_ota": {"files": [{"filesize": 9, "fileType": 1}]}}, Filling("files", 9)),
        ({"location": {"host": "x"}, "size": 9}, Filling("image", 9)),
        ({"operation": "update", "kind": "app", "size": 9}, Filling("application", 9)),
        ({"operation": "download", "size": "9"}, Filling("files", None)),
        ({"operation": "reboot"}, None),
        ({"afr_ota": {"files": [{"filesize": True}]}}, Filling("image", None)),
        ({"afr_ota": {"files": [{"filesize": 1 << 40, "fileType": []}]}}, Filling("files", None)),
        ({"afr_ota": {"files": "x"}}, None),
        ({"afr_ota": 1}, None),
        (None, None),
    ],
)
def test_document_says_what_is_filled(document, found):
    assert filling(document) == found


@pytest.mark.parametrize(
    ("one", "known", "brought", "shown"),
    [
        (going(receive="212/359"), None, IMAGE, ("sectors", 212, 359)),
        (going(receive="3/5735"), None, IMAGE, ("sectors", 0, 359)),  # blocks of 256 bytes
        (going(receive="7/15"), None, IMAGE, ("sectors", 167, 359)),  # blocks of 98,304 bytes
        (going(), Progress(212, 359), IMAGE, ("sectors", 212, 359)),
        (going(self_test="ready"), None, IMAGE, ("sectors", 359, 359)),
        (going(receive="2/3"), None, Filling("application", 700), ("blocks", 2, 3)),
        (going(), None, Filling("application", 700), ("blocks", 0, 0)),
        (execution("a", "b", "FAILED", 0), Progress(5, 10), IMAGE, ("sectors", 179, 359)),
        (execution("a", "b", "FAILED", 0), None, IMAGE, ("sectors", 0, 0)),
        (execution("a", "b", "SUCCEEDED", 0), None, IMAGE, ("sectors", 359, 359)),
    ],
)
def test_sectors_are_counted_by_blocks_of_any_size(one, known, brought, shown):
    found = written(one, known, brought)
    assert (found["unit"], found["done"], found["total"]) == shown


def test_steps_are_told_by_what_the_board_reported_last():
    details = ({}, {"step": "downloading"}, {"self_test": "ready"}, {"self_test": "active"})
    found = [step(going(**one)) for one in details]
    assert found == ["accepted", "downloading", "applying", "trying"]
    assert step(execution("a", "b", "QUEUED", 0)) == "QUEUED"


def test_speed_is_by_the_boards_own_times_and_a_new_job_begins_anew():
    kept, thing = history.History(), ThingStatus("pump")
    for at, told in ((0, "0/100"), (5, "10/100"), (5, "10/100"), (15, "40/100")):
        one = replace(going(receive=told), changed_at=NOW + at)
        course = kept.note(replace(thing, job=one), NOW + 99)
    assert [share for _, share in course.speed] == [pytest.approx(0.02), pytest.approx(0.03)]
    other = replace(going(receive="50/100"), job="other", changed_at=NOW + 20)
    assert len(kept.note(replace(thing, job=other), NOW + 99).speed) == 2


def test_heap_is_noted_when_it_is_another_and_never_backwards():
    kept, thing = history.History(), ThingStatus("pump")
    for at, free in ((1, 100), (2, 100), (3, 90), (2, 80), (4, None)):
        course = kept.note(replace(thing, told_at=NOW + at, free=free), NOW)
    assert [free for _, free in course.heap] == [100, 90]


def test_history_is_bounded():
    kept = history.History()
    for n in range(history.THINGS + 5):
        kept.note(ThingStatus(f"thing-{n}", told_at=NOW, free=n), NOW)
    assert not kept.of("thing-4").heap and kept.of("thing-5").heap
    for n in range(history.POINTS + 5):
        course = kept.note(ThingStatus("thing-9", told_at=NOW + 1 + n, free=n), NOW)
    assert len(course.heap) == history.POINTS


def test_what_is_shown_is_bounded_and_trouble_comes_first():
    things = [ThingStatus(f"t{n:05}") for n in range(3 * shapes.THINGS)]
    things[-1] = replace(things[-1], job=execution("t", "j", "FAILED", 0, reason="x" * 9_999))
    fleet = FleetStatus(tuple(things), notes=tuple("note" for _ in range(99)))
    assert things[-1] in shapes.shown(fleet)
    told = shapes.index(fleet, [JobStatus(f"j{n}", "x", {}) for n in range(99)], "state lab")
    assert len(told["things"]) == shapes.THINGS and len(told["jobs"]) == shapes.JOBS
    assert told["notes"][-1] == "1,000 of 3,000 things are shown."
    large = "x" * 1_000_000
    full = ThingStatus(
        "pump",
        board=large,
        log=(large,) * 999,
        failures=(large,) * 999,
        groups=(large,) * 999,
        settings={large + str(n): large for n in range(99)},
    )
    assert len(json.dumps(shapes.thing_details(full, history.Course(), None))) < 65_536


def test_viewer_gets_what_is_new_to_it_and_details_of_its_own_alone():
    picture, first, second = Picture(), Viewer(), Viewer(("thing", "a"))
    pieces = [Piece("thing", "a", {"x": 1}), Piece("thing-details", "a", {"y": 1})]
    assert picture.paint(pieces)
    assert picture.news(first) == 'event: thing\ndata: {"x":1}\n\n'
    assert picture.news(second).count("event:") == 2
    assert not picture.paint(pieces) and not picture.news(first) and not picture.news(second)
    picture.paint([pieces[0], Piece("thing-details", "a", {"y": 2})])
    assert not picture.news(first)
    assert picture.news(second) == 'event: thing-details\ndata: {"y":2}\n\n'


def test_line_break_in_what_a_board_says_begins_no_event():
    picture = Picture()
    picture.paint([Piece("thing", "a", {"x": "1\n\nevent: index\ndata: {}\r\u2028"})])
    assert picture.news(Viewer()).count("\n") == 3


def test_pictures_of_the_page_are_in_its_document_and_small(root):
    page = (root / "docs/fleet.md").read_text()
    files = list((root / "docs/pictures").glob("*.webp"))
    assert len(files) == 8 and all(file.stat().st_size < 150_000 for file in files)
    for name in re.findall(r"pictures/([\w.-]+)", page):
        assert root / "docs/pictures" / name in files


class Counting(Scene):
    """A fleet that counts who reads it."""

    reads = 0

    def fleet(self):
        self.reads += 1
        return super().fleet()


async def enough(stream, count: int) -> str:
    """So many pieces of a stream."""
    return "".join([await anext(stream) for _ in range(count)])


def test_fleet_is_read_only_while_somebody_looks():
    async def story() -> None:
        scene = Counting()
        live = Live(lambda: Looking(scene, "lab", 1.0))
        await asyncio.sleep(0)
        assert scene.reads == 0
        one, other = live.watch(None), live.watch(("thing", "loft"))
        assert "event: index" in await enough(one, 2)
        assert '"thing-details"' not in await enough(other, 2)
        for stream in (one, other):
            await stream.aclose()
        await live._task  # it ends by itself
        seen = scene.reads
        again = live.watch(None)
        assert "event: index" in await enough(again, 2)
        assert scene.reads == seen + 1
        await again.aclose()
        await live._task

    asyncio.run(story())


def test_reading_that_fails_is_told_and_tried_again():
    async def story() -> None:
        scene = Counting()
        scene.trouble = SluiceError("no cloud runs in lab")
        live = Live(lambda: Looking(scene, "lab", 1.0))
        stream = live.watch(None)
        assert 'data: {"text":"no cloud runs in lab"}' in await enough(stream, 2)
        scene.trouble = None
        assert "event: index" in await enough(stream, 1)
        await stream.aclose()
        await live._task

    asyncio.run(story())
