"""A board whose boot loader copies what is staged: no trial, no way back, and it says so."""

import lzma
import re
from collections.abc import Callable

import pytest
from person import Person
from stage import HEAP, Stage, image
from typed import good

from sluice.device.norflash import SECTOR
from sluice.device.supervisor import Board
from sluice.image.modules import SELF_TESTS
from sluice.image.w800 import USER, XZ, header

SMALL = 180_224  # bytes
NAME = "SIM_W800"
LARGEST = 0xD6000 - 2 * SECTOR  # bytes, of an image on this layout


def new(version: str, size: int = SMALL, **more) -> bytes:
    """An image for it."""
    return image(version, size, chip="w800", **more)


@pytest.fixture
def staged(cloud, stage) -> Callable[..., Stage]:
    """A function: (**config) → a stage with a simulated W800, switched off."""

    def make(heap: str = HEAP, frozen: bool = False, **config) -> Stage:
        scene = stage(cloud, **config)
        scene.board = Board(scene.root, scene.name, board=NAME, heap=heap, frozen=frozen)
        return scene

    return make


def running(scene: Stage) -> str:
    """The version that the board last started."""
    return re.findall(r"boot: app (\S+) valid", "\n".join(scene.board.lines))[-1]


def copies(scene: Stage) -> int:
    """How often the boot loader copied what was staged."""
    return sum(line.startswith("boot: copying") for line in scene.board.lines)


@pytest.mark.parametrize(
    ("size", "block"), [(LARGEST, 4096), (SMALL + 1, 16_384), (SMALL - 1, 256), (SMALL, 1024)]
)
def test_update_is_copied_over_what_ran_and_told_after_it_runs(staged, spy, size, block):
    scene = staged(block=block, window=32_768)
    ears = spy(scene)
    board = scene.power_on()
    fresh = new("1.1.0", size)
    verdict = scene.verdict(scene.deploy(fresh))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0"), scene.tail
    assert running(scene) == "1.1.0" and copies(scene) == 1
    assert board.slot_bytes("app_ota", size) == fresh
    assert board.slot_bytes("app", 64) == fresh[:64]
    assert ears.accepted("SUCCEEDED") == 1
    area = board.table.labelled("app_ota")
    assert max(board.meter.programs(at) for at in range(area.offset, area.offset + size, 256)) == 1
    assert board.meter.lossy == 0


def test_updates_one_after_the_other_as_device_run_has_it(staged):
    scene = staged(heap="112k", frozen=True)
    scene.power_on()
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        fresh = new(version)
        if version == "1.3.0":  # as the vendor's tools wrap it: sent is what is inside
            body = lzma.compress(fresh)
            fresh = header(version, body, XZ | USER) + body
        assert scene.verdict(scene.deploy(fresh)).status == "SUCCEEDED", scene.tail
        assert running(scene) == version
    assert copies(scene) == 3


SLOW = """
import asyncio

async def healthy():
    print("asked")
    await asyncio.sleep(2)
    return True
"""


BAD = {
    "other_chip": (lambda: image("1.1.0", SMALL), "not an app image"),
    "header": (lambda: changed(new("1.1.0"), 40), "header damaged"),
    "body": (lambda: changed(new("1.1.0"), 70_000), "image damaged"),
    "cut_short": (lambda: new("1.1.0")[:-100], "image cut short"),
    "too_large": (lambda: new("1.1.0", LARGEST + 1), "image larger than the slot"),
}


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("fault", BAD)
def test_image_that_the_boot_loader_would_not_take_never_gets_to_it(staged, fault):
    scene = staged()
    board = scene.power_on()
    make, reason = BAD[fault]
    verdict = scene.verdict(scene.deploy(make(), "--any"))
    assert verdict.status in ("FAILED", "REJECTED") and verdict.reason.startswith(reason)
    assert board.slot_bytes("app_ota", 64) == b"\xff" * 64
    seen = len(board.lines)
    board.cut_power()
    board.wait_for("agent idle", after=seen)
    assert running(scene) == "1.0.0" and copies(scene) == 0
    assert scene.verdict(scene.deploy(new("1.2.0"))).status == "SUCCEEDED"


STAYS = "; it stays, because this board cannot go back"
UNFIT = {
    "fail": "self-test failed",
    "crash": "application failed: RuntimeError('this application cannot be imported',)",
}


@pytest.mark.parametrize("fault", UNFIT)
def test_image_that_is_not_fit_stays_and_the_job_has_failed(staged, fault):
    scene = staged()
    scene.power_on()
    verdict = scene.settled(scene.deploy(new("1.1.0", app=SELF_TESTS[fault])))
    assert (verdict.status, verdict.reason) == ("FAILED", UNFIT[fault] + STAYS)
    assert running(scene) == "1.1.0"
    assert scene.verdict(scene.deploy(new("1.2.0"))).status == "SUCCEEDED"


LOOPS = """
import os
import w800

try:
    os.stat("/hung")
except OSError:
    open("/hung", "w").close()
    while True:
        pass
w800.reboot()
"""


