"""boto3's "iot-data" publishes to things, and to the services of reserved topics."""

import json

import pytest
from botocore.exceptions import ClientError


@pytest.mark.parametrize("qos", [0, 1])
def test_boto3_publishes_to_a_subscriber_at_the_quality_asked_for(cloud, device, qos):
    board, data = device(cloud, "heard", listen=False), cloud.client("iot-data")
    topic = f"sluice/heard/{qos}/ünit $1"
    (granted,) = board.subscribe(topic)
    assert not granted.is_failure
    data.publish(topic=topic, qos=qos, payload=b"\0\xff")
    got = board.message()
    assert (got.topic, got.payload, got.qos, got.retain) == (topic, b"\0\xff", qos, False)


def test_boto3_publishes_without_quality_and_payload(cloud, device):
    board, data = device(cloud, "heard", listen=False), cloud.client("iot-data")
    board.subscribe("sluice/heard/empty")
    data.publish(topic="sluice/heard/empty")
    got = board.message()
    assert (got.payload, got.qos) == (b"", 0)


def test_boto3_publication_on_a_reserved_topic_is_a_request(cloud, device):
    board, data = device(cloud, "reserved", listen=False), cloud.client("iot-data")
    board.subscribe(f"{board.topic}/shadow/update/accepted")
    payload = json.dumps({"state": {"reported": {"a": 1}}})
    data.publish(topic=f"{board.topic}/shadow/update", payload=payload)
    assert board.next()[1]["state"] == {"reported": {"a": 1}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"retain": True}, "nothing retained over HTTPS"),
        ({"qos": 2}, "qos"),
        ({"topic": "a/+"}, "none of + and #"),
        ({"topic": "$CONTROL/dynamic-security/v1"}, "a topic of the broker's own"),
        ({"topic": "a" * 257}, "1 to 256 bytes"),
        ({"payload": b"x" * ((128 << 10) + 1)}, "131072 bytes at most"),
        ({"messageExpiry": 5}, "messageExpiry"),
        ({"contentType": "text/plain"}, "contentType"),
    ],
)
def test_boto3_publication_that_cannot_be_is_refused(cloud, given, words):
    with pytest.raises(ClientError) as caught:
        cloud.client("iot-data").publish(**{"topic": "a"} | given)
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidRequestException"
    assert words in error["Message"]
