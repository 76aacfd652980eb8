"""Fleet indexing's SearchIndex by boto3, and what of its query language is known."""

import json
import time

import pytest
from botocore.exceptions import ClientError
from patience import FUSE_S

from sluice.cloud.index.query import TERMS, parse
from sluice.cloud.refusal import Refusal


@pytest.fixture(scope="module")
def iot(cloud):
    """The cloud's client, with things of three kinds."""
    client, data = cloud.client("iot"), cloud.client("iot-data")
    client.create_thing_group(thingGroupName="indexed")
    for number, room in enumerate(("hall", "attic", "hall")):
        name = f"idx-{number}"
        attributes = {"attributes": {"room": room, "serial": f"00{number}"}}
        client.create_thing(thingName=name, thingTypeName="Lamp", attributePayload=attributes)
        state = {"version": f"1.{number}.0", "free": 1000 * number, "trial": number == 1}
        state |= {"tags": ["red hot", "b"], "job": {"status": "FAILED"}, "a.b": {"c": "dotted"}}
        report(data, name, state)
    client.add_thing_to_thing_group(thingGroupName="indexed", thingName="idx-1")
    report(data, "idx-2", {"slot": "ota_1"}, "site")
    return client


def report(data, thing: str, state: dict, name: str | None = None) -> None:
    words = {"thingName": thing} | ({"shadowName": name} if name else {})
    data.update_thing_shadow(**words, payload=json.dumps({"state": {"reported": state}}))


def names(iot, query: str, **more) -> list[str]:
    found = iot.search_index(queryString=query, **more)
    return [thing["thingName"] for thing in found["things"]]


# fmt: off
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("thingName:idx-*",                                                 "012"),
        ("thingName:IDX-?",                                                 "012"),
        ("thingName:idx-1",                                                 "1"),
        ("thingName:*dx-1",                                                 "1"),
        ("thingName:idx",                                                   ""),
        ("attributes.room:hall",                                            "02"),
        ("attributes.room:hall AND attributes.serial:002",                  "2"),
        ("attributes.room:hall attributes.serial:000",                      "0"),
        ("thingName:idx-* AND NOT attributes.room:hall",                    "1"),
        ("NOT attributes.room:hall AND thingName:idx-*",                    "1"),
        ("thingTypeName:lamp",                                              "012"),
        ("thingGroupNames:indexed",                                         "1"),
        ("thingTypeName:Lamp AND shadow.reported.version:1.2.0",            "2"),
        ("thingTypeName:Lamp AND shadow.reported.free:1000",                "1"),
        ("thingTypeName:Lamp AND shadow.reported.free:1000.0",              ""),
        ("thingTypeName:Lamp AND shadow.reported.trial:true",               "1"),
        ('thingTypeName:Lamp AND shadow.reported.tags:"red hot"',           "012"),
        ("thingTypeName:Lamp AND shadow.reported.tags:hot",                 "012"),
        ("thingTypeName:Lamp AND shadow.reported.job.status:FAILED",        "012"),
        ("thingTypeName:Lamp AND shadow.reported.job:*",                    "012"),
        ("thingTypeName:Lamp AND shadow.reported.a.b.c:dotted",             "012"),
        ("thingTypeName:Lamp AND NOT shadow.desired.version:*",             "012"),
        ("thingTypeName:Lamp AND shadow.name.site.reported.slot:ota_1",     "2"),
        ("thingTypeName:Lamp AND shadow.hasDelta:false",                    "012"),
        ("thingTypeName:Lamp AND connectivity.connected:false",             "012"),
        ("thingTypeName:Lamp AND connectivity.connected:true",              ""),
        ("thingName:idx-[1]",                                               ""),
        ("* AND thingTypeName:Lamp",                                        "012"),
    ],
)
# fmt: on
def test_things_are_found_by_what_is_known_of_them(iot, query, found):
    assert names(iot, query) == [f"idx-{number}" for number in found]


