"""Policies: what is read of them, as which filters, and what is refused by name."""

import json
from pathlib import Path

import pytest
import test_cloud_rest
import thing_policy

from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal
from sluice.cloud.things.ca import Authority
from sluice.cloud.things.patterns import Inexpressible, filters
from sluice.cloud.things.policy import marked, matches, read
from sluice.cloud.things.rights import Access, Rights
from sluice.cloud.things.things import Things
from sluice.compile import ROOT

served, iot = test_cloud_rest.served, test_cloud_rest.iot
NAME = "${iot:Connection.Thing.ThingName}"
ALL_IDS = {"Effect": "Allow", "Action": "iot:Connect", "Resource": arn("client", "*")}


def document(*rows: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(rows)})


def row(action, *names: str, effect: str = "Allow", **more) -> dict:
    kinds = {"iot:Connect": "client", "iot:Subscribe": "topicfilter"}
    kind = kinds.get(action if isinstance(action, str) else action[0], "topic")
    resources = [arn(kind, name) for name in names]
    return {"Effect": effect, "Action": action, "Resource": resources} | more


class Registry:
    """A store with one active certificate, whose policies are given one by one."""

    def __init__(self, world) -> None:
        self.things = Things(world.store, Authority(world.state))
        self.store, self.access = world.store, Access(world.store)
        self.id = self.things.issue("one").id
        self._count = 0

    def attach(self, *rows: dict, to: str = "") -> None:
        self._count += 1
        name, text = f"p{self._count}", document(*rows)
        read(text)
        self.things.add_policy(name, text, 0)
        target = to or arn("cert", self.id)
        self.store.run("INSERT INTO policy_targets VALUES (?, ?)", name, target)

    @property
    def rights(self) -> Rights:
        return self.access.rights(self.id)

    def may(self, kind: str) -> set[str]:
        return {topic for one, topic in self.rights.allowed if one.startswith(kind)}


@pytest.fixture
def registry(world):
    return Registry(world)


