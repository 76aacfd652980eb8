"""Rights over the real broker: what attached policies allow happens, what they do not does not."""

import json
import queue

import paho.mqtt.client as mqtt
import pytest
from patience import FUSE_S, NEVER_S
from test_cloud_broker import equip, wait
from test_cloud_policies import NAME, document, row, thing_policy_text

from sluice.cloud.names import arn

OWN = row("iot:Connect", NAME)


class Lab:
    """Things made by boto3's calls, each with a certificate and policies of its own."""

    def __init__(self, cloud, device) -> None:
        self.iot = cloud.client("iot")
        self.cloud, self._device = cloud, device
        self.port = json.loads(cloud.state.ready.read_text())["mqtt_port"]

    def thing(self, name: str, *rows: dict) -> str:
        """Make it; returns its certificate's ARN."""
        self.iot.create_thing(thingName=name)
        made = self.iot.create_keys_and_certificate(setAsActive=True)
        self.iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
        key = made["keyPair"]["PrivateKey"]
        equip(self.cloud.state, name, made["certificatePem"], key, self.port)
        if rows:
            self.attach(name, made["certificateArn"], *rows)
        return made["certificateArn"]

    def attach(self, name: str, target: str, *rows: dict) -> None:
        self.iot.create_policy(policyName=name, policyDocument=document(*rows))
        self.iot.attach_policy(policyName=name, target=target)

    def board(self, name: str, **more: str):
        return self._device(self.cloud, name, listen=False, **more)


@pytest.fixture
def lab(cloud, device):
    return Lab(cloud, device)


def silent(board) -> bool:
    """Whether nothing comes for a while."""
    board.patience_s = NEVER_S
    try:
        return board.message() is None
    except queue.Empty:
        return True
    finally:
        board.patience_s = FUSE_S


def delivered(board, topic: str, payload: bytes) -> bool:
    """Whether what the board publishes comes back to it: what it publishes later does."""
    board.client.publish(topic, payload, 1)
    board.client.publish("dt/echo", b"end", 1)
    got = []
    while b"end" not in got:
        got.append(board.message().payload)
    return payload in got


ECHO = row(["iot:Publish", "iot:Receive"], "dt/echo"), row("iot:Subscribe", "dt/*")


def test_topics_of_the_application_are_delivered_when_the_policy_allows(lab):
    lab.thing("app-1", OWN, *ECHO, row(["iot:Publish", "iot:Receive"], f"dt/{NAME}/*"))
    board = lab.board("app-1")
    assert not board.subscribe("dt/#")[0].is_failure
    assert delivered(board, "dt/app-1/a/b", b"own")
    assert not delivered(board, "dt/app-2/a/b", b"foreign")
    assert not delivered(board, "dt/app-1", b"above")


def test_subscription_without_the_right_to_is_refused(lab):
    lab.thing("narrow", OWN, row("iot:Subscribe", f"dt/{NAME}/*", "dt/+/all"))
    codes = lab.board("narrow").subscribe(
        "dt/narrow/x", "dt/narrow/#", "dt/+/all", "dt/a/all", "dt/#", "#", "dt/other/x"
    )
    assert [code.is_failure for code in codes] == [False, False, False, True, True, True, True]


def test_what_may_be_subscribed_to_is_received_only_with_the_right_to(lab):
    lab.thing("deaf", OWN, *ECHO, row("iot:Publish", "dt/*"), row("iot:Receive", "dt/heard"))
    board = lab.board("deaf")
    board.subscribe("dt/#")
    assert delivered(board, "dt/heard", b"1")
    assert not delivered(board, "dt/unheard", b"2")


def test_deny_comes_before_allow_whichever_policy_says_it(lab):
    both = ["iot:Publish", "iot:Receive"]
    arn_ = lab.thing("denied", OWN, *ECHO, row(both, "dt/*"))
    board = lab.board("denied")
    board.subscribe("dt/#")
    assert delivered(board, "dt/secret/a", b"before")
    lab.attach("denied-more", arn_, row("iot:Publish", "dt/secret/*", effect="Deny"))
    assert not delivered(board, "dt/secret/a", b"after")
    assert delivered(board, "dt/open/a", b"beside")
    assert board.lost.empty()  # no session ends because of a change


def test_right_is_in_force_when_the_call_that_gives_it_returns(lab):
    certificate = lab.thing("prompt", OWN, *ECHO)
    board = lab.board("prompt")
    board.subscribe("dt/#")
    for number in range(10):
        both = row(["iot:Publish", "iot:Receive"], f"dt/{number}")
        assert not delivered(board, f"dt/{number}", b"early")
        lab.attach(f"prompt-{number}", certificate, both)
        assert delivered(board, f"dt/{number}", b"prompt")
        lab.iot.detach_policy(policyName=f"prompt-{number}", target=certificate)
        assert not delivered(board, f"dt/{number}", b"late")


