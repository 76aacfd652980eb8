"""The cloud says what AWS said in source documents 000 to 003; 004 is with the products."""

import base64
import json
import re
from pathlib import Path

import pytest

from sluice.cloud.names import arn

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


def test_document_001_conversation_has_the_drawn_answers(world):
    said = vectors("001_http_update.json")
    assert said["download"]["topic"].endswith("/jobs/<jobId>/update")
    key, version = re.fullmatch(r"\{(\w+): (\S+)\}", said["version"]["text"]).groups()
    answers = world.ask("shadow/update", {"state": {"reported": {key: version}}})
    assert answers[0][0] == "shadow/update/accepted"
    world.job("one", {"operation": "app_fw_update", "location": {"protocol": "http:"}})
    [path, _] = [path for path, _ in world.notices()][::-1]
    assert said["job"]["topic"].endswith(path)
    for version, name in enumerate(("download", "apply", "succeeded"), 1):
        status, step = re.findall(r": (\w+)", said[name]["text"])
        request = {"status": status, "statusDetails": {"nextState": step}, "clientToken": ""}
        [(path, body), *_] = world.ask(
            "jobs/one/update", request | {"expectedVersion": str(version)}
        )
        assert (path, body["clientToken"]) == ("jobs/one/update/accepted", "")
    row = world.executions.find("pump", "one")
    assert (row["status"], json.loads(row["details"])) == ("SUCCEEDED", {"nextState": "none"})


def commented(message: dict) -> dict:
    """A message of document 003 as JSON, from its text and not from our copy of it."""
    return json.loads(re.sub(r"\s//.*", "", message["text"]))


@pytest.fixture
def said_003(world):
    """Document 003's messages, and its thing with its custom job in the queue."""
    said = vectors("003_jobs.json")
    for message in said.values():
        if "payload" in message:
            assert json.loads(message["payload"]) == commented(message)
    world.things.create("deviceID")
    world.now = 1_625_268_804
    world.job("test_job", commented(said["custom"]), thing="deviceID")
    return said


def test_document_003_pending_executions_are_listed_as_recorded(world, said_003):
    wanted = commented(said_003["pending"])
    world.now = wanted["timestamp"]
    [(_, got)] = world.ask("jobs/get", commented(said_003["get"]), thing="deviceID")
    assert got == wanted


def test_document_003_next_execution_is_described_as_recorded(world, said_003):
    wanted = commented(said_003["described"])
    world.ask("jobs/test_job/update", {"status": "REJECTED"}, thing="deviceID")
    world.now = wanted["execution"]["queuedAt"]
    document = wanted["execution"]["jobDocument"]
    world.job(wanted["execution"]["jobId"], document, thing="deviceID")
    world.now = wanted["timestamp"]
    request = {"executionNumber": 1, "includeJobDocument": True, "clientToken": "string"}
    assert set(request) == fields(said_003["next"])
    [(_, got)] = world.ask("jobs/$next/get", request, thing="deviceID")
    assert got == wanted


def test_document_003_job_is_started_as_recorded(world, said_003):
    wanted = commented(said_003["started"])
    world.now = wanted["timestamp"]
    request = {"statusDetails": {"string": "job-execution-state"}, "stepTimeoutInMinutes": 10}
    request["clientToken"] = "string"
    assert set(request) | {"string"} == fields(said_003["start"])
    [(_, got)] = world.ask("jobs/start-next", request, thing="deviceID")
    assert got == wanted


def test_document_003_update_takes_every_field_it_names(world, said_003):
    request = {
        "status": "SUCCEEDED",
        "statusDetails": {"string": "string"},
        "expectedVersion": "1",
        "executionNumber": 1,
        "includeJobExecutionState": True,
        "includeJobDocument": True,
        "stepTimeoutInMinutes": 10,
        "clientToken": "string",
    }
    assert set(request) | {"string"} == fields(said_003["update"])
    (path, got), *_ = world.ask("jobs/test_job/update", request, thing="deviceID")
    assert path == "jobs/test_job/update/accepted"
    assert got == {
        "clientToken": "string",
        "timestamp": int(world.now),
        "executionState": {
            "status": "SUCCEEDED",
            "versionNumber": 2,
            "statusDetails": {"string": "string"},
        },
        "jobDocument": commented(said_003["custom"]),
    }


def fields(message: dict) -> set[str]:
    """The names of a request's members, at any depth."""
    return set(re.findall(r'"(\w+)":', message["text"]))
