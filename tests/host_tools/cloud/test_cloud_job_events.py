"""What is told on `$aws/events/…` of jobs and executions, and when it is."""

import json

import pytest

from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal

PREFIX = "$aws/events/"


def enable(world, *kinds: str) -> None:
    given = {kind: {"Enabled": True} for kind in kinds}
    world.event_calls.update({"eventConfigurations": given})


@pytest.fixture
def loud(world):
    """A world that publishes all events of jobs and executions."""
    enable(world, "JOB", "JOB_EXECUTION")
    return world


def told(messages: list) -> list[tuple[str, dict]]:
    """The events among messages, as (topic, body)."""
    pairs = [m if isinstance(m, tuple) else (m.topic, json.loads(m.payload)) for m in messages]
    return [(t.removeprefix(PREFIX), body) for t, body in pairs if t.startswith(PREFIX)]


def topics(messages: list) -> list[str]:
    return [topic for topic, _ in told(messages)]


def sent(world) -> list:
    found, world.sent[:] = list(world.sent), []
    return found


def test_nothing_is_told_until_it_is_enabled(world):
    found = world.event_calls.describe({})
    assert found["eventConfigurations"]["JOB"] == {"Enabled": False}
    world.job("one")
    assert told(world.ask("jobs/one/update", {"status": "SUCCEEDED"})) == []
    world.job("two")
    world.job_calls.cancel({"jobId": "two"})
    assert told(sent(world)) == []


def test_events_are_enabled_one_by_one_and_disabled_again(world):
    enable(world, "JOB")
    begun = world.now
    world.now += 5
    world.event_calls.update({"eventConfigurations": {"THING": {"Enabled": False}}})
    found = world.event_calls.describe({})
    on = [kind for kind, one in found["eventConfigurations"].items() if one["Enabled"]]
    assert (on, len(found["eventConfigurations"])) == (["JOB"], 11)
    assert (found["creationDate"], found["lastModifiedDate"]) == (begun, begun + 5)
    world.job("one")
    assert topics(world.ask("jobs/one/update", {"status": "FAILED"})) == ["job/one/completed"]
    world.event_calls.update({"eventConfigurations": {"JOB": {"Enabled": False}}})
    world.job("two")
    assert told(world.ask("jobs/two/update", {"status": "FAILED"})) == []


def test_events_that_the_cloud_does_not_publish_are_refused_by_name(world):
    with pytest.raises(Refusal, match="no events of CERTIFICATE, THING$"):
        enable(world, "JOB", "CERTIFICATE", "THING")
    assert world.event_calls.describe({})["eventConfigurations"]["JOB"] == {"Enabled": False}


def test_job_that_completes_tells_so_with_its_counts(loud):
    loud.things.create("valve")
    targets = [arn("thing", "pump"), arn("thing", "valve")]
    given = {"jobId": "one", "targets": targets, "document": "{}", "description": "d"}
    loud.job_calls.create(given)
    loud.ask("jobs/one/update", {"status": "REJECTED"}, "valve")
    loud.now += 1.5
    messages = loud.ask("jobs/one/update", {"status": "SUCCEEDED"})
    assert topics(messages) == ["jobExecution/one/succeeded", "job/one/completed"]
    body = told(messages)[1][1]
    assert body.pop("eventId")
    assert body == {
        "eventType": "JOB",
        "timestamp": 1_700_000_001,
        "operation": "completed",
        "jobId": "one",
        "status": "COMPLETED",
        "targetSelection": "SNAPSHOT",
        "targets": targets,
        "description": "d",
        "completedAt": 1_700_000_001_500,
        "createdAt": 1_700_000_000_000,
        "lastUpdatedAt": 1_700_000_001_500,
        "jobProcessDetails": {
            "numberOfCanceledThings": 0,
            "numberOfRejectedThings": 1,
            "numberOfFailedThings": 0,
            "numberOfRemovedThings": 0,
            "numberOfSucceededThings": 1,
        },
    }


def test_execution_that_ends_tells_so_with_its_details(loud):
    loud.job("one")
    loud.ask("jobs/one/update", {"status": "IN_PROGRESS", "statusDetails": {"a": "b"}})
    messages = loud.ask("jobs/one/update", {"status": "FAILED"})
    body = told(messages)[0][1]
    assert body.pop("eventId")
    assert body == {
        "eventType": "JOB_EXECUTION",
        "timestamp": 1_700_000_000,
        "operation": "failed",
        "jobId": "one",
        "thingArn": arn("thing", "pump"),
        "status": "FAILED",
        "statusDetails": {"a": "b"},
    }
    loud.job("two")
    details = {"status": "SUCCEEDED", "statusDetails": {"c": "d"}}
    assert told(loud.ask("jobs/two/update", details))[0][1]["statusDetails"] == {"c": "d"}


