"""What goes wrong on purpose, goes wrong as its rule says."""

import base64
import json
import os
import queue
import time
import urllib.error
import urllib.request

import pytest
from patience import FUSE_S

from sluice.cloud.faults import BLOCK_FAULTS, KEYS, Faults
from sluice.cloud.message import Message
from sluice.cloud.names import arn
from sluice.errors import SluiceError


def block(index: int) -> Message:
    payload = json.dumps({"i": index, "p": base64.b64encode(bytes(300)).decode()}).encode()
    return Message("$aws/things/pump/streams/s/data/json", payload, 0, index)


def answer(topic: str = "jobs/one/update/accepted") -> Message:
    return Message(f"$aws/things/pump/{topic}", b"{}")


@pytest.fixture
def faults(tmp_path):
    """A maker of faults from their rules."""

    def make(**rules) -> Faults:
        (tmp_path / "faults.json").write_text(json.dumps(rules))
        return Faults(tmp_path / "faults.json")

    return make


def sent(faults: Faults, messages: list[Message]) -> list[int | None]:
    """The blocks that are left, by index; sessions ended are not looked at."""
    return [message.block for message in faults.after(messages, lambda thing: None)]


def test_refusal_repeats_the_requests_token(faults):
    made = faults(reject={"code": "InternalError"})
    [refused] = made.before("$aws/things/pump/jobs/one/update", b'{"clientToken":"t1"}')
    assert json.loads(refused.payload)["clientToken"] == "t1"
    [refused] = made.before("$aws/things/pump/streams/s/get/json", b'{"c":"t2"}')
    assert json.loads(refused.payload)["c"] == "t2"


def test_no_file_changes_nothing():
    messages = [block(0), answer(), block(1)]
    assert Faults().after(messages, lambda thing: None) == messages
    assert Faults().before("$aws/things/pump/jobs/get") is None


def test_blocks_are_dropped_by_index_as_often_as_said(faults):
    made = faults(drop_blocks={"blocks": [1, 2], "times": 1})
    assert sent(made, [block(n) for n in range(4)]) == [0, 3]
    assert sent(made, [block(n) for n in range(4)]) == [0, 1, 2, 3]


def test_every_nth_block_is_dropped_always(faults):
    made = faults(drop_blocks={"every": 3})
    assert sent(made, [block(n) for n in range(7)]) == [0, 1, 3, 4, 6]
    assert sent(made, [block(n) for n in range(2)]) == [0]


def test_blocks_are_sent_twice(faults):
    made = faults(duplicate_blocks={"blocks": [1]})
    assert sent(made, [block(0), block(1)]) == [0, 1, 1]


def test_answer_is_sent_last_block_first(faults):
    made = faults(reorder_blocks={"blocks": [2], "times": 1})
    assert sent(made, [block(0), block(1)]) == [0, 1]
    assert sent(made, [block(1), block(2), block(3)]) == [3, 2, 1]
    assert sent(made, [block(1), block(2)]) == [1, 2]


def test_corrupt_block_is_readable_and_wrong(faults):
    [message] = faults(corrupt_blocks={"blocks": [0]}).after([block(0)], lambda thing: None)
    body = json.loads(message.payload)
    data = base64.b64decode(body["p"], validate=True)
    assert (len(data), data == bytes(300), message.block) == (300, False, 0)


def test_truncated_block_is_readable_and_short(faults):
    [message] = faults(truncate_blocks={"blocks": [0]}).after([block(0)], lambda thing: None)
    assert len(base64.b64decode(json.loads(message.payload)["p"])) == 297


def test_session_is_ended_when_the_block_is_due(faults):
    kicked = []
    made = faults(disconnect={"blocks": [1], "times": 1})
    left = made.after([block(0), block(1), block(2)], kicked.append)
    assert ([message.block for message in left], kicked) == ([0, 2], ["pump"])


def test_request_is_refused_by_code_as_often_as_said(faults):
    made = faults(reject={"topic": "/update", "code": "RequestThrottled", "times": 1})
    assert made.before("$aws/things/pump/jobs/get") is None
    [refusal] = made.before("$aws/things/pump/jobs/one/update")
    assert refusal.topic == "$aws/things/pump/jobs/one/update/rejected"
    assert json.loads(refusal.payload)["code"] == "RequestThrottled"
    assert made.before("$aws/things/pump/jobs/one/update") is None


def test_stream_request_is_refused_on_its_own_topic(faults):
    [refusal] = faults(reject={"code": "InternalError"}).before(
        "$aws/things/pump/streams/s/get/json"
    )
    assert refusal.topic == "$aws/things/pump/streams/s/rejected/json"
    body = json.loads(refusal.payload)
    assert (body["o"], body["code"]) == ("InternalError", "InternalError")


def test_request_is_met_with_silence(faults):
    assert faults(silence={"topic": "start-next"}).before("$aws/x/start-next") == []


