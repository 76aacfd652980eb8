"""An update from the job to SUCCEEDED, at all sizes of blocks, windows and images."""

import pytest
from stage import SIZE, SLOT, Stage, image
from typed import good

SMALL = 180_225  # bytes: 44 sectors and one byte


def update(scene: Stage, new: bytes) -> None:
    """Deploy it to a new board, and see it arrive, run and be told of, once."""
    job = scene.deploy(new)
    verdict = scene.verdict(job)
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "accepted v1.1.0"), scene.tail
    assert scene.running == ("ota_1", "1.1.0")
    assert scene.board.slot_bytes("ota_1", len(new)) == new
    assert scene.trials == 1


@pytest.mark.parametrize(
    ("block", "window"), [(256, 131_072), (4096, 262_144), (16_384, 524_288), (98_304, 4_096)]
)
def test_update_of_full_size_at_a_block_size_arrives_byte_for_byte(
    cloud, stage, spy, block, window
):
    scene = stage(cloud, block=block, window=window)
    scene.board.heap = "112k"  # with all code loaded into it
    ears = spy(scene)
    scene.power_on()
    update(scene, image("1.1.0", SIZE))
    assert ears.blocks.keys() == set(range(-(-SIZE // block)))
    assert ears.accepted("SUCCEEDED") == 1


@pytest.mark.parametrize(("block", "window"), [(4096, 32_768), (131_072, 524_288)])
def test_update_in_cbor_of_full_size_arrives_byte_for_byte(cloud, stage, spy, block, window):
    scene = stage(cloud, block=block, window=window, stream_format="cbor")
    scene.board.heap = "112k"  # with all code loaded into it
    ears = spy(scene)
    scene.power_on()
    update(scene, image("1.1.0", SIZE))
    assert ears.blocks.keys() == set(range(-(-SIZE // block)))
    asked = {topic.rsplit("/", 1)[1] for topic, _ in ears.heard if topic.startswith("streams/")}
    assert asked == {"cbor"}
    assert ears.accepted("SUCCEEDED") == 1


@pytest.mark.parametrize("size", [180_223, 180_224, SMALL, SLOT])
def test_update_of_an_image_size_arrives_byte_for_byte(cloud, stage, size):
    scene = stage(cloud)
    scene.power_on()
    update(scene, image("1.1.0", size))


@pytest.mark.parametrize(
    ("block", "window"),
    [
        (512, 4_096),
        (1024, 5_000),
        (2048, 131_072),
        (4096, 4_096),
        (8192, 524_288),
        (65_536, 131_072),
    ],
)
def test_update_at_a_window_arrives_byte_for_byte(cloud, stage, block, window):
    scene = stage(cloud, block=block, window=window)
    scene.power_on()
    update(scene, image("1.1.0", SMALL))


# fmt: off
WAYS = {  # version → slot, and how it is deployed, in the order of the updates
    "1.1.0": ("ota_1", ("--signer-profile", "any")),  # signed by the cloud
    "1.2.0": ("ota_0", ("--retries", 1)),  # stream and document made by the command
    "1.3.0": ("ota_1", ("--retries", 1, "--protocol", "http")),
}
# fmt: on


def test_updates_one_after_the_other_change_slots_in_whatever_way_they_come(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    for version, (slot, words) in WAYS.items():
        line = ("--thing", scene.name, "--state", scene.root, "--wait", *words)
        printed = good("deploy", scene.file(image(version, SMALL)), *line)
        assert printed.splitlines()[1:] == [f"SUCCEEDED accepted v{version}"]
        assert scene.running == (slot, version)


def test_update_reports_progress_and_its_steps(faulty, stage, spy):
    slowly = faulty(delay={"topic": "/data/", "ms": 5})  # a block: enough for several reports
    scene = stage(slowly, block=256, window=4_096, report_s=1)
    ears = spy(scene)
    scene.power_on()
    update(scene, image("1.1.0", SMALL))
    assert ears.accepted("SUCCEEDED") == 1  # and so all before it was heard
    told = [body for topic, body in ears.heard if "jobs/" in topic and topic.endswith("/update")]
    received = [
        body["statusDetails"]["receive"] for body in told if "receive" in body["statusDetails"]
    ]
    assert received
    assert all(text.endswith(f"/{-(-SMALL // 256)}") for text in received)
    steps = [body["statusDetails"].get("self_test") for body in told]
    # in this order; one that a progress report has overtaken is said again, at the right version
    assert [*dict.fromkeys(step for step in steps if step)] == ["ready", "active"]
    assert told[-1]["status"] == "SUCCEEDED"
    assert all(body["status"] == "IN_PROGRESS" for body in told[:-1])


def test_update_after_other_jobs_in_the_same_life_with_little_heap(cloud, stage):
    """Jobs leave names in the heap, which last until the reset: at 100 KB and with a network there
    is no room for an update then, until the board has made some by one."""
    scene = stage(cloud, wifi={"ssid": "attic", "password": "sesame open"})
    scene.board.heap = "100k"  # with all code loaded into it
    scene.power_on()
    assert scene.settled(scene.job({"operation": "brew"})).status == "REJECTED"
    assert scene.settled(scene.job({"operation": "echo"})).status == "SUCCEEDED"
    update(scene, image("1.1.0", SMALL))