# fmt: off
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dt/a/b",      {"dt/a/b"}),
        ("dt/*",        {"dt/+/#"}),
        ("*",           {"#", "$aws/#"}),
        ("a/*/b",       {"a" + "/+" * n + "/b" for n in range(1, 7)}),
        ("a/**",        {"a/+/#"}),
        ("a/+/b",       set()),
        ("a/#",         set()),
        ("$aws/things/pump/jobs/*", {"$aws/things/pump/jobs/+/#"}),
        ("$aws/things/pump/streams/*/d*/json", {
            "$aws/things/pump/streams/+/data/json",
            "$aws/things/pump/streams/+/describe/json",
            "$aws/things/pump/streams/+/description/json",
        }),
        ("$aws/things/pump/jobs/notify-nex?", {"$aws/things/pump/jobs/notify-next"}),
        ("$aws/thing*/notify-nex?", {"$aws/things/+/jobs/notify-next"}),
    ],
)
# fmt: on
def test_resource_becomes_the_filters_of_the_same_topics(registry, name, wanted):
    registry.attach(ALL_IDS, row("iot:Publish", name))
    assert registry.may("publishClientSend") == wanted


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("iot:Publish", "dt/pump-*/x")], "a wildcard within a level of dt/pump-*/x"),
        ([row("iot:Publish", "dt/?")], "a wildcard within a level of dt/?"),
        ([row("iot:Publish", "$aws/things/pump/jobs/job-*/update")], "a wildcard within a name"),
        ([row("iot:Publish", "$aws/things/p*/jobs/get")], "a wildcard within a name"),
        ([row("iot:Publish", "$aws/things/pump/jobs/n*", effect="Deny")], "a wildcard within"),
        ([row("iot:Subscribe", "dt/*/+", effect="Deny")], "a Deny with wildcards"),
        ([row("iot:RetainPublish", "dt/x", effect="Deny")], "iot:RetainPublish alone"),
        ([row("iot:Publish", "dt/x", Condition={"Bool": {}})], "Condition"),
        ([row("iot:Publish", "dt/x", NotAction="iot:*")], "NotAction"),
        ([row("iot:Publish", "dt/${iot:Certificate.Subject.CommonName}")], "CommonName"),
        ([row("iot:Publisch", "dt/x")], "the action iot:Publisch"),
        ([row("s3:GetObject", "dt/x")], "the action s3:GetObject"),
        ([{"Effect": "Allow", "Action": "iot:Publish", "Resource": "dt/x"}], "dt/x is no ARN"),
        ([{"Effect": "Allow", "Action": "iot:Publish", "Resource": arn("top*", "x")}], "top*/x"),
        ([row("iot:Publish", "dt/x", effect="allow")], "Effect"),
        ([{"Effect": "Allow", "Action": "iot:Publish"}], "Resource"),
        (["x"], "Statement"),
        ([row("iot:Publish", "dt/\0")], "the resource 'dt/\\x00'"),
        ([row("iot:Publish", "dt/\ue000")], "the resource 'dt/\\ue000'"),
        ([row("iot:Publish", "dt/\ud800")], "the resource 'dt/\\ud800'"),
        ([row("iot:Publish", "")], "topic/"),
        ([row("iot:Subscribe", "dt/a+")], "the resource 'dt/a+'"),
        ([row("iot:Subscribe", "dt/#/a")], "the resource 'dt/#/a'"),
        ([row("iot:Publish", "$CONTROL/dynamic-security/v1")], "a topic of the broker's own"),
        ([row("iot:Subscribe", "$SYS/*")], "a topic of the broker's own"),
        ([row("iot:Receive", "$share/group/dt")], "a topic of the broker's own"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(iot, rows, words):
    text = document(*rows)
    iot.create_policy(policyName="good", policyDocument=document())
    for call in (iot.create_policy, iot.create_policy_version):
        name = "bad" if call == iot.create_policy else "good"
        with pytest.raises(iot.exceptions.MalformedPolicyException) as caught:
            call(policyName=name, policyDocument=text)
        assert words in str(caught.value)
    assert [one["policyName"] for one in iot.list_policies()["policies"]] == ["good"]


def test_thing_name_stands_for_each_thing_that_the_certificate_may_connect_as(registry):
    for name in ("a", "b", "c"):
        registry.things.create(name)
    registry.things.attach("a", registry.id)
    registry.things.attach("b", registry.id)
    registry.attach(row("iot:Connect", NAME), row("iot:Publish", f"dt/{NAME}/up"))
    assert registry.may("publishClientSend") == {"dt/a/up", "dt/b/up"}
    registry.attach(row("iot:Connect", "b", effect="Deny"))
    assert registry.may("publishClientSend") == {"dt/a/up"}
    assert registry.access.may_connect(registry.id, "a")
    assert not registry.access.may_connect(registry.id, "b")
    assert not registry.access.may_connect(registry.id, "c")


def test_certificate_without_the_right_to_connect_has_no_rights(registry):
    registry.attach(row("iot:Publish", "dt/*"))
    assert registry.rights == Rights()


def test_exclusive_thing_stands_for_the_name_under_any_client_id(registry):
    registry.things.create("a")
    registry.things.attach("a", registry.id, exclusive=True)
    registry.attach(row("iot:Connect", "gateway-?"), row("iot:Publish", f"dt/{NAME}"))
    assert registry.may("publishClientSend") == {"dt/a"}
    assert registry.access.may_connect(registry.id, "gateway-7")
    assert not registry.access.may_connect(registry.id, "gateway-77")


def test_client_id_stands_for_ids_that_policies_name_and_ids_that_came(registry):
    registry.attach(row("iot:Connect", "first", "dev-*"), row("iot:Publish", "dt/${iot:ClientId}"))
    assert registry.may("publishClientSend") == {"dt/first"}
    assert registry.access.asks_for(registry.id)
    columns = {"certificate": registry.id, "version": 0, "connected": 1, "reason": ""}
    registry.store.insert("sessions", client="dev-9", id="s", socket="{}", changed_at=1, **columns)
    assert registry.may("publishClientSend") == {"dt/first", "dt/dev-9"}


@pytest.mark.parametrize("client", ["$CONTROL", "$SYS", "$aws", "a" * 129])
def test_client_id_that_aws_takes_of_nobody_gives_no_right(registry, client):
    """By `$CONTROL/…` who may publish there changes what everybody may."""
    registry.attach(ALL_IDS, row(["iot:Publish", "iot:Receive"], "${iot:ClientId}/*"))
    columns = {"certificate": registry.id, "version": 0, "connected": 1, "reason": ""}
    registry.store.insert("sessions", client=client, id="s", socket="{}", changed_at=1, **columns)
    assert registry.rights.allowed == set()
    assert not registry.access.may_connect(registry.id, client)
    assert registry.access.may_connect(registry.id, "a" * 128)


@pytest.mark.parametrize("name", ["$CONTROL/*", "$SYS/*"])
def test_variable_spells_no_topic_of_the_brokers_own(name):
    with pytest.raises(Inexpressible):
        filters(marked(name), "iot:Publish", True)


@pytest.mark.parametrize(
    ("pattern", "text", "alike"),
    [
        ("*-*-*-*-*-*-*-*-x", "-" * 60_000, False),
        ("*-*-*-*-*-*-*-*-", "-" * 60_000, True),
        ("*a*b", "aab", True),
        ("a*a", "a", False),
        ("?*?", "ab", True),
        ("?*?", "a", False),
        ("*ab?*", "xaabc", True),
        ("a\n*", "a\nb\nc", True),
        ("", "", True),
    ],
)
def test_wildcards_are_compared_without_trying_again(pattern, text, alike):
    assert matches(marked(pattern), text) == alike


@pytest.mark.parametrize("client", ["#", "+", "a/#", "\ue000", "*"])
def test_client_id_with_a_wildcard_in_it_widens_nothing(registry, client):
    both = ["iot:Publish", "iot:Receive"]
    name = "dt/${iot:ClientId}"
    registry.attach(ALL_IDS, row(both, name), row("iot:Subscribe", name))
    columns = {"certificate": registry.id, "version": 0, "connected": 1, "reason": ""}
    registry.store.insert("sessions", client=client, id="s", socket="{}", changed_at=1, **columns)
    assert {topic for _, topic in registry.rights.allowed} <= {"dt/*"}  # which is itself there


def test_attributes_and_type_of_the_thing_are_variables(registry):
    registry.things.create("a", {"site": "north"}, "pump")
    registry.things.attach("a", registry.id)
    kind = "${iot:Connection.Thing.ThingTypeName}"
    site = "${iot:Connection.Thing.Attributes[site]}"
    none = "${iot:Connection.Thing.Attributes[none]}"
    registry.attach(ALL_IDS, row("iot:Publish", f"dt/{kind}/{site}", f"dt/{none}"))
    assert registry.may("publishClientSend") == {"dt/pump/north"}


def test_policy_of_a_group_is_in_force_for_things_of_groups_below(registry, world):
    for name, parent in (("all", None), ("north", "all"), ("south", None)):
        world.groups.create(name, parent, None, {}, 0)
    registry.things.create("a")
    registry.things.attach("a", registry.id)
    registry.attach(ALL_IDS)
    registry.attach(row("iot:Publish", "dt/all"), to=arn("thinggroup", "all"))
    registry.attach(row("iot:Publish", "dt/south"), to=arn("thinggroup", "south"))
    assert registry.may("publishClientSend") == set()
    world.groups.add("north", "a")
    assert registry.may("publishClientSend") == {"dt/all"}


def test_action_with_wildcards_is_each_action_it_matches(registry):
    registry.attach(ALL_IDS, {"Effect": "Allow", "Action": "iot:*", "Resource": "*"})
    kinds = {kind for kind, _ in registry.rights.allowed}
    assert kinds == {"publishClientSend", "publishClientReceive", "subscribePattern"}


def test_shipped_policy_says_over_mqtt_what_the_agent_needs(registry):
    text = thing_policy_text()
    registry.things.create("pump")
    registry.things.attach("pump", registry.id)
    registry.attach(*json.loads(text)["Statement"])
    assert "$aws/things/pump/jobs/+/+/+" in registry.may("subscribe")
    assert "$aws/things/pump/streams/+/data/json" in registry.may("subscribe")
    assert "$aws/things/pump/shadow/name/+/update/delta" in registry.may("subscribe")
    assert registry.may("publishClientReceive") == {"$aws/things/pump/+/#"}


def thing_policy_text() -> str:
    text = Path(ROOT / "docs/thing-policy.json").read_text()
    assert thing_policy.ARN in text
    return text.replace(thing_policy.ARN, arn("", "").removesuffix(":/"))


def test_versions_of_a_policy_are_at_most_five_and_one_is_the_default(iot):
    iot.create_policy(policyName="p", policyDocument=document())
    other = document(row("iot:Publish", "dt/x"))
    for number in range(2, 6):
        made = iot.create_policy_version(policyName="p", policyDocument=other)
        assert (made["policyVersionId"], made["isDefaultVersion"]) == (str(number), False)
    with pytest.raises(iot.exceptions.VersionsLimitExceededException):
        iot.create_policy_version(policyName="p", policyDocument=other)
    assert iot.get_policy(policyName="p")["policyDocument"] == document()
    iot.set_default_policy_version(policyName="p", policyVersionId="5")
    assert iot.get_policy(policyName="p")["policyDocument"] == other
    with pytest.raises(iot.exceptions.DeleteConflictException):
        iot.delete_policy_version(policyName="p", policyVersionId="5")
    with pytest.raises(iot.exceptions.DeleteConflictException):
        iot.delete_policy(policyName="p")
    for number in "1234":
        iot.delete_policy_version(policyName="p", policyVersionId=number)
    iot.delete_policy(policyName="p")


def test_things_of_a_release_that_obeyed_no_policy_keep_their_rights(world):
    things = Things(world.store, Authority(world.state))
    identity = things.issue("pump").id
    things.attach("pump", identity)
    world.store.run("INSERT INTO policies VALUES ('kept', '{}')")
    things.adopt()
    allowed = Access(world.store).rights(identity).allowed
    assert ("publishClientSend", "sluice/pump/+/#") in allowed
    assert world.store.row("SELECT document FROM policy_versions WHERE policy = 'kept'")[0] == "{}"
    world.store.run("DELETE FROM policy_targets")
    things.adopt()  # once: what a user takes away stays away
    assert Access(world.store).rights(identity).allowed == set()


def test_policy_of_an_earlier_release_that_makes_no_sense_allows_nothing(registry, caplog):
    registry.attach(ALL_IDS, row("iot:Publish", "dt/x"))
    registry.things.add_policy("old", "{}", 0)
    target = arn("cert", registry.id)
    registry.store.run("INSERT INTO policy_targets VALUES ('old', ?)", target)
    assert registry.may("publishClientSend") == {"dt/x"}
    assert "policy old allows nothing" in caplog.text
    with pytest.raises(Refusal):
        read("{}")