def test_default_version_of_a_policy_is_in_force(lab):
    lab.thing("versions", OWN, *ECHO)
    board = lab.board("versions")
    board.subscribe("dt/#")
    more = document(OWN, *ECHO, row(["iot:Publish", "iot:Receive"], "dt/v"))
    lab.iot.create_policy_version(policyName="versions", policyDocument=more)
    assert not delivered(board, "dt/v", b"1")
    lab.iot.set_default_policy_version(policyName="versions", policyVersionId="2")
    assert delivered(board, "dt/v", b"2")


def test_policy_of_a_group_reaches_a_thing_that_joins_it(lab):
    lab.thing("joiner", OWN, *ECHO)
    group = lab.iot.create_thing_group(thingGroupName="joined")["thingGroupArn"]
    lab.attach("joined", group, row(["iot:Publish", "iot:Receive"], "dt/g"))
    board = lab.board("joiner")
    board.subscribe("dt/#")
    assert not delivered(board, "dt/g", b"1")
    lab.iot.add_thing_to_thing_group(thingGroupName="joined", thingName="joiner")
    assert delivered(board, "dt/g", b"2")
    lab.iot.remove_thing_from_thing_group(thingGroupName="joined", thingName="joiner")
    assert not delivered(board, "dt/g", b"3")


def test_two_sessions_of_one_certificate_live_side_by_side(lab):
    lab.thing("pair", row("iot:Connect", "pair-*"), *ECHO)
    boards = [lab.board("pair", client_id=f"pair-{number}") for number in (1, 2)]
    for board in boards:
        board.subscribe("dt/#")
    boards[0].client.publish("dt/echo", b"both", 1)
    assert [board.message().payload for board in boards] == [b"both", b"both"]
    assert [board.lost.empty() for board in boards] == [True, True]


def test_session_under_an_id_that_the_policy_does_not_allow_is_ended(lab):
    lab.thing("right", OWN, *ECHO)
    good, bad = lab.board("right"), lab.board("right", client_id="wrong")
    bad.client.reconnect_delay_set(60, 60)
    bad.lost.get(timeout=FUSE_S)
    good.subscribe("dt/#")
    assert delivered(good, "dt/echo", b"1")
    assert good.lost.empty()


def test_stranger_with_the_clouds_own_client_id_does_not_stop_the_cloud(lab):
    lab.thing("usual", *json.loads(thing_policy_text())["Statement"])
    board = lab.board("usual")
    board.subscribe(f"{board.topic}/jobs/get/+")
    for name in ("cloud-service", "cloud-service-control"):
        other = lab.board("usual", client_id=name)
        other.client.reconnect_delay_set(60, 60)
        other.lost.get(timeout=FUSE_S)
        assert board.ask("jobs/get")[0] == "jobs/get/accepted"


def test_certificate_that_is_made_inactive_loses_its_rights_and_its_session(lab):
    identity = lab.thing("retired", OWN, *ECHO).rpartition("/")[2]
    board = lab.board("retired")
    board.client.reconnect_delay_set(60, 60)
    lab.iot.update_certificate(certificateId=identity, newStatus="INACTIVE")
    board.lost.get(timeout=FUSE_S)


def test_client_id_in_a_topic_is_known_once_it_has_connected(lab):
    topic = "dt/${iot:ClientId}/up"
    lab.thing(
        "many", row("iot:Connect", "many-*"), *ECHO, row(["iot:Publish", "iot:Receive"], topic)
    )
    board = lab.board("many", client_id="many-1")
    board.lost.get(timeout=FUSE_S)  # once: its rights are in force when it comes back
    wait(board.client.is_connected, "it did not come back")
    board.subscribe("dt/#")
    assert delivered(board, "dt/many-1/up", b"own")
    assert not delivered(board, "dt/many-2/up", b"foreign")
    assert board.lost.empty()


def test_message_at_qos_2_ends_the_connection(lab):
    lab.thing("exact", OWN, *ECHO)
    board = lab.board("exact")
    board.client.reconnect_delay_set(60, 60)
    board.client.publish("dt/echo", b"twice", 2)
    board.lost.get(timeout=FUSE_S)


def test_retained_messages_and_persistent_sessions_work(lab):
    everything = row(["iot:Publish", "iot:Receive", "iot:RetainPublish"], "dt/*")
    lab.thing("keeper", OWN, everything, row("iot:Subscribe", "dt/*"))
    board = lab.board("keeper")
    board.client.publish("dt/state", b"kept", 1, retain=True).wait_for_publish(FUSE_S)
    board.subscribe("dt/state")
    message = board.message()
    assert (message.payload, message.retain) == (b"kept", True)
    board.close()

    first = persistent(lab, "keeper")
    first.subscribe("dt/late", 1)
    assert first.arrived.get(timeout=FUSE_S) == "subscribed"
    first.disconnect()
    first.loop_stop()
    lab.iot.create_policy(policyName="other", policyDocument=document(OWN, everything))
    other = lab.thing("other-keeper")
    lab.iot.attach_policy(policyName="other", target=other)
    sender = lab.board("other-keeper")
    sender.client.publish("dt/late", b"waited", 1).wait_for_publish(FUSE_S)
    again = persistent(lab, "keeper")
    assert again.arrived.get(timeout=FUSE_S) == b"waited"
    again.disconnect()
    again.loop_stop()


