"""The shadow of a board, as the cloud's users see it: boto3's iot-data, and awsiotsdk's client."""

import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from awscrt import mqtt_request_response
from awsiot import iotshadow, mqtt_connection_builder
from patience import FUSE_S
from shadows import data, desire, reported, settled, state
from stage import Stage, image, soon
from thing_policy import allows

from sluice import __version__

SMALL = 180_224  # bytes
QUIET_S = 1.5  # without a word, so that a conversation counts as ended
DEFAULTS = {"log": "I", "report_s": 1, "poll_s": 900, "block": 4096, "window": 262_144}


def test_shadow_says_what_the_board_is_before_and_after_an_update(cloud, stage):
    """Beside it: the policy on the page allows all that a board does meanwhile."""
    scene = stage(cloud)
    cloud.overhear()
    scene.power_on()
    first = reported(scene)
    assert 1_000 < first.pop("free") < 120_000
    assert re.fullmatch(r"1\.\d+\.\d+", first.pop("micropython"))
    assert first == {
        "version": "1.0.0",
        "nrf_cloud_app_fw_version": "1.0.0",  # as document 001 has it
        "slot": "ota_0",
        "trial": False,
        "board": "SIM_ESP32",
        "reset": "power-on",
        "agent": __version__,
        "settings": DEFAULTS,
    }
    job = scene.deploy(image("1.1.0", SMALL))
    assert scene.verdict(job).status == "SUCCEEDED"
    soon(lambda: reported(scene).get("trial") is False and "job" in reported(scene), FUSE_S)
    after = reported(scene)
    assert (after["version"], after["slot"], after["reset"]) == ("1.1.0", "ota_1", "hard")
    assert after["job"] == {"id": job, "status": "SUCCEEDED", "reason": "accepted v1.1.0"}
    refused = scene.job({"operation": "none_of_ours"})
    assert scene.verdict(refused).status == "REJECTED"
    soon(lambda: reported(scene)["job"]["id"] == refused, FUSE_S)
    assert reported(scene)["job"]["status"] == "REJECTED"
    assert reported(scene)["job"]["reason"] == "unknown operation none_of_ours"
    for action, topics in cloud.packets(scene.name).items():
        assert topics, action
        assert not [topic for topic in topics if not allows(action, topic, scene.name)], action


def test_shadow_with_a_name_leaves_the_classic_one_alone(cloud, stage):
    scene = stage(cloud, shadow="fleet:$1", report_version="fw")
    scene.power_on()
    listed = data(scene.cloud).list_named_shadows_for_thing(thingName=scene.name)
    assert listed["results"] == ["fleet:$1"] and not state(scene)
    assert reported(scene, "fleet:$1")["fw"] == "1.0.0"
    desire(scene, {"report_s": 7}, "fleet:$1")
    settled(scene, "report_s", 7, "fleet:$1")
    assert not state(scene)


def test_desired_settings_are_taken_reported_and_kept_over_a_reboot(cloud, stage):
    scene = stage(cloud, shadow="classic")
    board = scene.power_on()
    wanted = {"log": "D", "report_s": 30, "poll_s": 60, "block": 1024, "window": 65_536}
    desire(scene, wanted)
    settled(scene, "window", 65_536)
    found = state(scene)
    assert found["reported"]["settings"] == wanted and "delta" not in found
    board.stop()
    payload = json.dumps({"state": {"desired": None}})
    data(cloud).update_thing_shadow(thingName=scene.name, payload=payload)
    scene.power_on()
    assert reported(scene)["settings"] == wanted


def test_desired_settings_while_the_board_was_off_are_taken_at_its_start(cloud, stage):
    scene = stage(cloud, shadow="classic")
    desire(scene, {"report_s": 30})
    scene.power_on()
    assert reported(scene)["settings"]["report_s"] == 30
    assert "delta" not in state(scene)


def test_desired_settings_that_will_not_do_are_answered_once_and_stay_in_the_delta(
    cloud, stage, spy
):
    scene = stage(cloud, shadow="classic")
    ears = spy(scene)
    board = scene.power_on()
    desire(scene, {"report_s": 9, "window": 0, "endpoint": "elsewhere"})
    settled(scene, "report_s", 9)
    found = state(scene)
    assert sorted(found["reported"]["refused"]) == [
        "endpoint is not to be changed",
        "window is out of bounds (4096 to 524288)",
    ]
    assert found["delta"]["settings"] == {"window": 0, "endpoint": "elsewhere"}
    board.wait_for("shadow refused: window is out of bounds")
    told = [body for topic, body in ears.heard if topic == "shadow/update"]
    with pytest.raises(AssertionError):  # the board has said what there is to say
        soon(lambda: len(heard(ears)) > len(told) + 1, QUIET_S)
    desire(scene, {"window": 65_536, "endpoint": None})
    settled(scene, "window", 65_536)
    found = state(scene)
    assert "refused" not in found["reported"] and "delta" not in found