def test_accepted_answer_is_lost_and_the_notice_is_not(faults):
    made = faults(drop_accepted={"topic": "/update"})
    notice = answer("jobs/notify")
    assert made.after([answer(), notice], lambda thing: None) == [notice]


def test_answer_is_delayed(faults, monkeypatch):
    made, slept = faults(delay={"ms": 60, "times": 1}), []
    monkeypatch.setattr(time, "sleep", slept.append)
    made.after([answer(), answer()], lambda thing: None)
    assert slept == [0.06]


def test_file_is_read_again_when_it_changes(tmp_path, faults):
    made = faults(drop_blocks={"blocks": [0]})
    assert sent(made, [block(0)]) == []
    (tmp_path / "faults.json").write_text("{}")
    os.utime(tmp_path / "faults.json", (1, 1))
    made.refresh()
    assert sent(made, [block(0)]) == [0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"drop": {}}', "no fault 'drop'"),
        ('{"drop_blocks": {"topic": "x"}}', "takes blocks, every, times"),
        ('{"drop_blocks": 5}', "takes blocks, every, times"),
        ('{"delay": {"ms": "5"}}', 'ms of delay cannot be "5"'),
        ('{"delay": {"ms": -5}}', "ms of delay cannot be -5"),
        ('{"delay": {"topic": 5}}', "topic of delay cannot be 5"),
        ('{"silence": {"times": true}}', "times of silence cannot be true"),
        ('{"drop_blocks": {"blocks": 5}}', "blocks of drop_blocks cannot be 5"),
        ('{"drop_blocks": {"blocks": ["5"]}}', "blocks of drop_blocks cannot be"),
        ('{"fail_http": {"code": "503"}}', "code of fail_http cannot be"),
        ('{"reject": {"code": null}}', "code of reject cannot be null"),
    ],
)
def test_file_of_no_sense_is_said_to_be(tmp_path, text, words):
    (tmp_path / "faults.json").write_text(text)
    with pytest.raises(SluiceError, match=words):
        Faults(tmp_path / "faults.json")


def test_file_that_loses_its_sense_is_told_once_and_the_rules_stay(tmp_path, faults):
    made = faults(drop_blocks={"blocks": [0]})
    for ruin in (lambda file: file.write_text("{"), lambda file: file.unlink()):
        ruin(tmp_path / "faults.json")
        with pytest.raises(SluiceError):
            made.refresh()
        made.refresh()
    assert sent(made, [block(0)]) == []


def test_every_block_fault_takes_the_keys_of_blocks():
    assert all(KEYS[name] == {"blocks", "every", "times"} for name in BLOCK_FAULTS)


def test_real_cloud_obeys_the_file_and_its_changes(own_cloud, device, tmp_path):
    rules = tmp_path / "faults.json"
    rules.write_text(json.dumps({"silence": {"topic": "jobs/get", "times": 1}}))
    own_cloud.start("--port=0", "--http-port=0", "--faults", rules)
    board = device(own_cloud, "unlucky")
    board.patience_s = 0.5
    with pytest.raises(queue.Empty):
        board.ask("jobs/get")
    board.patience_s = FUSE_S
    assert board.ask("jobs/get")[0] == "jobs/get/accepted"

    s3, iot = own_cloud.client("s3"), own_cloud.client("iot")
    s3.create_bucket(Bucket="images")
    s3.put_object(Bucket="images", Key="a", Body=bytes(1000))
    files = [{"fileId": 0, "s3Location": {"bucket": "images", "key": "a"}}]
    iot.create_stream(streamId="flow", files=files, roleArn="r" * 20)
    document = json.dumps({"stream": "flow"})
    iot.create_job(jobId="flow", targets=[arn("thing", "unlucky")], document=document)
    rules.write_text(json.dumps({"disconnect": {"blocks": [2], "times": 1}}))
    request = {"f": 0, "l": 256, "o": 2, "n": 1}
    deadline = time.monotonic() + FUSE_S
    while board.lost.empty():  # blocks arrive until the changed file has been read
        assert time.monotonic() < deadline
        board.publish("streams/flow/get/json", request)
        time.sleep(0.05)
    rules.write_text(json.dumps({"fail_http": {"path": "/images/"}}))
    address = json.loads(own_cloud.state.ready.read_text())["http_endpoint"] + "/images/a"
    while (status := status_of(address)) != 503:  # a stranger is refused until then
        assert status == 403 and time.monotonic() < deadline
        time.sleep(0.05)
    assert own_cloud.client("iot").describe_thing(thingName="unlucky")["thingArn"] == arn(
        "thing", "unlucky"
    )


def status_of(address: str) -> int:
    """The HTTP status of an address that gives an error."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address, timeout=FUSE_S)
    with caught.value:
        return caught.value.code
