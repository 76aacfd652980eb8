"""What ends in mid-download and comes back: the update goes on where it was."""

import json
import re

import pytest
from relay import Relay
from stage import CHECKPOINT, SIZE, Stage, image, soon

BLOCK = 4096  # bytes
WINDOW = 64  # blocks, 256 KiB
SLOWLY = {"delay": {"topic": "/data/", "ms": 3}}  # a block: nothing is over before it was cut
NEW = image("1.1.0", SIZE)


FORMS = pytest.mark.parametrize("form", [(), ("--compress",)], ids=["image", "compressed"])


def half_way(scene: Stage, *form: str) -> tuple[str, int]:
    """Begin the update; (job, bytes in the slot), as soon as 400,000 are."""
    scene.power_on()
    job = scene.deploy(NEW, *form)
    return job, soon(lambda: next((n for n in progress(scene) if n > 400_000), 0))


def progress(scene: Stage) -> list[int]:
    """The bytes that the board said to have, each time it did."""
    said = (re.search(r"update progress (\d+)", line) for line in scene.board.lines)
    return [int(match[1]) for match in said if match]


def went_on(scene: Stage, job: str, had: int) -> None:
    """It succeeded, once, and did not start over."""
    verdict = scene.verdict(job)
    assert verdict.status == "SUCCEEDED", scene.tail
    assert "whole image" not in verdict.reason
    assert scene.board.slot_bytes("ota_1", SIZE) == NEW
    assert scene.running == ("ota_1", "1.1.0")
    assert scene.trials == 1
    assert [size for size in scene.had if not size] == [0], scene.had
    assert scene.had[1] >= had - CHECKPOINT, scene.tail


@FORMS
def test_broker_killed_in_mid_download_goes_on_where_it_was(own_cloud, stage, spy, form):
    scene = stage(own_cloud.start(SLOWLY))
    ears = spy(scene)
    job, had = half_way(scene, *form)
    own_cloud.kill_broker()
    went_on(scene, job, had)
    assert scene.had[1] >= had  # nothing that was there came again: there was no reset
    assert ears.again <= 2 * WINDOW


def test_cloud_killed_in_mid_download_goes_on_where_it_was(own_cloud, stage, spy):
    scene = stage(own_cloud.start(SLOWLY))
    ears = spy(scene)
    job, had = half_way(scene)
    own_cloud.kill()
    scene.board.wait_for("agent DOWNLOADING lost")
    own_cloud.start(SLOWLY)
    went_on(scene, job, had)
    assert scene.had[1] >= had
    assert ears.again <= 2 * WINDOW


@FORMS
def test_power_cut_in_mid_download_fetches_one_checkpoint_again_at_most(
    own_cloud, stage, spy, form
):
    scene = stage(own_cloud.start(SLOWLY))
    ears = spy(scene)
    job, had = half_way(scene, *form)
    scene.board.cut_power()
    went_on(scene, job, had)
    assert scene.board.lines.count("power: cut") == 1
    assert ears.again <= CHECKPOINT // BLOCK + 2 * WINDOW


@FORMS
def test_power_cut_three_times_goes_on_each_time(own_cloud, stage, spy, form):
    scene = stage(own_cloud.start(SLOWLY))
    ears = spy(scene)
    job, had = half_way(scene, *form)
    for more in (0, 200_000, 400_000):
        soon(lambda more=more: any(n > had + more for n in progress(scene)))
        scene.board.cut_power()
    went_on(scene, job, had)
    assert scene.had == sorted(scene.had)
    assert ears.again <= 3 * (CHECKPOINT // BLOCK + 2 * WINDOW)


def test_broker_and_power_gone_together_goes_on_where_it_was(own_cloud, stage):
    scene = stage(own_cloud.start(SLOWLY))
    job, had = half_way(scene)
    own_cloud.kill()
    scene.board.cut_power()
    scene.board.wait_for("mqtt|attempt failed", after=len(scene.board.lines))
    own_cloud.start(SLOWLY)
    went_on(scene, job, had)


@pytest.mark.parametrize("block", [BLOCK, 98_304])
def test_connection_cut_in_mid_block_counts_only_whole_blocks(cloud, stage, block):
    scene = stage(cloud, block=block)
    relay = Relay(cloud.state.running()["mqtt_port"], cut_after=700_001)
    try:
        through(scene, relay.port)
        scene.power_on()
        job = scene.deploy(NEW)
        assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    finally:
        relay.close()
    assert relay.cuts == 1
    assert scene.had[0] == 0
    assert 0 < scene.had[1] < 700_001
    assert scene.had[1] % block == 0
    assert scene.board.slot_bytes("ota_1", SIZE) == NEW


def through(scene: Stage, port: int) -> None:
    """Have the board connect to that port, whatever the cloud's is."""
    scene.board.make()
    config = json.loads(scene.board.read_file("/config.json"))
    scene.board.write_file("/config.json", json.dumps(config | {"port": port}).encode())


def test_board_off_in_mid_download_goes_on_when_it_is_switched_on(own_cloud, stage):
    scene = stage(own_cloud.start(SLOWLY))
    job, had = half_way(scene)
    scene.board.stop()
    scene.board.start()
    went_on(scene, job, had)


def test_slot_damaged_in_mid_download_fails_by_its_digest(own_cloud, stage):
    scene = stage(own_cloud.start(SLOWLY))
    job, _ = half_way(scene)
    scene.board.stop()
    damaged = bytearray(scene.board.slot_bytes("ota_1"))
    damaged[100_000] ^= 1
    scene.board.put_image("ota_1", bytes(damaged))
    scene.board.start()
    verdict = scene.verdict(job)
    assert verdict.status == "FAILED"
    assert "signature" in verdict.reason
    assert scene.running == ("ota_0", "1.0.0")
