"""Device Shadow: documents, merging, versions, deltas and every refusal."""

import json

import pytest

from sluice.cloud.refusal import Refusal
from sluice.cloud.shadow.api import ShadowCalls
from sluice.cloud.shadow.document import STATE_BYTES, merged
from sluice.cloud.shadow.over_mqtt import Shadows
from sluice.cloud.store import Store

NOW = 1_700_000_000
AT_NOW = {"timestamp": NOW}


@pytest.fixture
def shadow(world):
    """A function: (operation, request) → answers as (path below shadow, body)."""

    def ask(operation: str, request=None) -> list[tuple[str, dict]]:
        answers = world.ask(f"shadow/{operation}", request)
        return [(path.removeprefix("shadow/"), body) for path, body in answers]

    return ask


def refused(answers: list) -> tuple[str, int, str]:
    [(path, body)] = answers
    return path, body["code"], body["message"]


def test_shadow_never_written_is_not_found(shadow):
    assert refused(shadow("get")) == ("get/rejected", 404, "No shadow exists with name: 'pump'")
    path, code, text = refused(shadow("name/site/get"))
    assert (path, code) == ("name/site/get/rejected", 404) and "site" in text


def test_thing_unknown_is_not_found(world):
    [(_, body)] = world.ask("shadow/get", thing="nobody")
    assert (body["code"], body["message"]) == (404, "Thing not found")


def test_update_is_answered_with_its_own_part_and_documents(shadow):
    answers = shadow("update", {"state": {"reported": {"version": "1.0"}}, "clientToken": "t"})
    metadata = {"reported": {"version": AT_NOW}}
    state = {"reported": {"version": "1.0"}}
    stamp = {"timestamp": NOW, "clientToken": "t"}
    document = {"state": state, "metadata": metadata, "version": 1}
    previous = {"state": {}, "metadata": {}, "version": 0}
    assert answers == [
        ("update/accepted", document | stamp),
        ("update/documents", {"previous": previous, "current": document} | stamp),
    ]
    assert shadow("get") == [("get/accepted", document | {"timestamp": NOW})]


def test_update_is_merged_and_stamped_member_by_member(shadow, world):
    shadow("update", {"state": {"reported": {"a": {"x": 1, "y": 2}, "b": [1, 2], "c": 3}}})
    world.now += 5
    shadow("update", {"state": {"reported": {"a": {"y": 7}, "b": [9], "c": None}}})
    [(_, got)] = shadow("get")
    later = {"timestamp": NOW + 5}
    assert got["state"] == {"reported": {"a": {"x": 1, "y": 7}, "b": [9]}}
    assert got["metadata"] == {"reported": {"a": {"x": AT_NOW, "y": later}, "b": [later]}}
    assert got["version"] == 2


def test_update_with_a_member_called_timestamp_keeps_its_metadata_apart(shadow):
    shadow("update", {"state": {"reported": {"a": 1}}})
    shadow("update", {"state": {"reported": {"a": {"timestamp": 5}}}})
    [(_, got)] = shadow("get")
    assert got["metadata"]["reported"] == {"a": {"timestamp": AT_NOW}}


def test_update_with_a_null_section_removes_it(shadow):
    shadow("update", {"state": {"reported": {"a": 1}, "desired": {"a": 2}}})
    shadow("update", {"state": {"desired": None}})
    [(_, got)] = shadow("get")
    assert (got["state"], list(got["metadata"])) == ({"reported": {"a": 1}}, ["reported"])


# Cases that others have verified against AWS: what is desired, what a get then says, what is
# reported, and what a get says after that.
@pytest.mark.parametrize(
    ("first", "then", "second", "last"),
    [
        ({"desired": {}}, {}, {"reported": {"on": False}}, {"reported": {"on": False}}),
        ({}, {}, {"reported": {"on": False}}, {"reported": {"on": False}}),
        ({"reported": {}, "desired": {}}, {}, {"desired": {}}, {}),
        (
            {"desired": {"on": True}},
            {"desired": {"on": True}, "delta": {"on": True}},
            {"reported": {}},
            {"desired": {"on": True}, "delta": {"on": True}},
        ),
        (
            {"reported": {"on": True}},
            {"reported": {"on": True}},
            {"reported": {"on": None}},
            {},
        ),
    ],
)
def test_half_that_is_empty_is_left_out(shadow, first, then, second, last):
    for state, wanted in ((first, then), (second, last)):
        documents = shadow("update", {"state": state})[-1][1]
        [(_, got)] = shadow("get")
        assert got["state"] == wanted
        halves = {name: half for name, half in wanted.items() if name != "delta"}
        assert documents["current"]["state"] == halves
        assert got["metadata"].keys() == halves.keys()


