"""The power fails at flash operations of a W800's update, its boot loader's copy included."""

import os

import pytest
from stage import HEAP, Stage, image
from sweep import TOLD

from sluice.device.supervisor import Board

ALL = os.environ.get("SLUICE_POWERCUTS") == "all"
PARTS = ("nothing", "front", "back", "whole")
SIZE = 176_000  # bytes
SHARES = 4
STRIDE = 1 if ALL else 6

pytestmark = pytest.mark.timeout(7200 if ALL else 1800)


def updated(cloud, folder, operation: int | None = None, part: str = "nothing") -> Stage:
    """A board after an update whose power failed at that flash operation from power-on."""
    scene = cloud.stage(folder)
    options = {"cut_at": operation, "cut_part": part} if operation else {}
    scene.board = Board(scene.root, scene.name, board="SIM_W800", heap=HEAP, **options)
    job = scene.deploy(image("1.1.0", SIZE, chip="w800"))
    scene.board.start()
    try:
        verdict = scene.verdict(job)
        scene.board.wait_for(TOLD)
        lines = scene.board.lines
        assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0"), scene.tail
        assert [line for line in lines if line.startswith("boot: app")][-1] == (
            "boot: app 1.1.0 valid"
        )
        assert not [line for line in lines if line.startswith(("end: ", "reset: panic"))]
        assert scene.board.slot_bytes("app_ota", SIZE) == image("1.1.0", SIZE, chip="w800")
    finally:
        scene.board.stop()
    return scene


@pytest.fixture(scope="session")
def operations(cloud, tmp_path_factory, release) -> int:
    """Flash operations of an update whose power does not fail."""
    return updated(cloud, tmp_path_factory.mktemp("undisturbed")).board.operations


@pytest.mark.parametrize("share", range(SHARES))
def test_power_cut_at_an_operation_of_a_w800_ends_with_the_new_image(
    cloud, operations, tmp_path, share
):
    for at in range(1 + share * STRIDE, operations + 1, SHARES * STRIDE):
        for part in PARTS if ALL else (PARTS[at // STRIDE % 4],):
            try:
                scene = updated(cloud, tmp_path, at, part)
            except AssertionError as error:
                raise AssertionError(f"cut at {at}, {part}") from error
            cloud.forget(scene.name)
