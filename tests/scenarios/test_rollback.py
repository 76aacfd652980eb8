"""A job that goes back to the image that ran before, without a download."""

import hashlib

import pytest
from stage import image

from sluice.device.hardware import FACTORY_VERSION
from sluice.image import make_image
from sluice.image.modules import SELF_TESTS

SMALL = 180_224  # bytes


def back_to(content: bytes) -> dict:
    """The job document that goes back to this image."""
    digest = hashlib.sha256(content).hexdigest()
    return {"operation": "rollback", "size": len(content), "sha256": digest}


@pytest.fixture
def updated(cloud, stage):
    """(scene, the image that ran before): a board after an update."""
    scene = stage(cloud)
    scene.power_on()
    assert scene.verdict(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED"
    before = make_image(FACTORY_VERSION)
    assert scene.board.slot_bytes("ota_0", len(before)) == before
    return scene, before


def test_rollback_job_goes_back_on_trial_and_there_again(updated, spy):
    scene, before = updated
    ears = spy(scene)
    verdict = scene.verdict(scene.job(back_to(before)))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.0.0"), scene.tail
    assert scene.running == ("ota_0", "1.0.0")
    assert scene.trials == 2 and not ears.blocks

    [notice] = ears.notices
    notice["execution"]["status"] = "IN_PROGRESS"
    scene.board.wait_for("agent idle", after=scene.board.lines.index(scene.starts[-1]))
    seen, resets = len(scene.board.lines), scene.board.lines.count("reset: machine.reset")
    ears.say("jobs/notify-next", notice)
    scene.board.wait_for("ACCEPTING known", after=seen)
    scene.board.wait_for("agent idle", after=seen)
    assert scene.board.lines.count("reset: machine.reset") == resets
    assert scene.running == ("ota_0", "1.0.0") and scene.trials == 2

    again = scene.verdict(scene.job(back_to(before)))
    assert (again.status, again.reason) == ("FAILED", "the other slot holds another image")
    assert scene.running == ("ota_0", "1.0.0")

    verdict = scene.verdict(scene.job(back_to(image("1.1.0", SMALL))))
    assert verdict.status == "SUCCEEDED", scene.tail
    assert scene.running == ("ota_1", "1.1.0")


@pytest.mark.parametrize("operation", [2, 8, 12])
def test_rollback_job_with_the_power_cut_on_the_way_ends_in_the_truth(updated, operation):
    scene, before = updated
    scene.board.cut_after(operation, "front")
    verdict = scene.verdict(scene.job(back_to(before)))
    assert scene.board.lines.count("power: cut") == 1
    slot = scene.running[0]
    assert (verdict.status, slot) in (("SUCCEEDED", "ota_0"), ("FAILED", "ota_1")), scene.tail


def test_rollback_job_never_starts_an_image_that_failed(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    sick = image("1.1.0", SMALL, app=SELF_TESTS["fail"])
    forged = scene.document(image("1.2.0", SMALL), sig_sha256_ecdsa=scene.signature(sick))
    for job, content in (
        (scene.deploy(sick), sick),
        (scene.job(forged), image("1.2.0", SMALL)),
    ):
        assert scene.verdict(job).status == "FAILED"
        trials = scene.trials
        verdict = scene.verdict(scene.job(back_to(content)))
        assert verdict.status == "FAILED"
        assert verdict.reason == "the other slot does not hold what ran before"
        assert (scene.running, scene.trials) == (("ota_0", "1.0.0"), trials)


def test_rollback_job_proves_the_image_again_by_the_signature_that_came_with_it(updated):
    scene, _ = updated
    assert scene.verdict(scene.deploy(image("1.2.0", SMALL))).status == "SUCCEEDED"
    seen = len(scene.board.lines)
    verdict = scene.verdict(scene.job(back_to(image("1.1.0", SMALL))))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0"), scene.tail
    assert [line for line in scene.board.lines[seen:] if "verify genuine" in line]


def test_rollback_job_with_the_signature_of_another_image_fails(updated):
    scene, before = updated
    trials = scene.trials
    wrong = back_to(before) | {"sig-sha256-ecdsa": scene.signature(image("1.1.0", SMALL))}
    verdict = scene.verdict(scene.job(wrong))
    assert (verdict.status, verdict.reason) == ("FAILED", "bad signature"), scene.tail
    assert (scene.running, scene.trials) == (("ota_1", "1.1.0"), trials)
    right = back_to(before) | {"sig-sha256-ecdsa": scene.signature(before)}
    verdict = scene.verdict(scene.job(right))
    assert (verdict.status, scene.running) == ("SUCCEEDED", ("ota_0", "1.0.0")), scene.tail


def test_rollback_job_is_refused_where_the_board_does_not_allow_it(cloud, stage):
    scene = stage(cloud, allow_rollback=False)
    scene.power_on()
    assert scene.verdict(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED"
    verdict = scene.verdict(scene.job(back_to(make_image(FACTORY_VERSION))))
    assert (verdict.status, verdict.reason) == ("REJECTED", "rollback is not allowed")
    assert scene.running == ("ota_1", "1.1.0")