def test_state_that_is_null_clears_both_halves(shadow):
    shadow("update", {"state": {"desired": {"a": 1}, "reported": {"b": 2}}})
    (_, accepted), (last, documents) = shadow("update", {"state": None, "clientToken": "t"})
    assert accepted == {
        "state": None,
        "metadata": {},
        "version": 2,
        "timestamp": NOW,
        "clientToken": "t",
    }
    assert (last, documents["current"]["state"]) == ("update/documents", {})
    [(_, got)] = shadow("get")
    assert (got["state"], got["metadata"], got["version"]) == ({}, {}, 2)


def test_desired_unlike_reported_is_told_as_a_flat_delta(shadow):
    shadow("update", {"state": {"reported": {"block": 4096, "log": {"level": "I", "to": 1}}}})
    wanted = {"block": 4096, "window": 4, "log": {"level": "D", "to": True}}
    _, (path, delta), (last, _) = shadow("update", {"state": {"desired": wanted}})
    assert (path, last) == ("update/delta", "update/documents")
    assert delta["state"] == {"window": 4, "log": {"level": "D", "to": True}}
    assert delta["metadata"] == {"window": AT_NOW, "log": {"level": AT_NOW, "to": AT_NOW}}
    assert delta["version"] == 2
    [(_, got)] = shadow("get")
    assert got["state"]["delta"] == delta["state"]


def test_reported_like_desired_ends_the_delta(shadow):
    shadow("update", {"state": {"desired": {"a": {"b": [1, 2]}}}})
    answers = shadow("update", {"state": {"reported": {"a": {"b": [1, 2]}, "more": 0}}})
    assert [path for path, _ in answers] == ["update/accepted", "update/documents"]
    [(_, got)] = shadow("get")
    assert "delta" not in got["state"]


def test_version_goes_on_after_the_shadow_is_deleted(shadow):
    shadow("update", {"state": {"reported": {"a": 1}}})
    request = {"clientToken": "gone", "version": 1}
    assert shadow("delete", request) == [
        ("delete/accepted", {"version": 1, "timestamp": NOW, "clientToken": "gone"})
    ]
    assert refused(shadow("delete"))[:2] == ("delete/rejected", 404)
    (_, accepted), (_, documents) = shadow("update", {"state": {"reported": {"b": 1}}})
    assert (accepted["version"], documents["current"]["state"]) == (2, {"reported": {"b": 1}})


def test_named_shadows_are_apart_from_the_classic_one(shadow, world):
    shadow("update", {"state": {"reported": {"a": 1}}})
    [(path, _), _] = shadow("name/site/update", {"state": {"reported": {"b": 1}}})
    assert path == "name/site/update/accepted"
    [(_, got)] = shadow("name/site/get")
    assert (got["state"], got["version"]) == ({"reported": {"b": 1}}, 1)
    assert world.shadows.names("pump") == ["site"]


def deep(levels: int) -> dict:
    value: dict = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (b"{", 400, "Invalid JSON"),
        (b"[1]", 400, "Invalid JSON"),
        (b'{"state":{"reported":{"a":NaN}}}', 400, "Invalid JSON"),
        (b'{"state":{"reported":{"a":-1e400}}}', 400, "Invalid JSON"),
        (b'{"state":{"reported":{"a":1e999}}}', 400, "Invalid JSON"),
        (b'{"state":{"reported":{"a":"\\ud800"}}}', 400, "Invalid JSON"),
        (b"[" * 20_000, 400, "Invalid JSON"),
        (b'{"state":{"reported":{"a":"\xff"}}}', 415, "UTF-8"),
        (b"", 400, "Missing required node: state"),
        ({"state": "on"}, 400, "State node must be an object"),
        ({"state": {"reported": 1}}, 400, "Reported node must be an object"),
        ({"state": {"desired": []}}, 400, "Desired node must be an object"),
        ({"state": {"wished": {}}}, 400, "invalid node: 'wished'"),
        ({"state": {"reported": {"a": [1, None]}}}, 400, "invalid node"),
        ({"state": {"reported": {"a": [{"b": None}]}}}, 400, "invalid node"),
        ({"state": {"reported": deep(7)}}, 400, "too many levels"),
        ({"state": {"reported": {}}, "version": "1"}, 400, "Invalid version"),
        ({"state": {"reported": {}}, "version": True}, 400, "Invalid version"),
        ({"state": {"reported": {}}, "version": 3}, 409, "Version conflict"),
        ({"state": {"reported": {}}, "clientToken": 5}, 400, "Invalid clientToken"),
        ({"state": {"reported": {}}, "clientToken": "é" * 33}, 400, "Invalid clientToken"),
        ({"state": {"reported": {"a": "x" * STATE_BYTES}}}, 413, "maximum size"),
    ],
)
def test_update_against_the_rules_is_refused_and_changes_nothing(shadow, request_, code, text):
    path, found, message = refused(shadow("update", request_))
    assert (path, found) == ("update/rejected", code) and text in message
    assert refused(shadow("get"))[1] == 404