# fmt: off
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("thingName:a OR thingName:b",         "does not know OR"),
        ("thingName:(a AND b)",                "grouping"),
        ("(thingName:a)",                      "grouping"),
        ("thingName:a -thingName:b",           "hyphen"),
        ("attributes.size:[1 TO 3]",           "ranges"),
        ("shadow.reported.free:>5",            "comparisons"),
        ("thingName:a\\-b",                    "special characters"),
        ("pump",                               "a term without a field"),
        ("thingName:",                         "a field without a value"),
        ("thingName:a:b",                      "a colon within a value"),
        ("deviceDefender.violationCount:1",    "does not index deviceDefender.violationCount"),
        ("version:3",                          "does not index version"),
        ("AND thingName:a",                    "AND stands between"),
        ("thingName:a AND",                    "a term is missing"),
        ("thingName:a NOT",                    "a term is missing"),
        ("  ",                                 "a term is missing"),
        ("thingName:*a thingTypeName:*b",      "one value of a query"),
        (f"thingName:*{'a' * 100}",            "100 characters"),
        (" ".join(["thingName:a"] * (TERMS + 1)), "12 terms"),
    ],
)
# fmt: on
def test_rest_of_the_language_is_refused_by_name(iot, query, said):
    with pytest.raises(iot.exceptions.InvalidQueryException, match=said):
        iot.search_index(queryString=query)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"indexName": "AWS_ThingGroups"}, "ResourceNotFoundException"),
        ({"queryVersion": "2020-01-01"}, "InvalidRequestException"),
        ({"maxResults": 101}, "InvalidRequestException"),
        ({"nextToken": "!"}, "InvalidRequestException"),
        ({"nextToken": "LyoK"}, "InvalidRequestException"),
    ],
)
def test_searches_beyond_the_limits_are_refused(iot, words, code):
    with pytest.raises(ClientError) as caught:
        iot.search_index(queryString="*", **words)
    assert caught.value.response["Error"]["Code"] == code


def test_pages_follow_each_other_by_a_token(iot):
    first = iot.search_index(queryString="thingName:idx-*", maxResults=2)
    assert [one["thingName"] for one in first["things"]] == ["idx-0", "idx-1"]
    last = iot.search_index(
        queryString="thingName:idx-*", maxResults=2, nextToken=first["nextToken"]
    )
    assert [one["thingName"] for one in last["things"]] == ["idx-2"] and "nextToken" not in last
    assert "nextToken" not in iot.search_index(queryString="thingName:idx-*", maxResults=3)


def test_document_has_attributes_groups_and_all_shadows(iot):
    [one] = iot.search_index(queryString="thingName:idx-2")["things"]
    assert one["attributes"] == {"room": "hall", "serial": "002"}
    assert (one["thingTypeName"], one["thingGroupNames"]) == ("Lamp", [])
    assert one["connectivity"] == {"connected": False}
    shadow = json.loads(one["shadow"])
    assert shadow["reported"]["version"] == "1.2.0" and shadow["version"] == 1
    assert abs(shadow["metadata"]["reported"]["version"]["timestamp"] - time.time()) < FUSE_S
    assert shadow["name"]["site"]["reported"] == {"slot": "ota_1"}


def test_shadow_that_is_deleted_is_not_found_any_more(iot, cloud):
    data = cloud.client("iot-data")
    iot.create_thing(thingName="forgetful")
    report(data, "forgetful", {"version": "9"})
    data.delete_thing_shadow(thingName="forgetful")
    [one] = iot.search_index(queryString="thingName:forgetful")["things"]
    assert "shadow" not in one
    assert names(iot, "shadow.reported.version:9") == []


def test_index_knows_who_is_connected_and_why_not(iot, cloud, device):
    board = device(cloud, "idx-board")
    query = "thingName:idx-board AND connectivity.connected:{}"
    limit = time.monotonic() + FUSE_S
    while names(iot, query.format("true")) != ["idx-board"]:
        assert time.monotonic() < limit
        time.sleep(0.02)
    board.client.disconnect()
    while names(iot, query.format("false")) != ["idx-board"]:
        assert time.monotonic() < limit
        time.sleep(0.02)
    [one] = iot.search_index(queryString="thingName:idx-board")["things"]
    found = one["connectivity"]
    assert found["disconnectReason"] == "CLIENT_INITIATED_DISCONNECT"
    assert (found["clientId"], found["cleanSession"]) == ("idx-board", True)
    assert abs(found["timestamp"] / 1000 - time.time()) < FUSE_S


def test_configuration_says_that_all_is_indexed(iot):
    found = iot.get_indexing_configuration()["thingIndexingConfiguration"]
    assert found["thingIndexingMode"] == "REGISTRY_AND_SHADOW"
    assert found["thingConnectivityIndexingMode"] == "STATUS"


@pytest.mark.parametrize("size", [0, 1, 250, 251])
def test_index_reads_any_number_of_things(world, size):
    from sluice.cloud.index.api import IndexCalls

    with world.store.transaction():
        for number in range(size):
            world.things.create(f"many-{number:03}")
    calls, found, words = IndexCalls(world.store), [], {"queryString": "thingName:many-*"}
    while True:
        page = calls.search(words)
        found += [one["thingName"] for one in page["things"]]
        if "nextToken" not in page:
            break
        words["nextToken"] = page["nextToken"]
    assert found == [f"many-{number:03}" for number in range(size)]


@pytest.mark.parametrize("text", ['"', 'thingName:"', "thingName:a\"", 'a"b', "not thingName:a"])
def test_text_that_is_no_query_is_refused(text):
    with pytest.raises(Refusal):
        parse(text)
