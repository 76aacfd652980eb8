"""What is made of Mosquitto's log: who came, who went and why, whatever they call themselves."""

import json
from types import SimpleNamespace

import pytest

from sluice.cloud.mqtt.presence import Presence
from sluice.cloud.names import arn
from sluice.cloud.things.ca import Authority
from sluice.cloud.things.rights import IDS, Access
from sluice.cloud.things.things import Things


class Desk:
    """A Presence with a log of its own and a control that only notes what it is told."""

    def __init__(self, world, folder) -> None:
        self.store, self.told, self.ended = world.store, [], []
        things = Things(world.store, Authority(world.state))
        made = things.issue("pump")
        self.name = things.certificate(made.id)["common_name"]
        row = {"Effect": "Allow", "Action": "iot:Connect", "Resource": arn("client", "*")}
        refused = row | {"Effect": "Deny", "Resource": arn("client", "bad*")}
        policy = {"Version": "2012-10-17", "Statement": [row, refused]}
        things.add_policy("any", json.dumps(policy), 0)
        target = arn("cert", made.id)
        world.store.run("INSERT INTO policy_targets VALUES ('any', ?)", target)
        self.log = folder / "mosquitto.log"
        self.log.write_text("")
        control = SimpleNamespace(
            access=Access(world.store),
            publish=lambda topic, payload: self.told.append((topic, json.loads(payload))),
            refresh=lambda *certificates: False,
        )
        self.presence = Presence(world.store, control, self.log, self.ended.append)

    def line(self, *lines: str) -> None:
        with self.log.open("a") as file:
            file.writelines(f"1700000000: {line}\n" for line in lines)
        self.presence.look()

    def comes(self, client: str, name: str = "", where: str = "127.0.0.1:5000") -> None:
        about = f"(p2, c1, k60, u'{name or self.name}')."
        self.line(f"New client connected from {where} as {client} {about}")

    def row(self, client: str):
        return self.store.row("SELECT * FROM sessions WHERE client = ?", client)


@pytest.fixture
def desk(world, tmp_path):
    made = Desk(world, tmp_path)
    yield made
    made.presence.stop()


# fmt: off
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("Client {} disconnected.",                               "CLIENT_INITIATED_DISCONNECT"),
        ("Client {} closed its connection.",                      "CONNECTION_LOST"),
        ("Client {} has exceeded timeout, disconnecting.",        "MQTT_KEEP_ALIVE_TIMEOUT"),
        ("Client {} already connected, closing old connection.",  "DUPLICATE_CLIENTID"),
        ("Client {} been disconnected by administrative action.", "SERVER_INITIATED_DISCONNECT"),
        ("Client {} disconnected due to protocol error.",         "CLIENT_ERROR"),
        ("Bad socket read/write on client {}: Requested QoS not supported.", "CLIENT_ERROR"),
    ],
)
@pytest.mark.parametrize(
    "client",
    ["pump", "a b", "x disconnected.", "pump (p2, c1, k60, u'o').", "Client pump", "as: it is"],
)
# fmt: on
def test_session_is_that_of_the_id_whatever_it_says(desk, client, words, reason):
    desk.comes("pump")
    desk.comes(client)
    desk.line(words.format(client))
    row = desk.row(client)
    assert (row["connected"], row["reason"]) == (0, reason)
    if client != "pump":
        assert desk.row("pump")["connected"] == 1
    topic, body = desk.told[-1]
    assert topic == f"$aws/events/presence/disconnected/{client}"
    assert (body["clientId"], body["disconnectReason"]) == (client, reason)


def test_connection_by_ipv6_has_its_address(desk):
    desk.comes("pump", where="::1:4711")
    assert json.loads(desk.row("pump")["socket"]) == {
        "sourceIp": "::1",
        "sourcePort": 4711,
        "cleanSession": True,
        "keepAliveDuration": 60,
    }


def test_each_session_of_an_id_has_the_next_version_and_an_identifier_of_its_own(desk):
    for _ in range(3):
        desk.comes("pump")
    assert [body["versionNumber"] for _, body in desk.told] == [0, 1, 2]
    assert len({body["sessionIdentifier"] for _, body in desk.told}) == 3


def test_who_may_not_connect_is_ended_and_told_to_nobody(desk):
    desk.comes("bad-1")
    desk.comes("pump", name="gone.0123456789abcdef")  # a certificate that is deleted
    desk.line("Client bad-1 disconnected.")
    assert (desk.ended, desk.told) == (["bad-1", "pump"], [])
    desk.comes("cloud", name="cloud-service")
    assert desk.ended == ["bad-1", "pump"]


def test_id_that_no_topic_may_hold_is_kept_and_not_told(desk):
    desk.comes("a/+/#")
    assert (desk.row("a/+/#")["connected"], desk.told) == (1, [])


def test_line_that_is_half_written_is_read_when_it_is_whole(desk):
    with desk.log.open("a") as file:
        file.write(f"1: New client connected from 127.0.0.1:1 as pump (p2, c1, k60, u'{desk.name}")
    desk.presence.look()
    assert desk.row("pump") is None
    with desk.log.open("a") as file:
        file.write("').\n")
    desk.presence.look()
    assert desk.row("pump")["connected"] == 1


def test_broker_that_starts_again_has_nobody_connected(desk):
    desk.comes("pump")
    desk.log.unlink()
    desk.presence.look()
    assert desk.row("pump")["connected"] == 1
    desk.log.write_text("1: mosquitto version 2.0.21 starting\n")
    desk.presence.look()
    assert (desk.row("pump")["connected"], desk.row("pump")["reason"]) == (0, "SERVER_ERROR")
    desk.comes("pump")
    assert desk.row("pump")["version"] == 1


def test_id_that_the_log_has_no_room_for_is_warned_of_once(desk, caplog):
    for _ in range(2):
        desk.line(f"New client connected from 127.0.0.1:5000 as {'a' * 900}")
    assert caplog.text.count("too long for mosquitto's log") == 1
    assert (desk.told, desk.ended) == ([], [])


def test_ids_that_are_gone_are_forgotten_beyond_their_number(desk):
    desk.comes("stays")
    for number in range(IDS + 5):
        desk.comes(f"id-{number}")
        if number:
            desk.line(f"Client id-{number} disconnected.")
    found = {row["client"] for row in desk.store.rows("SELECT client FROM sessions")}
    assert found >= {"stays", "id-0", f"id-{IDS + 4}"}
    assert len(found) == IDS + 2
