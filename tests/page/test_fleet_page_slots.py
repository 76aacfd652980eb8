"""What the page says of a board's slots: what each holds and what it is for, in every phase."""

from dataclasses import replace

import pytest
from page_scene import NOW, ROLLED_BACK, execution

from sluice.fleet.status import Execution, Progress, ThingStatus
from sluice.page import shapes
from sluice.page.history import Before, Course, History
from sluice.page.sectors import Filling

IMAGE = Filling("image", 40_960)  # 10 sectors
OLD = ThingStatus("pump", slot="ota_0", image="1.0.0", told_at=NOW)
NEW = replace(OLD, slot="ota_1", image="1.1.0")
KNOWN = Before("ota_0", "1.0.0", "job")
NOT_TOLD = "The board does not tell what it holds."
AGAIN = "It ran before. It runs again if the trial fails."


def job(status: str, reason: str = "", **details: str) -> Execution:
    return execution("pump", "job", status, 0, reason=reason, **details)


def said(one: ThingStatus, brought: Filling | None = IMAGE, **course) -> list[tuple]:
    """Of each slot: its name, version, state and text, and whether it is a map."""
    found = shapes.thing_details(one, Course(**course), brought)["slots"]
    return [
        tuple(slot[key] for key in ("name", "version", "word", "text", "map")) for slot in found
    ]


RUNS = ("ota_0", "1.0.0", "runs", "image", False)


@pytest.mark.parametrize(
    ("last", "progress", "beside"),
    [
        (None, None, ("", "takes the next image", NOT_TOLD, False)),
        (job("QUEUED"), None, ("", "waits for the job's image", NOT_TOLD, False)),
        (job("IN_PROGRESS"), None, ("", "waits for the job's image", NOT_TOLD, False)),
        (job("IN_PROGRESS", receive="3/10"), None, ("", "is being filled", "", True)),
        (job("IN_PROGRESS", self_test="ready"), None, ("", "full, starts next", "", True)),
        (job("REJECTED", "same version"), None, ("", "takes the next image", NOT_TOLD, False)),
        (
            job("FAILED", "flash 5"),
            Progress(3, 10),
            ("", "given up", "The next image goes here.", True),
        ),
        (
            job("CANCELED"),
            Progress(3, 10),
            ("", "given up", "The next image goes here.", True),
        ),
        (job("TIMED_OUT"), Progress(10, 10), ("", "takes the next image", NOT_TOLD, False)),
        (
            job("FAILED", ROLLED_BACK),
            Progress(10, 10),
            (
                "",
                "holds no good image",
                "The image failed its trial, and starts no more. The next image goes here.",
                False,
            ),
        ),
    ],
)
def test_slot_that_does_not_run_says_what_it_holds_and_is_for(last, progress, beside):
    assert said(replace(OLD, job=last), progress=progress) == [RUNS, ("ota_1", *beside)]


@pytest.mark.parametrize(("before", "version"), [(KNOWN, "1.0.0"), (None, "")])
def test_slot_that_ran_before_is_the_way_back(before, version):
    trying = replace(NEW, trial=True, job=job("IN_PROGRESS", self_test="active"))
    assert said(trying, before=before) == [
        ("ota_0", version, "the way back", AGAIN, False),
        ("ota_1", "1.1.0", "runs on trial", "", True),
    ]
    done = replace(NEW, job=job("SUCCEEDED", "accepted v1.1.0"))
    assert said(done, before=before) == [
        ("ota_0", version, "the way back", "It ran before. The next image goes here.", False),
        ("ota_1", "1.1.0", "runs", "", True),
    ]


@pytest.mark.parametrize(
    ("details", "word"),
    [
        ({"step": "downloading"}, "is being filled"),
        ({"step": "downloading", "receive": "999999/1"}, "is being filled"),
        ({"self_test": "ready"}, "full, starts next"),
    ],
)
def test_image_whose_size_nobody_told_has_no_map_of_nothing(details, word):
    one = replace(OLD, job=job("IN_PROGRESS", **details))
    [_, beside] = said(one, Filling("image", None))
    text = "Neither the job nor the board tells how large the image is."
    assert beside == ("ota_1", "", word, text, False)
    assert said(one, Filling("image", None), progress=Progress(3, 10))[1][-1] is True


