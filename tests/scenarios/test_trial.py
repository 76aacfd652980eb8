"""Images that do not stand their trial: the old one runs again, and the cloud knows why."""

import pytest
from patience import FUSE_S
from shadows import reported
from stage import image, soon

from sluice.image.modules import SELF_TESTS

SMALL = 180_224  # bytes


def test_self_test_that_fails_is_rolled_back_and_a_good_update_still_works(cloud, stage, spy):
    scene = stage(cloud)
    ears = spy(scene)
    board = scene.power_on()
    first = scene.deploy(image("1.1.0", SMALL))
    assert scene.verdict(first).status == "SUCCEEDED"
    bad = scene.verdict(scene.deploy(image("1.2.0", SMALL, app=SELF_TESTS["fail"])))
    assert (bad.status, bad.reason) == ("FAILED", "rolled back: self-test failed")
    assert scene.running == ("ota_1", "1.1.0")
    assert "boot: rolled back ota_0" in board.lines
    assert scene.verdict(scene.deploy(image("1.3.0", SMALL))).status == "SUCCEEDED"
    assert scene.running == ("ota_0", "1.3.0")
    assert (ears.accepted("SUCCEEDED", 2), ears.accepted("FAILED")) == (2, 1)


EXITS = "import sys\n\nsys.exit()\n"
CRASHED = "rolled back: RuntimeError('this application cannot be imported',)"
RAISES = "async def healthy():\n    raise ValueError('no sensor')\n"


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (SELF_TESTS["hang"], "rolled back: not confirmed in its trial"),
        (SELF_TESTS["crash"], CRASHED),
        (EXITS, "rolled back: SystemExit()"),
        (RAISES, "rolled back: ValueError('no sensor',)"),
    ],
    ids=["hangs", "crashes", "exits", "raises"],
)
def test_image_that_fails_its_trial_is_rolled_back(cloud, stage, app, reason):
    scene = stage(cloud, trial_s=10 if app == SELF_TESTS["hang"] else 120)
    board = scene.power_on()
    verdict = scene.verdict(scene.deploy(image("1.1.0", SMALL, app=app)))
    assert (verdict.status, verdict.reason) == ("FAILED", reason)
    assert scene.running == ("ota_0", "1.0.0")
    assert scene.trials == 1
    board.wait_for("agent idle", after=board.lines.index("boot: rolled back ota_1"))
    board.stop()
    kept = [line.partition(b" ")[2] for line in board.read_file("/failures").split(b"\n")]
    assert reason in kept[-1].decode() and (kept[0] == b"stopped SystemExit()") == (app == EXITS)


def test_image_that_cannot_reach_the_cloud_is_rolled_back(cloud, stage):
    """As one whose network code is broken: the deadline of its trial ends it."""
    scene = stage(cloud, trial_s=20)
    scene.power_on()
    broken = (
        "import sluice.net.mqtt\n\nasync def connect(self):\n    from sluice.errors import Retry\n"
        "    raise Retry('no network')\n\nsluice.net.mqtt.Link.connect = connect\n"
    )
    verdict = scene.verdict(scene.deploy(image("1.1.0", SMALL, app=broken)))
    assert (verdict.status, verdict.reason) == ("FAILED", "rolled back: no network")
    assert scene.running == ("ota_0", "1.0.0")


def test_power_cut_in_the_trial_is_rolled_back_and_told(cloud, stage):
    scene = stage(cloud)
    board = scene.power_on()
    slow = (
        "import asyncio\n\nasync def healthy():\n    print('asked')\n"
        "    await asyncio.sleep(30)\n    return True\n"
    )
    job = scene.deploy(image("1.1.0", SMALL, app=slow))
    board.wait_for("^asked")
    board.cut_power()
    verdict = scene.verdict(job)
    assert (verdict.status, verdict.reason) == (
        "FAILED",
        "rolled back: not confirmed in its trial",
    )
    assert scene.running == ("ota_0", "1.0.0")


def test_job_canceled_during_the_trial_leaves_the_good_image_running(cloud, stage):
    scene = stage(cloud, shadow="classic")
    board = scene.power_on()
    slow = (
        "import asyncio\n\nasync def healthy():\n    print('asked')\n"
        "    await asyncio.sleep(10)\n    return True\n"
    )
    job = scene.deploy(image("1.1.0", SMALL, app=slow))
    board.wait_for("^asked")
    scene.cancel(job, "--force")
    board.wait_for("agent idle", after=board.lines.index("asked"))
    assert scene.now(job).status == "CANCELED"
    assert scene.running == ("ota_1", "1.1.0")
    soon(lambda: reported(scene).get("job", {}).get("id") == job, FUSE_S)
    shadow = reported(scene)
    assert (shadow["version"], shadow["slot"], shadow["trial"]) == ("1.1.0", "ota_1", False)
    assert shadow["job"]["reason"] == (
        "accepted v1.1.0; but the cloud had ended the job: CANCELED"
    )
    assert scene.verdict(scene.deploy(image("1.2.0", SMALL))).status == "SUCCEEDED"