def test_limits_are_met_exactly(shadow):
    assert shadow("update", {"state": {"reported": deep(6)}})[0][0] == "update/accepted"
    frame = len(json.dumps({"reported": {"a": ""}}, separators=(",", ":")))
    state = {"reported": {"a": "x" * (STATE_BYTES - frame)}}
    token = "t" * 64
    answers = shadow("name/full/update", {"state": state, "clientToken": token})
    assert (answers[0][0], answers[0][1]["clientToken"]) == ("name/full/update/accepted", token)
    path, code, _ = refused(shadow("name/full/update", {"state": {"reported": {"b": 1}}}))
    assert (path, code) == ("name/full/update/rejected", 413)


def test_refusal_repeats_a_good_token_and_no_other(shadow):
    [(_, body)] = shadow("update", {"clientToken": "mine"})
    assert (body["clientToken"], body["timestamp"]) == ("mine", NOW)
    [(_, body)] = shadow("update", {"clientToken": "x" * 65})
    assert "clientToken" not in body


def test_shadow_name_against_the_pattern_is_refused(shadow):
    assert refused(shadow(f"name/{'x' * 65}/get"))[1] == 400
    assert refused(shadow("name/white space/get"))[1] == 400


@pytest.mark.parametrize("path", ["update/accepted", "name/site", "name/a/b/get", "other", "name"])
def test_topic_of_no_operation_is_not_answered(shadow, path):
    assert shadow(path) == []


def test_merging_leaves_both_documents_as_they_were():
    old, new = {"a": {"b": 1}}, {"a": {"c": None, "d": 2}}
    assert merged(old, new) == {"a": {"b": 1, "d": 2}}
    assert (old, new) == ({"a": {"b": 1}}, {"a": {"c": None, "d": 2}})


def test_state_survives_a_new_process(shadow, world):
    shadow("update", {"state": {"reported": {"a": 1}}})
    store = Store(world.state.database)
    [message] = Shadows(store, lambda: world.now).handle("pump", ["get"], b"")
    store.close()
    assert json.loads(message.payload)["state"] == {"reported": {"a": 1}}


def test_call_that_changes_a_shadow_is_told_over_mqtt(world):
    calls = ShadowCalls(world.shadows, world.sent.extend).operations()
    update = json.dumps({"state": {"desired": {"a": 1}}}).encode()
    answer = calls["UpdateThingShadow"]({"thingName": "pump", "payload": update})
    assert json.loads(answer["payload"])["version"] == 1
    calls["GetThingShadow"]({"thingName": "pump"})
    calls["DeleteThingShadow"]({"thingName": "pump"})
    assert [path for path, _ in world.notices()] == [
        "shadow/update/accepted",
        "shadow/update/delta",
        "shadow/update/documents",
        "shadow/delete/accepted",
    ]


def test_call_lists_named_shadows_page_by_page(world):
    calls = ShadowCalls(world.shadows, world.sent.extend)
    for name in ("c", "a", "b"):
        world.ask(f"shadow/name/{name}/update", {"state": {"reported": {}}})
    world.ask("shadow/update", {"state": {"reported": {}}})
    first = calls.list({"thingName": "pump", "pageSize": 2})
    assert first["results"] == ["a", "b"]
    second = calls.list({"thingName": "pump", "nextToken": first["nextToken"]})
    assert (second["results"], second["nextToken"]) == (["c"], None)
    with pytest.raises(Refusal, match="unknown thing"):
        calls.list({"thingName": "nobody"})
