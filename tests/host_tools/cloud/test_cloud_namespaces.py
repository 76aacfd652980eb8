"""Jobs of a namespace, lists of jobs by group, and more groups for a job."""

import pytest

from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal

GREENGRASS = "aws-gg-deployment"
TOPIC = f"jobs/notify-namespace-{GREENGRASS}"


def topics(messages: list) -> list[str]:
    return [topic for topic, _ in messages]


def listed(world, **given) -> list[str]:
    return [row["jobId"] for row in world.job_calls.list(given)["jobs"]]


def test_job_of_a_namespace_is_told_on_the_topic_of_the_namespace_only(world):
    world.job("one", namespaceId=GREENGRASS)
    [(topic, body)] = world.notices()
    assert topic == TOPIC
    assert [row["jobId"] for row in body["jobs"]["QUEUED"]] == ["one"]
    answers = world.ask("jobs/one/update", {"status": "SUCCEEDED"})
    assert topics(answers) == ["jobs/one/update/accepted", TOPIC]
    assert answers[1][1]["jobs"] == {}


def test_job_of_a_namespace_is_next_for_nobody_else(world):
    world.job("one", namespaceId=GREENGRASS)
    assert "execution" not in world.ask("jobs/$next/get")[0][1]
    assert world.ask("jobs/get")[0][1]["queuedJobs"] == []
    assert "execution" not in world.ask("jobs/start-next")[0][1]
    world.notices()
    world.job("two")
    assert topics(world.notices()) == ["jobs/notify", "jobs/notify-next"]
    assert world.ask("jobs/$next/get")[0][1]["execution"]["jobId"] == "two"


def test_job_of_a_namespace_is_done_within_it(world):
    world.job("one", namespaceId=GREENGRASS)
    [(topic, body)] = world.ask(f"jobs/$next/namespace-{GREENGRASS}/get")
    assert topic == f"jobs/$next/namespace-{GREENGRASS}/get/accepted"
    assert body["execution"]["jobId"] == "one"
    path = f"jobs/one/namespace-{GREENGRASS}/update"
    [(topic, body), *rest] = world.ask(path, {"status": "SUCCEEDED"})
    assert (topic, topics(rest)) == (f"{path}/accepted", [TOPIC])


@pytest.mark.parametrize("space", ["namespace-other", "namespace-", "other"])
def test_job_is_in_no_other_namespace(world, space):
    world.job("one", namespaceId=GREENGRASS)
    [(topic, body)] = world.ask(f"jobs/one/{space}/update", {"status": "SUCCEEDED"})
    assert topic.endswith("/rejected")
    code = "ResourceNotFound" if space == "namespace-other" else "InvalidTopic"
    assert body["code"] == code


def test_notice_of_a_namespace_is_no_request(world):
    assert world.ask(TOPIC) == []


def test_calls_with_a_namespace_mean_a_job_of_it(world):
    world.job("one", namespaceId="here")
    world.job("two")
    assert listed(world, namespaceId="here") == ["one"]
    assert world.job_calls.describe({"jobId": "one"})["job"]["namespaceId"] == "here"
    found = world.execution_calls.list_for_thing({"thingName": "pump", "namespaceId": "here"})
    assert [row["jobId"] for row in found["executionSummaries"]] == ["one"]
    for call in (world.job_calls.update, world.job_calls.delete):
        for job, space in (("one", "there"), ("two", "here")):
            with pytest.raises(Refusal, match="unknown job"):
                call({"jobId": job, "namespaceId": space, "force": True})
    given = {"jobId": "one", "thingName": "pump", "executionNumber": 1}
    with pytest.raises(Refusal, match="unknown job"):
        world.execution_calls.delete(given | {"namespaceId": "there"})
    world.execution_calls.delete(given | {"namespaceId": "here", "force": True})
    world.job_calls.delete({"jobId": "one", "namespaceId": "here", "force": True})
    assert listed(world) == ["two"]


