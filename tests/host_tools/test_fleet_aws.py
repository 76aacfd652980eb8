"""What AWS answers that the local cloud cannot: an index that is off, not ready, or lacks some."""

import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from sluice.fleet import executions, things
from sluice.fleet.clients import Clients
from sluice.fleet.reader import Reader

NEVER = "ResourceNotFoundException"
Answer = dict[str, Any] | str | Callable[[dict], dict | str]


class Account:
    """boto3's clients, whose calls get answers of their own: {operation: what it answers, the
    code of an error, or a function of the request}."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = {"ListJobs": {"jobs": []}, "ListNamedShadowsForThing": {"results": []}}
        self.answers |= answers
        self.called: list[str] = []
        words = {"region_name": "eu-west-1", "aws_access_key_id": "a"}
        made = [
            boto3.client(name, **words, aws_secret_access_key="b", endpoint_url="http://nowhere")
            for name in ("iot", "iot-data")
        ]
        for client in made:
            client.meta.events.register_last("before-call", self._answer)
        cloud = Clients(iot=made[0], s3=None, region="eu-west-1", local=False, near=False)
        self.reader = Reader(cloud, made[1])

    def _answer(self, model, params: dict, **_: Any) -> tuple[Any, dict]:
        self.called.append(model.name)
        found = self.answers[model.name]
        found = found(params) if callable(found) else found
        if isinstance(found, str):
            error = {"Error": {"Code": found, "Message": "no"}}
            return SimpleNamespace(status_code=400), error
        return SimpleNamespace(status_code=200), found


def indexing(mode: str, connectivity: str = "STATUS") -> dict:
    about = {"thingIndexingMode": mode, "thingConnectivityIndexingMode": connectivity}
    return {"thingIndexingConfiguration": about}


def shadow(version: str) -> Callable[[dict], dict]:
    document = {"state": {"reported": {"version": version}}}
    document["metadata"] = {"reported": {"version": {"timestamp": 1_700_000_000}}}
    return lambda _: {"payload": io.BytesIO(json.dumps(document).encode())}


def document(name: str, **more: Any) -> dict:
    text = json.dumps({"reported": {"version": "1.0.0"}})
    return {"thingName": name, "shadow": text, "connectivity": {"connected": True}} | more


def test_without_fleet_indexing_things_are_listed_and_their_shadows_read_one_by_one():
    account = Account(
        GetIndexingConfiguration=indexing("OFF"),
        ListThings={"things": [{"thingName": "b"}, {"thingName": "a"}]},
        GetThingShadow=shadow("1.2.0"),
    )
    found = account.reader.fleet()
    assert [thing.thing for thing in found.things] == ["a", "b"]
    assert [thing.image for thing in found.things] == ["1.2.0", "1.2.0"]
    assert [thing.connected for thing in found.things] == [None, None]
    assert found.things[0].seen_at == 1_700_000_000, "the shadow's metadata tells"
    [note] = found.notes
    assert note.startswith("Fleet indexing is off") and "update-indexing-configuration" in note
    assert account.called.count("GetThingShadow") == 2 and "SearchIndex" not in account.called
    assert found.calls == len(account.called) == 1 + 1 + 2 * 2 + 1
    account.reader.fleet()
    assert account.called.count("GetIndexingConfiguration") == 1


def test_thing_without_a_shadow_has_told_nothing():
    account = Account(
        GetIndexingConfiguration=indexing("OFF"),
        ListThings={"things": [{"thingName": "a"}]},
        GetThingShadow=NEVER,
    )
    [thing] = account.reader.fleet().things
    assert thing.seen_at is None and not thing.reported


@pytest.mark.parametrize("code", ["IndexNotReadyException", NEVER])
def test_index_that_is_not_ready_is_done_without(code):
    account = Account(
        GetIndexingConfiguration=indexing("REGISTRY_AND_SHADOW"),
        SearchIndex=code,
        ListThings={"things": [{"thingName": "a"}]},
        GetThingShadow=shadow("1.2.0"),
    )
    found = account.reader.fleet()
    assert found.things[0].image == "1.2.0" and "not ready" in found.notes[0]


def test_index_without_shadows_still_tells_who_is_connected():
    account = Account(
        GetIndexingConfiguration=indexing("REGISTRY"),
        SearchIndex={"things": [document("a", shadow=None)]},
        GetThingShadow=shadow("1.2.0"),
    )
    found = account.reader.fleet()
    assert (found.things[0].image, found.things[0].connected) == ("1.2.0", True)
    assert "has no shadows in it" in found.notes[0]


def test_index_without_connectivity_tells_nothing_of_it():
    account = Account(
        GetIndexingConfiguration=indexing("REGISTRY_AND_SHADOW", "OFF"),
        SearchIndex={"things": [document("a", connectivity={"connected": False})]},
    )
    found = account.reader.fleet()
    assert found.things[0].connected is None and "no connectivity in it" in found.notes[0]


def test_number_of_calls_is_bounded_and_what_is_left_out_is_said(monkeypatch):
    monkeypatch.setattr(things, "SEARCHED", 200)
    page = {"things": [document(f"t-{number}") for number in range(100)], "nextToken": "more"}
    account = Account(GetIndexingConfiguration=indexing("REGISTRY_AND_SHADOW"), SearchIndex=page)
    found = account.reader.fleet()
    assert account.called.count("SearchIndex") == 2
    assert found.notes == ("The first 200 things are read, and no more.",)


def test_number_of_shadows_is_bounded_where_each_is_a_call(monkeypatch):
    monkeypatch.setattr(things, "LISTED", 2)
    account = Account(
        GetIndexingConfiguration=indexing("OFF"),
        ListThings={"things": [{"thingName": name} for name in "abc"]},
        GetThingShadow=shadow("1.2.0"),
    )
    found = account.reader.fleet()
    assert [thing.image for thing in found.things] == ["1.2.0", "1.2.0", ""]
    assert "The shadows of the first 2 things are read, and no more." in found.notes


def test_pages_of_jobs_are_bounded(monkeypatch):
    monkeypatch.setattr(executions, "PAGES", 3)
    numbers = iter(range(100))
    account = Account(
        GetIndexingConfiguration=indexing("REGISTRY_AND_SHADOW"),
        SearchIndex={"things": []},
        ListJobs=lambda _: {"jobs": [], "nextToken": f"page {next(numbers)}"},
    )
    account.reader.fleet()
    assert account.called.count("ListJobs") == 3


def test_shadow_of_the_index_that_is_no_json_tells_nothing():
    account = Account(
        GetIndexingConfiguration=indexing("REGISTRY_AND_SHADOW"),
        SearchIndex={"things": [document("a", shadow="{"), document("b", shadow="[1]")]},
    )
    assert [thing.reported for thing in account.reader.fleet().things] == [{}, {}]


def test_thing_whose_connection_aws_cannot_tell_is_shown_all_the_same():
    account = Account(
        DescribeThing={"thingName": "a"},
        GetThingConnectivityData="IndexNotReadyException",
        GetThingShadow=shadow("1.2.0"),
        ListJobExecutionsForThing={"executionSummaries": []},
    )
    found = account.reader.thing("a")
    assert (found.connected, found.image) == (None, "1.2.0")
