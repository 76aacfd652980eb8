"""The small form of `make powercut`: some histories of each story; the rest is in __main__.py."""

from itertools import count

import pytest
from bundle_stories import BUNDLES
from damage import forged, losses
from histories import STORIES, History, Story, history, theatre
from patience import LONG_S

from sluice.device.supervisor import Board

SEED = 9
pytestmark = pytest.mark.timeout(LONG_S)
COUNT = 2  # of each story that the sweeps beside this file do not play


@pytest.mark.parametrize(
    "story", STORIES[2:7] + STORIES[9:] + BUNDLES, ids=lambda story: f"{story.board}-{story.name}"
)
def test_history_of_cuts_starts_only_what_was_proven_and_ends_in_the_truth(
    cloud, release, tmp_path, story
):
    with theatre(cloud, story, tmp_path) as stage:
        undisturbed = stage.undisturbed()
        assert not undisturbed.lost
        span = undisturbed.operations
        for first in range(span // 2, span, -(-(span - span // 2) // COUNT)):
            one = stage.play(history(story, first, span, SEED))
            assert one.blown and not one.lost, f"{one}, seed {SEED}: {one.lost}"


def test_history_is_the_same_for_the_same_words_and_has_one_to_three_cuts():
    story = STORIES[0]
    made = [history(story, first, 100, SEED) for first in range(1, 60)]
    assert made == [history(story, first, 100, SEED) for first in range(1, 60)]
    assert {len(one.cuts) for one in made} == {1, 2, 3}
    assert all(one.cuts[0][0] == first for one, first in zip(made, count(1), strict=False))
    assert any(isinstance(part, int) and part < 0 for one in made for _, part in one.cuts)


def test_job_that_ends_otherwise_than_its_story_is_a_loss(cloud, release, tmp_path):
    told = Story("first", "SIM_ESP32", False, {"REJECTED": ""})
    with theatre(cloud, told, tmp_path) as stage:
        lost = stage.play(History(told, [(4, "nothing")])).lost
    assert lost == ["the job ended SUCCEEDED: accepted v1.2.0"]


@pytest.mark.parametrize("story", (STORIES[1], STORIES[8]), ids=lambda story: story.board)
def test_image_that_nobody_proved_and_a_board_without_any_are_losses(
    cloud, release, tmp_path, story
):
    board = Board(cloud.state.root, cloud.stage(tmp_path).name, story.board)
    board.make()
    own, other = story.before[0], (slot.label for slot in board.table.slots)
    assert not losses(board, [own])
    _, second = other
    board.put_image(second, forged(story.before[1]))
    assert losses(board, [own])  # of a W800 it is copied at once
    for slot in board.table.slots:
        board.flash[slot.offset : slot.offset + 4096] = b"\xff" * 4096
    assert "none: nothing starts" in losses(board, [own])
