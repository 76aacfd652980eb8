"""AWS's own clients use the local cloud's shadows: awsiotsdk over MQTT, boto3 over HTTP."""

import json
import queue

import awsiot
import pytest
from awscrt import mqtt_request_response
from awscrt.mqtt import QoS
from awsiot import iotshadow
from botocore.exceptions import ClientError
from patience import FUSE_S


@pytest.fixture
def client(connection):
    """The SDK's shadow client of requests and responses, and the thing's name."""
    made, name = connection
    options = mqtt_request_response.ClientOptions(
        max_request_response_subscriptions=8,
        max_streaming_subscriptions=2,
        operation_timeout_in_seconds=FUSE_S,
    )
    return iotshadow.IotShadowClientV2(made, options), name


def code_of(future) -> int:
    with pytest.raises(awsiot.V2ServiceException) as caught:
        future.result(FUSE_S)
    return caught.value.modeled_error.code


def test_sdk_gets_updates_and_deletes_the_shadow_classic(client):
    shadows, thing = client
    get = iotshadow.GetShadowRequest(thing_name=thing)
    assert code_of(shadows.get_shadow(get)) == 404
    state = iotshadow.ShadowState(desired={"window": 4}, reported={"window": 2})
    update = iotshadow.UpdateShadowRequest(thing_name=thing, state=state)
    updated = shadows.update_shadow(update).result(FUSE_S)
    assert (updated.version, updated.state.reported) == (1, {"window": 2})
    got = shadows.get_shadow(get).result(FUSE_S)
    assert (got.state.delta, got.version) == ({"window": 4}, 1)
    assert got.metadata.reported["window"]["timestamp"] > 0
    stale = iotshadow.UpdateShadowRequest(thing_name=thing, state=state, version=7)
    assert code_of(shadows.update_shadow(stale)) == 409
    delete = iotshadow.DeleteShadowRequest(thing_name=thing)
    assert shadows.delete_shadow(delete).result(FUSE_S).version == 1
    assert code_of(shadows.delete_shadow(delete)) == 404


def test_sdk_gets_updates_and_deletes_the_shadow_named(client):
    shadows, thing = client
    where = {"thing_name": thing, "shadow_name": "site"}
    get = iotshadow.GetNamedShadowRequest(**where)
    assert code_of(shadows.get_named_shadow(get)) == 404
    state = iotshadow.ShadowState(reported={"place": "roof"})
    update = iotshadow.UpdateNamedShadowRequest(**where, state=state)
    assert shadows.update_named_shadow(update).result(FUSE_S).version == 1
    got = shadows.get_named_shadow(get).result(FUSE_S)
    assert got.state.reported == {"place": "roof"}
    far = iotshadow.ShadowState(reported={"place": "x" * 8192})
    update = iotshadow.UpdateNamedShadowRequest(**where, state=far)
    assert code_of(shadows.update_named_shadow(update)) == 413
    delete = iotshadow.DeleteNamedShadowRequest(**where)
    assert shadows.delete_named_shadow(delete).result(FUSE_S).version == 1
    assert code_of(shadows.get_named_shadow(get)) == 404


def test_sdk_hears_deltas_and_documents_of_what_boto3_desires_heard(cloud, connection):
    made, thing = connection
    shadows = iotshadow.IotShadowClient(made)
    deltas: queue.Queue = queue.Queue()
    documents: queue.Queue = queue.Queue()
    request = iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name=thing)
    subscribe = shadows.subscribe_to_shadow_delta_updated_events
    subscribe(request, QoS.AT_LEAST_ONCE, deltas.put)[0].result(FUSE_S)
    request = iotshadow.ShadowUpdatedSubscriptionRequest(thing_name=thing)
    subscribe = shadows.subscribe_to_shadow_updated_events
    subscribe(request, QoS.AT_LEAST_ONCE, documents.put)[0].result(FUSE_S)
    payload = json.dumps({"state": {"desired": {"interval_s": 30}}})
    cloud.client("iot-data").update_thing_shadow(thingName=thing, payload=payload)
    heard = deltas.get(timeout=FUSE_S)
    assert (heard.state, heard.version) == ({"interval_s": 30}, 1)
    heard = documents.get(timeout=FUSE_S)
    assert heard.current.state.desired == {"interval_s": 30}


