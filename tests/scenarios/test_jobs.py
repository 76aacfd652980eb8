"""Jobs that come, go, repeat themselves, or are none of ours."""

import json

import pytest
from stage import SIZE, image

SMALL = 180_224  # bytes
SLOWLY = {"delay": {"topic": "/data/", "ms": 10}}  # a block


def test_job_canceled_in_mid_download_is_let_go_and_the_next_one_works(own_cloud, stage):
    scene = stage(own_cloud.start(SLOWLY))
    board = scene.power_on()
    job = scene.deploy(image("1.1.0", SIZE))
    board.wait_for("update progress")
    seen = len(board.lines)
    scene.cancel(job, "--force")
    board.wait_for("agent idle", after=seen)
    assert scene.now(job).status == "CANCELED"
    assert scene.verdict(scene.deploy(image("1.2.0", SMALL))).status == "SUCCEEDED"
    assert scene.running == ("ota_1", "1.2.0")
    assert scene.now(job).status == "CANCELED"
    assert scene.trials == 1


def test_job_canceled_before_the_board_is_on_is_never_begun(cloud, stage):
    scene = stage(cloud)
    job = scene.deploy(image("1.1.0", SMALL))
    scene.cancel(job)
    board = scene.power_on()
    assert not [line for line in board.lines if "agent job" in line]


def test_job_canceled_without_force_is_done_nevertheless(own_cloud, stage):
    scene = stage(own_cloud.start(SLOWLY))
    board = scene.power_on()
    job = scene.deploy(image("1.1.0", 500_000))
    board.wait_for("update progress")
    scene.cancel(job)
    assert scene.verdict(job).status == "SUCCEEDED"


def test_new_job_while_busy_is_done_afterwards(own_cloud, stage):
    scene = stage(own_cloud.start(SLOWLY))
    board = scene.power_on()
    first = scene.deploy(image("1.1.0", 500_000))
    board.wait_for("update progress")
    second = scene.deploy(image("1.2.0", SMALL))
    assert scene.verdict(first).status == "SUCCEEDED"
    assert scene.verdict(second).status == "SUCCEEDED"
    assert scene.running == ("ota_0", "1.2.0")
    assert scene.trials == 2
    assert len(scene.had) == 2


def test_jobs_queued_before_the_board_is_on_are_done_in_their_order(cloud, stage):
    scene = stage(cloud)
    jobs = [scene.deploy(image(version, SMALL)) for version in ("1.1.0", "1.2.0")]
    scene.board.start()
    assert [scene.verdict(job).status for job in jobs] == ["SUCCEEDED"] * 2
    assert scene.running == ("ota_0", "1.2.0")


def test_same_job_told_again_runs_once(own_cloud, stage, spy):
    """The notice of the job, again in the middle of it and after it; the step has its limit."""
    scene = stage(own_cloud.start(SLOWLY), step_timeout_min=9)
    ears = spy(scene)
    board = scene.power_on()
    job = scene.deploy(image("1.1.0", 500_000))
    board.wait_for("update progress")
    [notice] = ears.notices
    told = own_cloud.calls.iot.describe_job_execution(jobId=job, thingName=scene.name)
    assert 480 < told["execution"]["approximateSecondsBeforeTimedOut"] <= 540
    ears.say("jobs/notify-next", notice)
    assert scene.settled(job).status == "SUCCEEDED"
    seen = len(board.lines)
    ears.say("jobs/notify-next", notice)
    board.wait_for("agent idle", after=seen)
    assert scene.trials == 1
    assert len(scene.had) == 1
    assert ears.accepted("SUCCEEDED") == 1
    limits = {
        (body["status"], body.get("stepTimeoutInMinutes"))
        for topic, body in ears.heard
        if topic == f"jobs/{job}/update" and body["clientToken"] != "progress"
    }
    assert limits == {("IN_PROGRESS", 9), ("SUCCEEDED", None)}
    assert scene.verdict(scene.deploy(image("1.2.0", SMALL))).status == "SUCCEEDED"


@pytest.mark.parametrize(
    "document",
    [{"operation": "dance"}, {}, {"afr_ota": "yes"}, {"afr_ota": {"files": []}}, {"steps": [1]}],
)
def test_job_that_is_not_understood_is_rejected(cloud, stage, document):
    scene = stage(cloud)
    board = scene.power_on()
    seen = len(board.lines)
    verdict = scene.verdict(scene.job(document))
    assert verdict.status == "REJECTED"
    assert verdict.reason
    board.wait_for("agent idle", after=seen)
    assert "reset: machine.reset" not in board.lines


def test_job_with_a_document_of_32_kib_is_refused_and_does_not_block_the_next(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    long = scene.job(json.dumps({"operation": "x" * 32_000}))
    good = scene.deploy(image("1.1.0", SMALL))
    verdict = scene.verdict(long)
    assert verdict.status in ("REJECTED", "FAILED")
    assert verdict.reason
    assert scene.verdict(good).status == "SUCCEEDED"


def test_empty_notice_means_nothing_to_do(cloud, stage, spy):
    scene = stage(cloud)
    ears = spy(scene)
    board = scene.power_on()
    for notice in ({"timestamp": 1_700_000_000}, {"timestamp": 1, "execution": {}}, {}):
        ears.say("jobs/notify-next", notice)
    assert scene.verdict(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED"
    assert board.lines.count("reset: machine.reset") == 1


def test_notices_of_no_sense_are_passed_over(cloud, stage, spy):
    scene = stage(cloud)
    ears = spy(scene)
    scene.power_on()
    for notice in (b"", b"{", b"[]", b"\xff\xfe", b'{"execution": 7}', b'{"execution": [1]}'):
        ears.say("jobs/notify-next", notice)
    ears.say("jobs/notify-next", {"execution": {"jobId": "a/b", "status": "QUEUED"}})
    ears.say("jobs/notify-next", b"x" * 100_000)
    assert scene.verdict(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED"
    assert scene.trials == 1


def test_board_switched_off_after_its_update_does_not_do_it_again(cloud, stage, spy):
    scene = stage(cloud)
    ears = spy(scene)
    scene.power_on()
    assert scene.verdict(scene.deploy(image("1.1.0", SMALL))).status == "SUCCEEDED"
    scene.board.stop()
    scene.power_on()
    assert scene.starts[-1] == "boot: ota_1 1.1.0 valid"
    assert (scene.trials, ears.accepted("SUCCEEDED")) == (1, 1)