def test_progress_is_no_event(loud):
    loud.job("one")
    assert told(loud.ask("jobs/start-next")) == []
    assert told(loud.ask("jobs/one/update", {"status": "IN_PROGRESS"})) == []


def test_each_try_that_fails_is_told_and_the_job_once(loud):
    retries = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    loud.job("one", jobExecutionsRetryConfig=retries)
    first = topics(loud.ask("jobs/one/update", {"status": "FAILED"}))
    second = topics(loud.ask("jobs/one/update", {"status": "FAILED"}))
    assert first == ["jobExecution/one/failed"]
    assert second == [*first, "job/one/completed"]


def test_canceling_is_told_when_it_begins_and_when_it_has_ended(loud):
    loud.job("one")
    loud.job_calls.cancel({"jobId": "one", "comment": "no more"})
    found = told(sent(loud))
    assert [topic for topic, _ in found] == [
        "job/one/cancellation_in_progress",
        "jobExecution/one/canceled",
        "job/one/canceled",
    ]
    assert [body["status"] for _, body in found] == [
        "CANCELLATION_IN_PROGRESS",
        "CANCELED",
        "CANCELED",
    ]
    assert found[2][1]["comment"] == "no more"
    assert "completedAt" not in found[2][1]


def test_deleting_is_told_when_it_begins_and_when_it_has_ended(loud):
    loud.job("one")
    loud.job_calls.delete({"jobId": "one", "force": True})
    found = told(sent(loud))
    assert [topic for topic, _ in found] == ["job/one/deletion_in_progress", "job/one/deleted"]
    assert [body["status"] for _, body in found] == ["DELETION_IN_PROGRESS", "DELETED"]


def test_execution_that_is_deleted_canceled_or_timed_out_is_told(loud):
    loud.job("one", timeoutConfig={"inProgressTimeoutInMinutes": 1})
    loud.ask("jobs/start-next")
    loud.now += 61
    assert topics(loud.executions.expire()) == ["jobExecution/one/timed_out", "job/one/completed"]
    loud.job("two")
    sent(loud)
    loud.execution_calls.cancel({"jobId": "two", "thingName": "pump"})
    given = {"jobId": "two", "thingName": "pump", "executionNumber": 1}
    loud.execution_calls.delete(given)
    assert topics(sent(loud)) == [
        "jobExecution/two/canceled",
        "job/two/completed",
        "jobExecution/two/deleted",
    ]


def test_thing_that_leaves_a_continuous_jobs_group_is_told(loud):
    loud.groups.create("fleet", None, None, {}, loud.now)
    loud.groups.add("fleet", "pump")
    given = {"jobId": "one", "targets": [arn("thinggroup", "fleet")], "document": "{}"}
    loud.job_calls.create(given | {"targetSelection": "CONTINUOUS"})
    loud.groups.remove("fleet", "pump")
    assert topics(loud.rollouts.due()) == ["jobExecution/one/removed"]


def test_job_for_nobody_tells_that_it_is_complete(loud):
    loud.groups.create("none", None, None, {}, loud.now)
    given = {"jobId": "one", "targets": [arn("thinggroup", "none")], "document": "{}"}
    loud.job_calls.create(given)
    assert topics(sent(loud)) == ["job/one/completed"]


def test_abort_is_told_as_a_job_that_is_canceled(loud):
    rule = {"failureType": "FAILED", "action": "CANCEL", "thresholdPercentage": 10}
    loud.things.create("valve")
    targets = [arn("thing", "pump"), arn("thing", "valve")]
    config = {"criteriaList": [rule | {"minNumberOfExecutedThings": 1}]}
    given = {"jobId": "one", "targets": targets, "document": "{}", "abortConfig": config}
    loud.job_calls.create(given)
    loud.ask("jobs/one/update", {"status": "FAILED"}, "valve")
    found = told(loud.rollouts.due())
    assert [topic for topic, _ in found][-1] == "job/one/canceled"
    assert found[-1][1]["comment"].startswith("aborted: 1 of 2")


def test_what_is_rolled_back_is_not_told(loud):
    loud.job("one")
    row = loud.executions.find("pump", "one")
    with pytest.raises(ZeroDivisionError), loud.executions.change("pump"):
        loud.executions.move(row, "SUCCEEDED")
        raise ZeroDivisionError
    loud.job("two")
    assert told(sent(loud)) == []
    assert loud.executions.find("pump", "one")["status"] == "QUEUED"
