"""Tags: put, taken away and listed, on whatever takes them, and gone with it."""

import json

import pytest

from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal
from sluice.cloud.things.groups_api import GroupCalls
from sluice.cloud.things.policies_api import PolicyCalls

A, B = {"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}


def tags(world, resource: str) -> list[dict]:
    return world.tag_calls.list({"resourceArn": resource})["tags"]


@pytest.fixture
def tagged(world):
    """{kind: ARN} of a resource of each kind, with tag A where it may be made with one."""
    world.groups.create("north", None, None, {}, world.now)
    world.job("j", tags=[A])
    world.template_calls.create(
        {"jobTemplateId": "t", "description": "d", "document": "{}", "tags": [A]}
    )
    world.store.insert("policies", name="p", document="{}")
    version = world.put(b"image")
    where = {"bucket": "images", "key": "image.bin", "version": version}
    files = [{"fileId": 0, "s3Location": where}]
    given = {"streamId": "s", "files": files, "roleArn": "r" * 20, "tags": [A]}
    world.stream_calls.create(given)
    file = {"fileName": "f", "fileLocation": {"s3Location": where}}
    given = {"otaUpdateId": "u", "targets": [arn("thing", "pump")], "files": [file], "tags": [A]}
    world.updates.create(given | {"roleArn": "r" * 20})
    pairs = ("job", "j"), ("jobtemplate", "t"), ("stream", "s"), ("otaupdate", "u")
    return {kind: arn(kind, name) for kind, name in pairs} | {
        "thinggroup": arn("thinggroup", "north"),
        "policy": arn("policy", "p"),
    }


def test_what_is_made_with_tags_has_them(world, tagged):
    made = [kind for kind, resource in tagged.items() if tags(world, resource) == [A]]
    assert made == ["job", "jobtemplate", "stream", "otaupdate"]


def test_group_made_with_tags_has_them(world):
    calls = GroupCalls(world.groups, world.things, lambda: world.now)
    made = calls.create({"thingGroupName": "north", "tags": [A]})
    assert tags(world, made["thingGroupArn"]) == [A]


def test_policy_made_with_tags_has_them_or_is_not_made(world):
    calls = PolicyCalls(world.things, lambda: world.now, lambda *which: None)
    given = {"policyDocument": json.dumps({"Version": "2012-10-17", "Statement": []})}
    made = calls.create(given | {"policyName": "p", "tags": [A]})
    assert tags(world, made["policyArn"]) == [A]
    with pytest.raises(Refusal, match="occurs twice"):
        calls.create(given | {"policyName": "q", "tags": [A, A]})
    assert [row["name"] for row in world.store.rows("SELECT name FROM policies")] == ["p"]


def test_tags_are_put_replaced_and_taken_away(world, tagged):
    for resource in tagged.values():
        world.tag_calls.tag({"resourceArn": resource, "tags": [B, {"Key": "a", "Value": "2"}]})
        assert tags(world, resource) == [{"Key": "a", "Value": "2"}, B]
        world.tag_calls.untag({"resourceArn": resource, "tagKeys": ["a", "never"]})
        assert tags(world, resource) == [B]


def test_tags_go_with_what_they_are_on(world, tagged):
    for kind, resource in tagged.items():
        world.tag_calls.tag({"resourceArn": resource, "tags": [A]})
        assert kind in resource
    world.job_calls.delete({"jobId": "j", "force": True})
    world.template_calls.delete({"jobTemplateId": "t"})
    world.stream_calls.delete({"streamId": "s"})
    world.updates.delete({"otaUpdateId": "u", "forceDeleteAWSJob": True, "deleteStream": True})
    world.groups.delete("north", None)
    world.store.run("DELETE FROM policies")
    assert world.store.rows("SELECT * FROM tags") == []
    for resource in tagged.values():
        with pytest.raises(Refusal) as caught:
            tags(world, resource)
        assert caught.value.code == "ResourceNotFoundException"


def test_job_that_is_refused_leaves_no_tags(world):
    with pytest.raises(Refusal, match="unknown thing"):
        world.job("j", thing="nobody", tags=[A])
    with pytest.raises(Refusal, match="occurs twice"):
        world.job("j", tags=[A, A])
    assert world.store.rows("SELECT * FROM tags") == []
    assert world.executions.job("j") is None


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([{"Key": "aws:x", "Value": "y"}], "InvalidRequestException"),
        ([A, {"Key": "a", "Value": "2"}], "InvalidRequestException"),
        ([{"Key": f"k{n}", "Value": ""} for n in range(51)], "LimitExceededException"),
    ],
)
def test_tags_of_no_sense_are_refused_and_none_is_set(world, given, code):
    world.job("j")
    with pytest.raises(Refusal) as caught:
        world.tag_calls.tag({"resourceArn": arn("job", "j"), "tags": given})
    assert caught.value.code == code
    assert tags(world, arn("job", "j")) == []


@pytest.mark.parametrize("resource", ["nothing", arn("thing", "pump"), "arn:aws:s3:::bucket"])
def test_what_takes_no_tags_says_so(world, resource):
    with pytest.raises(Refusal, match="takes no tags"):
        tags(world, resource)
