"""An image that nobody signed never starts, whether otadata or the running image is lost."""

import pytest
from damage import forged, losses
from stage import HEAP, image

from sluice.device.hardware import FACTORY_VERSION
from sluice.device.supervisor import Board
from sluice.image import make_image
from sluice.image.modules import SELF_TESTS

SMALL = 180_224  # bytes
FACTORY = make_image(FACTORY_VERSION)
UPDATE = image("1.1.0", SMALL)


@pytest.fixture
def updated(cloud, stage):
    """A board after an update, which takes older versions: ota_0 holds what ran before."""
    scene = stage(cloud, allow_downgrade=True, allow_same_version=True)
    scene.power_on()
    assert scene.settled(scene.deploy(UPDATE)).status == "SUCCEEDED", scene.tail
    return scene


def refused(scene, content: bytes, genuine: bytes) -> None:
    """Deploy it with the signature of the genuine one."""
    job = scene.job(scene.document(content, sig_sha256_ecdsa=scene.signature(genuine)))
    verdict = scene.settled(job)
    assert (verdict.status, verdict.reason) == ("FAILED", "bad signature"), scene.tail


def test_forged_image_with_the_head_of_the_genuine_one_never_starts(updated):
    assert not losses(updated.board, [FACTORY, UPDATE])
    refused(updated, forged(FACTORY), FACTORY)
    assert updated.board.versions == {"ota_0": None, "ota_1": "1.1.0"}
    assert not losses(updated.board, [UPDATE])


@pytest.mark.parametrize("record", [0, 1, None], ids=["first", "second", "both"])
def test_board_that_loses_otadata_after_a_forged_image_runs_what_it_ran(updated, record):
    refused(updated, forged(FACTORY), FACTORY)
    board = updated.board
    board.stop()
    where, count = (
        board.table.otadata.offset + 4096 * (record or 0),
        1 if record is not None else 2,
    )
    board.flash[where : where + count * 4096] = b"\xff" * count * 4096
    updated.power_on()
    assert updated.running == ("ota_1", "1.1.0")
    assert updated.verdict(updated.deploy(image("1.2.0", SMALL))).status == "SUCCEEDED"


def test_image_that_failed_its_trial_does_not_start_either(updated):
    sick = image("1.2.0", SMALL, app=SELF_TESTS["fail"])
    assert updated.settled(updated.deploy(sick)).status == "FAILED"
    assert updated.board.versions == {"ota_0": None, "ota_1": "1.1.0"}
    assert not losses(updated.board, [UPDATE])


def test_forged_image_never_starts_on_a_w800(cloud, stage):
    scene = stage(cloud, allow_same_version=True)
    scene.board = Board(scene.root, scene.name, board="SIM_W800", heap=HEAP)
    scene.power_on()
    update = image("1.1.0", SMALL, chip="w800")
    assert scene.settled(scene.deploy(update)).status == "SUCCEEDED", scene.tail
    assert not losses(scene.board, [update])
    refused(scene, forged(update), update)
    assert scene.board.slot_bytes("app_ota", 64) == b"\xff" * 64
    assert not losses(scene.board, [update])


@pytest.mark.parametrize("block", [256, 4096])
def test_slot_with_flash_encryption_takes_an_image_of_any_size(cloud, stage, block):
    scene = stage(cloud, block=block, window=32_768)
    scene.board.make()
    for label in ("ota_0", "ota_1"):
        mark_encrypted(scene.board, label)
    board = scene.power_on()
    fresh = image("1.1.0", SMALL - 5)
    verdict = scene.verdict(scene.deploy(fresh))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0"), scene.tail
    assert board.slot_bytes("ota_1", len(fresh)) == fresh


def mark_encrypted(board: Board, label: str) -> None:
    """Set the flag of that row in the table that is in flash."""
    place = bytes(board.flash).index(label.encode().ljust(16, b"\0"), 0x8000, 0x8C00)
    board.flash[place + 16] |= 1