@pytest.fixture
def grouped(world):
    """Groups north (with pump) and south (with valve), and three jobs for them."""
    world.things.create("valve")
    for name, thing in (("north", "pump"), ("south", "valve")):
        world.groups.create(name, None, None, {}, world.now)
        world.groups.add(name, thing)
    for job, targets in (("n", ["north"]), ("s", ["south"]), ("ns", ["south", "north"])):
        given = {"targets": [arn("thinggroup", name) for name in targets], "document": "{}"}
        world.job_calls.create({"jobId": job, "targetSelection": "CONTINUOUS", **given})
    world.job("pump-only")
    return world


def test_jobs_are_listed_by_group(grouped):
    assert listed(grouped, thingGroupName="north") == ["n", "ns"]
    identity = grouped.groups.get("south")["id"]
    assert listed(grouped, thingGroupId=identity) == ["ns", "s"]
    assert listed(grouped, thingGroupName="north", thingGroupId=identity) == ["ns"]
    assert listed(grouped, thingGroupName="north", targetSelection="SNAPSHOT") == []
    assert listed(grouped, targetSelection="SNAPSHOT", status="IN_PROGRESS") == ["pump-only"]


@pytest.mark.parametrize("member", ["thingGroupName", "thingGroupId"])
def test_jobs_of_a_group_that_is_not_there_are_not_found(grouped, member):
    with pytest.raises(Refusal, match="unknown thing group") as caught:
        listed(grouped, **{member: "nort"})
    assert caught.value.code == "ResourceNotFoundException"


def test_group_associated_with_a_job_gets_it_at_once(grouped):
    grouped.notices()
    given = {"jobId": "n", "targets": [arn("thinggroup", "south")], "comment": "and the south"}
    answer = grouped.job_calls.associate(given)
    assert (answer["jobId"], answer["jobArn"]) == ("n", arn("job", "n"))
    assert {row["thing"] for row in grouped.executions.of_job("n")} == {"pump", "valve"}
    assert {message.topic.split("/")[2] for message in grouped.sent} == {"valve"}
    about = grouped.job_calls.describe({"jobId": "n"})["job"]
    assert about["targets"] == [arn("thinggroup", name) for name in ("north", "south")]
    assert about["comment"] == "and the south"
    grouped.things.create("new")
    grouped.groups.add("south", "new")
    grouped.rollouts.due()
    assert {row["thing"] for row in grouped.executions.of_job("n")} == {"pump", "valve", "new"}


@pytest.mark.parametrize(
    ("job", "targets", "words"),
    [
        ("pump-only", [arn("thinggroup", "south")], "no CONTINUOUS job"),
        ("n", [arn("thing", "valve")], "only thing groups"),
        ("n", [arn("thinggroup", "east")], "unknown thing group"),
        ("none", [arn("thinggroup", "south")], "unknown job"),
    ],
)
def test_what_cannot_be_associated_is_refused_and_nothing_changes(grouped, job, targets, words):
    before = [tuple(row) for row in grouped.store.rows("SELECT * FROM jobs")]
    with pytest.raises(Refusal, match=words):
        grouped.job_calls.associate({"jobId": job, "targets": targets})
    assert [tuple(row) for row in grouped.store.rows("SELECT * FROM jobs")] == before


def test_job_has_a_hundred_targets_at_most(grouped):
    for n in range(100):
        grouped.groups.create(f"g{n}", None, None, {}, grouped.now)
    targets = [arn("thinggroup", f"g{n}") for n in range(100)]
    with pytest.raises(Refusal, match="100 targets") as caught:
        grouped.job_calls.associate({"jobId": "n", "targets": targets})
    assert caught.value.code == "LimitExceededException"


def test_execution_without_details_is_described_with_empty_ones(world):
    world.job("one")
    given = {"jobId": "one", "thingName": "pump"}
    assert world.execution_calls.describe(given)["execution"]["statusDetails"] == {}
    world.ask("jobs/one/update", {"status": "IN_PROGRESS", "statusDetails": {"a": "b"}})
    found = world.execution_calls.describe(given)["execution"]["statusDetails"]
    assert found == {"detailsMap": {"a": "b"}}