def test_sdk_streams_deltas_of_a_shadow_with_a_name(cloud, client):
    shadows, thing = client
    where = {"thing_name": thing, "shadow_name": "site"}
    deltas: queue.Queue = queue.Queue()
    states: queue.Queue = queue.Queue()
    request = iotshadow.NamedShadowDeltaUpdatedSubscriptionRequest(**where)
    options = awsiot.ServiceStreamOptions(deltas.put, states.put)
    stream = shadows.create_named_shadow_delta_updated_stream(request, options)
    stream.open()
    established = mqtt_request_response.SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED
    assert states.get(timeout=FUSE_S).type == established
    payload = json.dumps({"state": {"desired": {"interval_s": 30}}})
    data = cloud.client("iot-data")
    data.update_thing_shadow(thingName=thing, shadowName="site", payload=payload)
    assert deltas.get(timeout=FUSE_S).state == {"interval_s": 30}


def test_sdk_classic_client_hears_a_refusal_of_a_named_shadow(connection):
    made, thing = connection
    shadows = iotshadow.IotShadowClient(made)
    refusals: queue.Queue = queue.Queue()
    where = {"thing_name": thing, "shadow_name": "site"}
    request = iotshadow.GetNamedShadowSubscriptionRequest(**where)
    subscribe = shadows.subscribe_to_get_named_shadow_rejected
    subscribe(request, QoS.AT_LEAST_ONCE, refusals.put)[0].result(FUSE_S)
    request = iotshadow.GetNamedShadowRequest(**where, client_token="t")
    shadows.publish_get_named_shadow(request, QoS.AT_LEAST_ONCE).result(FUSE_S)
    refusal = refusals.get(timeout=FUSE_S)
    assert (refusal.code, refusal.client_token) == (404, "t")


def test_boto3_updates_gets_lists_and_deletes_shadows(cloud):
    thing = cloud.thing("shade-boto3")
    data = cloud.client("iot-data")
    payload = json.dumps({"state": {"reported": {"a": 1}}, "clientToken": "b"})
    answer = data.update_thing_shadow(thingName=thing, shadowName="site", payload=payload)
    assert json.loads(answer["payload"].read())["clientToken"] == "b"
    answer = data.get_thing_shadow(thingName=thing, shadowName="site")
    assert json.loads(answer["payload"].read())["state"] == {"reported": {"a": 1}}
    assert data.list_named_shadows_for_thing(thingName=thing)["results"] == ["site"]
    answer = data.delete_thing_shadow(thingName=thing, shadowName="site")
    assert json.loads(answer["payload"].read())["version"] == 1
    assert data.list_named_shadows_for_thing(thingName=thing)["results"] == []


@pytest.mark.parametrize(
    ("payload", "error", "status"),
    [
        ('{"state":{},"version":9}', "ConflictException", 409),
        ("{}", "InvalidRequestException", 400),
        (
            '{"state":{"reported":{"a":"%s"}}}' % ("x" * 8192),
            "RequestEntityTooLargeException",
            413,
        ),
        (b"\xff", "UnsupportedDocumentEncodingException", 415),
    ],
)
def test_boto3_update_against_the_rules_is_refused_as_the_model_says(
    cloud, payload, error, status
):
    data = cloud.client("iot-data")
    with pytest.raises(ClientError) as caught:
        data.update_thing_shadow(thingName=cloud.thing("shade-refused"), payload=payload)
    assert caught.value.response["Error"]["Code"] == error
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_boto3_get_of_no_shadow_is_not_found(cloud):
    data = cloud.client("iot-data")
    with pytest.raises(ClientError) as caught:
        data.get_thing_shadow(thingName=cloud.thing("shade-none"))
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
