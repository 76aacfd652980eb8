"""The cloud says what AWS said in source documents 000 and 002."""

import base64
import json
from pathlib import Path

import pytest

from host_tools.cloud.names import arn

VECTORS = Path(__file__).parents[2] / "vectors"
CREATED = 1_639_124_162
STARTED = 1_639_124_496
ASKED = 1_640_148_187
STREAM = "AFR_OTA-ed09f158-b222-4669-b811-451e36868c9a"


def vectors(name: str) -> dict[str, dict]:
    found = json.loads((VECTORS / name).read_text())
    return {message["name"]: message for message in found["messages"]}


def handled(world, message: dict) -> list:
    """The cloud's messages to a recorded publication."""
    _, _, thing, service, *levels = message["topic"].split("/")
    handle = {"jobs": world.jobs.handle, "streams": world.streams.handle}[service]
    return handle(thing, levels, message["payload"].encode())


@pytest.fixture
def update(world, monkeypatch):
    """The OTA update of document 000, created and started at the times it shows."""
    said = vectors("000_jobs_and_streams.json")
    execution = json.loads(said["execution"]["payload"])["execution"]
    file = execution["jobDocument"]["afr_ota"]["files"][0]
    data = base64.b64decode(json.loads(said["data"]["payload"])["p"])
    monkeypatch.setattr("uuid.uuid4", lambda: STREAM.removeprefix("AFR_OTA-"))
    world.things.create("mqttfx")
    world.put(data)
    world.now = CREATED
    signature = {
        "signature": {"inlineDocument": base64.b64decode(file["sig-sha256-ecdsa"])},
        "certificateChain": {"certificateName": file["certfile"]},
        "hashAlgorithm": "SHA256",
        "signatureAlgorithm": "ECDSA",
    }
    world.updates.create(
        {
            "otaUpdateId": "GD32-007",
            "targets": [arn("thing", "mqttfx")],
            "roleArn": "arn:aws:iam::123456789012:role/any",
            "files": [
                {
                    "fileName": file["filepath"],
                    "fileLocation": {"s3Location": {"bucket": "images", "key": "image.bin"}},
                    "codeSigning": {"customCodeSigning": signature},
                }
            ],
        }
    )
    world.now = STARTED
    world.ask("jobs/start-next", thing="mqttfx")
    world.now = ASKED
    return world, said


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("next", "execution"), ("describe", "description"), ("get", "data")],
)
def test_document_000_request_gets_the_recorded_answer(update, asked, answered):
    world, said = update
    [answer] = handled(world, said[asked])
    assert answer.topic == said[answered]["topic"]
    wanted = json.loads(said[answered]["payload"])
    assert json.loads(answer.payload) == wanted
    assert list(json.loads(answer.payload)) == list(wanted)


def test_document_000_execution_has_its_keys_in_the_recorded_order(update):
    world, said = update
    [answer] = handled(world, said["next"])
    wanted = json.loads(said["execution"]["payload"])
    assert answer.payload == json.dumps(wanted, separators=(",", ":")).encode()


def test_document_002_conversation_has_the_recorded_sizes_and_order(world):
    said = vectors("002_w800_jobs.json")
    world.things.create("wm_demo_1")
    world.job("AFR_OTA-3", {"afr_ota": {"protocols": ["MQTT"]}}, thing="wm_demo_1")
    [started] = handled(world, said["start"])
    assert (started.topic, started.qos) == (said["started"]["topic"], said["started"]["qos"])
    assert b'"status":"IN_PROGRESS"' in started.payload

    updated, listed, nothing = handled(world, said["succeeded"])
    for message, name in ((updated, "updated"), (nothing, "nothing")):
        recorded = said[name]
        assert (message.topic, message.qos) == (recorded["topic"], recorded["qos"])
        assert len(message.payload) == recorded["payload_bytes"]
    assert listed.topic.endswith("/jobs/notify")
    assert json.loads(nothing.payload) == {"timestamp": int(world.now)}


def test_document_002_reboot_job_is_announced_and_may_succeed_at_once(world):
    said = vectors("002_w800_jobs.json")
    world.things.create("wm_demo_1")
    world.job("reboot", {"operation": "reboot"}, thing="wm_demo_1")
    announced = world.sent[-1]
    assert (announced.topic, announced.qos) == (said["reboot"]["topic"], said["reboot"]["qos"])
    updated, *_ = handled(world, said["rebooted"])
    assert updated.topic == said["rebooted"]["topic"] + "/accepted"
