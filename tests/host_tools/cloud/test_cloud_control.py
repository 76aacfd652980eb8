"""What Mosquitto's dynamic security is told: no more than has changed, and all of that."""

import json

import pytest

from sluice.cloud.mqtt import control
from sluice.cloud.mqtt.broker import MESSAGE_LIMIT
from sluice.cloud.mqtt.control import ENTRIES, Control, changes
from sluice.cloud.things.ca import Authority
from sluice.cloud.things.rights import Access, Rights
from sluice.cloud.things.things import Things

SENDS = "publishClientSend"


def sends(*topics: str) -> set[tuple[str, str]]:
    return {(SENDS, topic) for topic in topics}


def test_what_has_not_changed_is_not_told():
    before = {"a": Rights(sends("x"), sends("y")), "b": Rights()}
    assert list(changes(before, before)) == []
    after = before | {"a": Rights(sends("x", "z"), sends("y"))}
    [command] = changes(before, after)
    assert (command["command"], command["rolename"]) == ("modifyRole", "a allowed")
    assert [row["topic"] for row in command["acls"]] == ["x", "z"]


def test_new_client_comes_after_its_roles_and_its_denials_come_first():
    made = list(changes({}, {"a": Rights(sends("x"), sends("y"))}))
    assert [one["command"] for one in made] == ["createRole", "createRole", "createClient"]
    denied, allowed = made[-1]["roles"]
    assert (denied["rolename"], allowed["rolename"]) == ("a denied", "a allowed")
    assert denied["priority"] > allowed["priority"]
    assert [row["allow"] for one in made[:2] for row in one["acls"]] == [False, True]


def test_client_that_is_gone_is_deleted_with_its_roles():
    commands = [tuple(one.values()) for one in changes({"a": Rights()}, {})]
    assert commands[0] == ("deleteClient", "a")
    assert sorted(commands[1:]) == [("deleteRole", "a allowed"), ("deleteRole", "a denied")]


def test_long_list_is_told_in_parts():
    topics = [f"t{number:04}" for number in range(ENTRIES + 2)]
    first, *rest = changes({"a": Rights()}, {"a": Rights(sends(*topics))})
    assert [row["topic"] for row in first["acls"]] == topics[:ENTRIES]
    assert [one["topic"] for one in rest] == topics[ENTRIES:]
    assert {one["command"] for one in rest} == {"addRoleACL"}


def test_message_of_commands_stays_below_the_brokers_limit():
    rights = Rights(sends(*(f"{number:03}" + "x" * 2000 for number in range(120))))
    commands = list(changes({}, {f"c{number}": rights for number in range(20)}))
    made = list(control.batches(commands))
    assert [one for batch in made for one in batch] == commands
    assert all(len(json.dumps(batch)) < MESSAGE_LIMIT for batch in made)
    assert len(list(control.batches(commands[:1]))) == 1


class Wire:
    """A client of a Mosquitto that answers, unless it is deaf."""

    def __init__(self, deaf: bool = False, error: str = "") -> None:
        self.deaf, self.error, self.sent = deaf, error, []

    def publish(self, topic: str, payload: str, qos: int) -> None:
        commands = json.loads(payload)["commands"]
        self.sent += commands
        keys = ("command", "correlationData")
        answers = [{key: one[key] for key in keys} for one in commands]
        if self.error:
            answers[0]["error"] = self.error
        if not self.deaf:
            stale = [{"command": "listClients"}], [{"command": "x", "correlationData": "other"}]
            for responses in (*stale, answers):
                message = json.dumps({"responses": responses}).encode()
                self.on_message(self, None, type("Message", (), {"payload": message}))


@pytest.fixture
def told(world, tmp_path):
    """A function: (wire) → (things, control) of a Mosquitto that runs and is reached."""

    def made(wire: Wire) -> tuple[Things, Control]:
        found = Control(Access(world.store), tmp_path / "security.json")
        found.alive = lambda: True
        found.write()
        found.use(wire)
        wire.on_subscribe()
        return Things(world.store, Authority(world.state)), found

    return made


def entitled(things: Things, name: str) -> str:
    """A thing's certificate."""
    things.create(name)
    identity = things.issue(name).id
    things.attach(name, identity)
    things.entitle(identity)
    return identity


def test_mosquitto_that_never_answers_is_complained_of_and_told_again(told, monkeypatch, caplog):
    monkeypatch.setattr(control, "ANSWER_S", 0.05)
    wire = Wire(deaf=True)
    things, made = told(wire)
    identity = entitled(things, "pump")
    made.refresh(identity)
    assert "mosquitto does not answer" in caplog.text
    wire.deaf, count = False, len(wire.sent)
    assert made.refresh(identity)
    assert len(wire.sent) == 2 * count
    assert not made.refresh(identity)  # nothing has changed


def test_command_that_mosquitto_refuses_is_complained_of(told, caplog):
    things, made = told(Wire(error="Role already exists"))
    made.refresh(entitled(things, "pump"))
    assert "createRole: Role already exists" in caplog.text


def test_change_of_one_certificate_tells_of_no_other(told):
    wire = Wire()
    things, made = told(wire)
    first, second = entitled(things, "a"), entitled(things, "b")
    made.refresh(first)
    names = {one.get("username") for one in wire.sent} - {None}
    assert names == {things.certificate(first)["common_name"]}
    things.store.run("UPDATE certificates SET status = 'INACTIVE' WHERE id = ?", first)
    wire.sent.clear()
    made.refresh(first)
    assert wire.sent[0]["command"] == "deleteClient"
    wire.sent.clear()
    made.refresh()
    names = {one.get("username") for one in wire.sent} - {None}
    assert names == {things.certificate(second)["common_name"]}


def test_mosquitto_that_is_dead_is_told_nothing(told):
    wire = Wire()
    things, made = told(wire)
    made.alive = lambda: False
    assert not made.refresh(entitled(things, "pump"))
    assert wire.sent == []
    made.write()
    assert "pump." in made.file.read_text()
    assert made.file.stat().st_mode & 0o777 == 0o600