def test_trial_that_the_board_did_not_report_yet_runs_in_the_slot_that_was_filled():
    trying = replace(OLD, job=job("IN_PROGRESS", self_test="active"))
    assert said(trying) == [
        ("ota_0", "1.0.0", "the way back", AGAIN, False),
        ("ota_1", "", "runs on trial", "", True),
    ]


def test_version_of_another_jobs_way_back_is_not_said():
    done = replace(NEW, job=job("SUCCEEDED"))
    [first, _] = said(done, before=replace(KNOWN, job="earlier"))
    assert first[:3] == ("ota_0", "", "the way back")


@pytest.mark.parametrize(
    ("last", "word"),
    [
        (job("IN_PROGRESS", receive="3/10"), "is being filled"),
        (job("IN_PROGRESS", self_test="ready"), "full, starts next"),
        (job("IN_PROGRESS", self_test="active"), "runs on trial"),
        (job("SUCCEEDED"), "runs"),
        (job("CANCELED"), "given up"),
    ],
)
def test_tree_that_a_bundle_fills_stands_beside_the_slot_that_runs(last, word):
    one = replace(OLD, job=last, trial="self_test" in last.details)
    found = said(one, Filling("application", 9_000), progress=Progress(3, 10))
    assert found == [RUNS, ("Tree of the application", "", word, "", True)]


def test_files_are_put_in_place_and_do_not_run():
    one = replace(OLD, job=job("SUCCEEDED"))
    [_, files] = said(one, Filling("files", 9_000), progress=Progress(10, 10))
    assert files == ("Files", "", "in place", "", True)


def test_slots_of_a_board_that_told_nothing_are_not_shown():
    assert said(ThingStatus("fan", connected=False)) == []


@pytest.mark.parametrize("last", [job("SUCCEEDED"), job("IN_PROGRESS", self_test="active")])
def test_slot_without_a_number_is_given_no_other_name_and_no_way_back(last):
    one = replace(OLD, slot="run", job=last)
    assert [slot[:3] for slot in said(one)] == [
        ("run", "1.0.0", "runs"),
        ("The other slot", "", "takes the next image"),
    ]


def test_what_ran_before_is_remembered_with_the_job_that_replaced_it():
    kept = History()
    assert kept.note(replace(OLD, job=job("IN_PROGRESS")), NOW).before is None
    assert kept.note(replace(NEW, job=job("IN_PROGRESS")), NOW).before == KNOWN
    assert kept.note(replace(NEW, job=job("SUCCEEDED")), NOW).before == KNOWN


def test_heap_is_as_old_as_the_last_report_of_it_even_if_it_is_the_same():
    kept = History()
    for at in (1, 5):
        course = kept.note(replace(OLD, told_at=NOW + at, free=100), NOW)
    assert (course.heap_at, len(course.heap)) == (NOW + 5, 1)
    late = replace(job("IN_PROGRESS", receive="1/9", heap="90"), changed_at=NOW + 7)
    course = kept.note(replace(OLD, told_at=NOW + 5, free=100, job=late), NOW)
    assert (course.heap_at, course.heap[-1]) == (NOW + 7, (NOW + 7, 90))
    mad = replace(job("IN_PROGRESS", receive="2/9", heap="9" * 5_000), changed_at=NOW + 8)
    assert kept.note(replace(OLD, job=mad), NOW).heap[-1] == (NOW + 7, 90)


def test_thing_told_something_last_when_its_board_did_and_not_the_cloud():
    for status, at in (("IN_PROGRESS", NOW + 9), ("FAILED", NOW + 9), ("CANCELED", NOW)):
        one = replace(OLD, job=replace(job(status), changed_at=NOW + 9), connected_at=NOW + 99)
        assert one.last_told_at == at
    assert ThingStatus("fan", connected_at=NOW).last_told_at is None