def persistent(lab, name: str) -> mqtt.Client:
    """A session of MQTT 5 that outlives its connection."""
    files = lab.cloud.state.thing(name)
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    made.tls_set(*(str(files / one) for one in FILES))
    made.arrived = queue.Queue()
    connected = queue.Queue()
    made.on_connect = lambda *a: connected.put(a[3])
    made.on_subscribe = lambda *_: made.arrived.put("subscribed")
    made.on_message = lambda *a: made.arrived.put(a[2].payload)
    properties = mqtt.Properties(mqtt.PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 3600
    made.connect("localhost", lab.port, clean_start=False, properties=properties)
    made.loop_start()
    assert not connected.get(timeout=FUSE_S).is_failure
    return made


FILES = ("ca.pem", "certificate.pem.crt", "private.pem.key")


def test_policy_that_is_shipped_lets_a_board_do_its_work(lab):
    lab.thing("shipped", *json.loads(thing_policy_text())["Statement"])
    board = lab.board("shipped")
    wanted = ("jobs/notify-next", "jobs/start-next/+", "jobs/+/get/+", "jobs/+/update/+")
    codes = board.subscribe(*(f"{board.topic}/{path}" for path in wanted))
    assert not any(code.is_failure for code in codes)
    lab.iot.create_job(jobId="shipped", targets=[arn("thing", "shipped")], document="{}")
    assert board.next()[0] == "jobs/notify-next"
    assert board.ask("jobs/start-next")[0] == "jobs/start-next/accepted"
    done = board.ask("jobs/shipped/update", {"status": "SUCCEEDED"})
    assert done[0] == "jobs/shipped/update/accepted"
    assert board.subscribe("sluice/shipped/#")[0].is_failure


def test_presence_is_told_and_kept(lab, device):
    every = row(["iot:Publish", "iot:Receive"], "$aws/events/presence/*")
    lab.thing("watcher", OWN, every, row("iot:Subscribe", "$aws/events/presence/*"))
    watcher = lab.board("watcher")
    watcher.subscribe("$aws/events/presence/+/seen")
    principal = lab.thing("seen", OWN, *ECHO).rpartition("/")[2]
    told = lab.iot.get_thing_connectivity_data(thingName="seen")
    assert (told["connected"], "timestamp" in told) == (False, False)
    board = lab.board("seen")
    message = watcher.message()
    body = json.loads(message.payload)
    assert message.topic == "$aws/events/presence/connected/seen"
    assert (body["eventType"], body["clientId"]) == ("connected", "seen")
    assert (body["principalIdentifier"], body["versionNumber"]) == (principal, 0)
    assert lab.iot.get_thing_connectivity_data(thingName="seen")["connected"]
    board.close()
    gone = json.loads(watcher.message().payload)
    assert gone["sessionIdentifier"] == body["sessionIdentifier"]
    reason = "CLIENT_INITIATED_DISCONNECT"
    assert (gone["clientInitiatedDisconnect"], gone["disconnectReason"]) == (True, reason)
    given = {"thingName": "seen", "includeSocketInformation": True}
    told = lab.iot.get_thing_connectivity_data(**given)
    assert (told["connected"], told["disconnectReason"]) == (False, reason)
    assert (told["sourceIp"], told["cleanSession"]) == ("127.0.0.1", True)


def test_last_will_is_delivered_where_the_policy_allows_it(lab):
    lab.thing("mourner", OWN, *ECHO, row("iot:Receive", "dt/*"))
    mourner = lab.board("mourner")
    mourner.subscribe("dt/will/#", "dt/other")
    both = ["iot:Publish", "iot:Receive"]
    lab.thing("mortal", row("iot:Connect", "mortal-*"), row(both, "dt/will/*"))
    answers: queue.Queue = queue.Queue()
    for number, topic in enumerate(("dt/other", "dt/will/1")):
        made = client(lab, "mortal", f"mortal-{number}")
        made.will_set(topic, topic, 1)
        made.on_connect = lambda *a: answers.put(a[3].is_failure)
        made.connect("localhost", lab.port)
        made.loop_start()
        assert not answers.get(timeout=FUSE_S)
        made.loop_stop()
        made.socket().close()  # without a word
    assert mourner.message().payload == b"dt/will/1"


def test_shared_subscription_is_a_filter_of_its_own(lab):
    lab.thing("sharer", OWN, *ECHO, row("iot:Subscribe", "$share/g/dt/echo"))
    board = lab.board("sharer")
    codes = board.subscribe("$share/g/dt/echo", "$share/h/dt/echo", "$share/g/other")
    assert [code.is_failure for code in codes] == [False, True, True]
    board.client.publish("dt/echo", b"1", 1)
    assert board.message().payload == b"1"


def client(lab, thing: str, name: str) -> mqtt.Client:
    """A client that is not connected yet."""
    files = lab.cloud.state.thing(thing)
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
    made.tls_set(*(str(files / one) for one in FILES))
    return made