def heard(ears) -> list:
    """The updates of the shadow so far."""
    return [body for topic, body in ears.heard if topic == "shadow/update"]


def test_desired_block_during_a_download_is_for_the_next_job(cloud, stage, spy):
    scene = stage(cloud, shadow="classic", block=256, window=4_096)
    board = scene.power_on()
    ears = spy(scene)
    first = scene.deploy(image("1.1.0", SMALL))
    board.wait_for("update open")
    soon(lambda: ears.blocks, FUSE_S)
    desire(scene, {"block": 8192})
    assert scene.verdict(first).status == "SUCCEEDED", scene.tail
    assert ears.blocks.keys() == set(range(SMALL // 256))
    settled(scene, "block", 8192)
    second = scene.deploy(image("1.2.0", SMALL))
    assert scene.verdict(second).status == "SUCCEEDED", scene.tail
    asked = [body for topic, body in ears.heard if topic.endswith("/get/json")]
    assert asked[-1]["l"] == 8192


def test_kept_settings_that_are_broken_are_passed_over_and_said(cloud, stage):
    scene = stage(cloud, shadow="classic")
    board = scene.power_on()
    board.stop()
    board.write_file("/settings.json", b'{"report_s": 30')
    scene.power_on()
    board.wait_for("as configured, not as changed")
    assert reported(scene)["settings"] == DEFAULTS


def test_shadow_too_large_to_be_read_or_told_stops_nothing_and_is_said(cloud, stage):
    scene = stage(cloud, shadow="classic")

    def fill(size: int) -> None:
        payload = json.dumps({"state": {"desired": {"album": "x" * size}}})
        data(cloud).update_thing_shadow(thingName=scene.name, payload=payload)

    fill(8_100)  # 8 KiB hold that, and no report
    board = scene.power_on()
    board.wait_for("shadow not told.*413")
    assert "reported" not in state(scene)
    fill(5_000)
    soon(lambda: state(scene).get("reported"), FUSE_S)
    assert reported(scene)["refused"] == ["it cannot be read"]
    assert sum("not told" in line for line in board.lines) == 1
    assert scene.verdict(scene.job({"operation": "echo", "text": "still here"})).reason == (
        "still here"
    )


def test_update_of_full_size_beside_a_shadow_passes_with_a_heap_of_80_kb(cloud, stage):
    """With all code in it."""
    scene = stage(cloud, shadow="classic")
    scene.board.heap = "112k"
    scene.power_on()
    desire(scene, {"window": 65_536})
    settled(scene, "window", 65_536)
    job = scene.deploy(image("1.1.0"))
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    soon(lambda: reported(scene).get("job", {}).get("id") == job, FUSE_S)
    assert scene.fits, scene.tail


# -- AWS's own client, as the cloud's user -----------------------------------------------


@pytest.fixture
def operator(cloud, tmp_path) -> Iterator:
    """A function: (scene) → the device SDK's shadow client with a certificate of its own."""
    connections = []

    def connect(scene: Stage) -> iotshadow.IotShadowClientV2:
        files = cloud.credentials(scene.name, tmp_path)
        connection = mqtt_connection_builder.mtls_from_path(
            endpoint="localhost",
            port=cloud.state.running()["mqtt_port"],
            ca_filepath=str(cloud.state.root_ca),
            cert_filepath=str(files[0]),
            pri_key_filepath=str(files[1]),
            client_id=f"operator-{uuid.uuid4().hex[:8]}",
        )
        waited(connection.connect())
        connections.append(connection)
        options = mqtt_request_response.ClientOptions(
            max_request_response_subscriptions=8,
            max_streaming_subscriptions=2,
            operation_timeout_in_seconds=FUSE_S,
        )
        return iotshadow.IotShadowClientV2(connection, options)

    yield connect
    for connection in connections:
        waited(connection.disconnect())


def waited(future: Future):
    """What it comes to."""
    return future.result(FUSE_S)


def test_sdk_desires_settings_and_reads_what_the_board_made_of_them(cloud, stage, operator):
    scene = stage(cloud, shadow="fleet")
    scene.power_on()
    shadows = operator(scene)
    where = {"thing_name": scene.name, "shadow_name": "fleet"}
    wanted = iotshadow.ShadowState(desired={"settings": {"report_s": 30, "window": 0}})
    request = iotshadow.UpdateNamedShadowRequest(**where, state=wanted)
    waited(shadows.update_named_shadow(request))
    settled(scene, "report_s", 30, "fleet")
    got = waited(shadows.get_named_shadow(iotshadow.GetNamedShadowRequest(**where))).state
    assert got.reported["refused"] == ["window is out of bounds (4096 to 524288)"]
    assert got.delta == {"settings": {"window": 0}}
    assert got.reported["settings"]["report_s"] == 30