def test_image_that_hangs_or_resets_the_board_is_left_without_its_application(staged):
    scene = staged(trial_s=20)
    board = scene.power_on()
    verdict = scene.settled(scene.deploy(new("1.1.0", app=LOOPS)))
    assert (verdict.status, verdict.reason) == (
        "FAILED",
        "application failed: did not start, times 3" + STAYS,
    )
    resets = [line for line in board.lines if line.startswith("reset: ")]
    ordered, hung = "reset: machine.reset", "reset: watchdog"
    assert resets == [ordered, hung, ordered, ordered]
    for job in (None, {"operation": "echo", "text": "still there"}):  # and so it stays
        if job:
            assert scene.settled(scene.job(job)).status == "SUCCEEDED"
        seen = len(board.lines)
        board.cut_power()
        board.wait_for("agent idle", after=seen)
    assert scene.verdict(scene.deploy(new("1.2.0"))).status == "SUCCEEDED"


def test_interruptions_of_its_first_boot_do_not_make_a_good_image_bad(staged):
    scene = staged()
    port = scene.folder / "port"
    scene.board = Board(scene.root, scene.name, board=NAME, heap=HEAP, link=port)
    board = scene.power_on()
    job = scene.deploy(new("1.1.0", app=SLOW))
    board.wait_for("^asked")
    board.cut_power()
    board.wait_for("^asked", after=len(board.lines))
    person = Person(port)
    assert "aws_job.start()" in person.interrupt()
    person.say("aws_job.start()", b"soft reboot")
    person.close()
    verdict = scene.verdict(job)
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0"), scene.tail


def test_boot_loader_that_does_not_take_the_image_is_told_of(staged):
    scene = staged()
    board = scene.power_on()
    job = scene.deploy(new("1.1.0"))
    board.wait_for("agent ACTIVATING ready")
    board.stop()
    area = board.table.labelled("app_ota")
    board.flash[area.offset + 5_000] &= 0  # a bit lost between the proof and the copy
    board.start()
    verdict = scene.verdict(job)
    assert (verdict.status, verdict.reason) == (
        "FAILED",
        "the boot loader did not take the image",
    )
    assert running(scene) == "1.0.0"


def test_new_board_is_flashed_and_takes_an_update(staged):
    scene = staged()
    port = scene.folder / "port"
    scene.board = Board(scene.root, scene.name, board=NAME, heap=HEAP, link=port, blank=True)
    board = scene.board.start()
    board.wait_for("no /config.json")
    line = ("flash", "--port", port, "--thing", scene.name, "--state", scene.root)
    said = good(*line)
    assert "board W800, " in said and "brings its own firmware" in said
    assert f"{scene.name} is ready: its agent waits for jobs" in said
    assert "nothing to copy" in good(*line, "--board", NAME, "--wait", "0")
    assert scene.verdict(scene.deploy(new("1.1.0"))).status == "SUCCEEDED", scene.tail


def test_prompt_and_doctor_know_that_there_is_no_way_back(staged):
    """And where the journal lies; and leave alone what the boot loader would repair from."""
    scene = staged()
    port = scene.folder / "port"
    scene.board = Board(scene.root, scene.name, board=NAME, heap=HEAP, link=port)
    board = scene.power_on()
    person = Person(port)
    person.interrupt()
    assert person.say("slots()").endswith("runs, without a trial\napp_ota holds no image\n")
    seen = len(board.lines)
    person.say("aws_job.start()", b"soft reboot")
    board.wait_for("agent idle", after=seen)
    job = scene.deploy(new("1.1.0"))
    assert scene.settled(job).status == "SUCCEEDED", scene.tail
    person.interrupt()
    assert re.fullmatch(
        r"(1\.1\.0-[0-9a-f]{8}) 1\.1\.0 runs, without a trial\napp_ota 1\.1\.0 is what runs\n",
        person.say("slots()"),
    )
    assert "confirmed" not in person.say("status()")
    assert person.say("aws_job") == f"job       idle, {job} succeeded accepted v1.1.0\n"
    assert person.say("rollback(really=True)") == "this board cannot roll back\n"
    person.close()

    before = board.slot_bytes("app_ota")
    text = good("doctor", "--port", port)
    for line in (
        "SIM_W800, simulated",
        "runs, version 1.1.0, without a trial",
        "bytes: an image, version 1.1.0",
        f"idle, job {job}, step succeeded",
        "flash speed    skipped: app_ota is not touched but by an update",
    ):
        assert line in text
    assert board.slot_bytes("app_ota") == before


def test_job_that_requires_a_rollback_is_rejected_and_nothing_is_written(staged):
    scene = staged()
    board = scene.power_on()
    demanding = scene.document(new("1.1.0")) | {"rollback": "required"}
    for document in (demanding, {"operation": "rollback", "size": 1, "sha256": "0" * 64}):
        before = board.meter.erases(board.table.labelled("app_ota").offset + SECTOR)
        verdict = scene.verdict(scene.job(document))
        assert (verdict.status, verdict.reason) == ("REJECTED", "this board cannot roll back")
        assert board.meter.erases(board.table.labelled("app_ota").offset + SECTOR) == before
    assert scene.verdict(scene.deploy(new("1.1.0"))).status == "SUCCEEDED"


def test_job_that_requires_a_rollback_is_done_where_there_is_one(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    demanding = scene.document(image("1.1.0", SMALL)) | {"rollback": "required"}
    assert scene.verdict(scene.job(demanding)).status == "SUCCEEDED"
