"""How things and jobs stand, read by boto3 from a cloud that runs."""

import pytest
from botocore.exceptions import ClientError
from fleet_scene import Scene, soon

from sluice.cloud.names import arn
from sluice.fleet import executions, reader


@pytest.fixture
def scene(own_cloud) -> Scene:
    own_cloud.start()
    return Scene(own_cloud)


def test_thing_stands_as_its_board_and_the_cloud_tell(scene):
    scene.thing("pump", version="1.1.0", agent="0.2.0", app="1.3.0", board="SIM_ESP32", free=24336)
    scene.iot.create_thing_group(thingGroupName="pilot")
    scene.iot.add_thing_to_thing_group(thingGroupName="pilot", thingName="pump")
    scene.job("update", "pump")
    scene.verdict("update", "pump", "FAILED", "rolled back: self-test failed")
    [found] = scene.reader.fleet().things
    assert (found.thing, found.groups) == ("pump", ("pilot",))
    assert (found.image, found.agent, found.app) == ("1.1.0", "0.2.0", "1.3.0")
    assert (found.connected, found.connected_at) == (False, None)
    assert found.job.verdict == "FAILED: rolled back: self-test failed" and found.failed
    one = scene.reader.thing("pump")
    assert (one.job.verdict, one.app, one.told_at) == (found.job.verdict, "1.3.0", found.told_at)


def test_board_that_connects_and_goes_is_seen(scene, device):
    board = device(scene.cloud, "pump")
    soon(lambda: scene.reader.fleet().things[0].connected)
    board.client.disconnect()
    soon(lambda: not scene.reader.thing("pump").connected)
    found = scene.reader.thing("pump")
    assert found.disconnect_reason == "CLIENT_INITIATED_DISCONNECT"
    assert found.seen_at == found.connected_at is not None


def test_last_job_is_the_one_that_goes_on_else_the_one_that_changed_last(scene):
    for name in ("busy", "done"):
        scene.thing(name)
    scene.job("first", "busy", "done")
    scene.verdict("first", "busy", "IN_PROGRESS")
    scene.verdict("first", "done", "SUCCEEDED")
    scene.job("second", "busy", "done")
    busy, done = scene.reader.fleet().things
    assert (busy.job.job, busy.job.status) == ("first", "IN_PROGRESS")
    assert (done.job.job, done.job.status) == ("second", "QUEUED")
    assert scene.reader.thing("busy").job.job == "first"


def test_reason_that_the_board_told_itself_costs_no_call(scene):
    job = {"id": "told", "status": "FAILED", "reason": "no room"}
    scene.thing("teller", job=job)
    scene.thing("silent")
    scene.job("told", "teller", "silent")
    for name in ("teller", "silent"):
        scene.verdict("told", name, "FAILED", "no room")
    made = scene.reader
    asked = []
    made._iot.meta.events.register(
        "before-call.iot.DescribeJobExecution",
        lambda params, **_: asked.append(params["url_path"]),
    )
    assert [thing.job.reason for thing in made.fleet().things] == ["no room", "no room"]
    assert len(asked) == 1 and "/silent/" in asked[0]
    made.fleet()
    assert len(asked) == 1, "it has ended, and was asked for already"


def test_reading_again_asks_only_for_what_may_have_changed(scene):
    for number in range(250):
        scene.thing(f"many-{number:03}")
    for name in ("old-1", "old-2"):
        scene.job(name, "many-000")
        scene.verdict(name, "many-000", "FAILED", "why")
    scene.job("new", "many-001")
    made = scene.reader
    first = made.fleet()
    assert len(first.things) == 250 and not first.notes
    # the configuration, three pages of things, the list of jobs, three jobs, a reason
    assert first.calls == 1 + 3 + 1 + 3 + 1
    assert made.fleet().calls == 3 + 1 + 1
    scene.verdict("new", "many-001", "FAILED", "lost")
    again = made.fleet()
    assert again.things[1].job.verdict == "FAILED: lost"
    assert made.fleet().calls == 3 + 1


def test_jobs_are_looked_through_until_each_thing_has_one(scene):
    scene.thing("pump")
    for number in range(4):
        scene.job(f"job-{number}", "pump")
        scene.verdict(f"job-{number}", "pump", "SUCCEEDED")
    found = scene.reader.fleet()
    assert found.things[0].job.job == "job-3"
    assert found.calls == 1 + 1 + 1 + 1


def test_job_that_is_deleted_and_made_again_is_another(scene):
    scene.thing("pump")
    scene.job("again", "pump")
    scene.verdict("again", "pump", "FAILED", "first")
    made = scene.reader
    assert made.fleet().things[0].job.reason == "first" == made.job("again").executions[0].reason
    assert made.jobs().jobs[0].counted == "1 FAILED"
    scene.iot.delete_job(jobId="again", force=True)
    scene.job("again", "pump")
    assert made.fleet().things[0].job.status == "QUEUED"
    assert made.jobs().jobs[0].counted == "1 QUEUED"


def test_job_that_is_deleted_meanwhile_is_passed_over(scene, monkeypatch):
    scene.thing("pump")
    scene.job("gone", "pump")
    scene.job("here", "pump")
    listed = executions.summaries
    made = scene.reader

    def then_deleted(iot):
        found = listed(iot)
        scene.iot.delete_job(jobId="gone", force=True)
        return found

    monkeypatch.setattr(executions, "summaries", then_deleted)
    assert made.fleet().things[0].job.job == "here"
    scene.job("gone", "pump")
    assert [job.job for job in made.jobs().jobs] == ["here"]


def test_job_is_told_by_its_things_and_not_by_aws_word(scene):
    names = [scene.thing(f"t-{number}") for number in range(3)]
    scene.job("mixed", *names)
    scene.verdict("mixed", "t-0", "SUCCEEDED", "accepted v2")
    scene.verdict("mixed", "t-1", "FAILED", "no room")
    made = scene.reader
    assert made.jobs().jobs[0].counted == "1 SUCCEEDED, 1 FAILED, 1 QUEUED"
    scene.verdict("mixed", "t-2", "FAILED", "no room")
    [job] = made.jobs().jobs
    assert (job.status, job.counted, job.went_wrong) == ("COMPLETED", "1 SUCCEEDED, 2 FAILED", 2)
    assert set(job.whom) == set(names) and job.ended
    shown = made.job("mixed")
    assert shown.counted == job.counted and shown.document == {"operation": "echo"}
    assert [one.reason for one in shown.executions] == ["accepted v2", "no room", "no room"]


def test_job_with_retries_counts_each_thing_once_and_shows_each_try(scene):
    scene.thing("pump")
    retries = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    scene.job("stubborn", "pump", jobExecutionsRetryConfig=retries)
    scene.verdict("stubborn", "pump", "FAILED", "first")
    soon(lambda: scene.reader.jobs().jobs[0].counted == "1 QUEUED")
    scene.verdict("stubborn", "pump", "SUCCEEDED", "second")
    shown = scene.reader.job("stubborn")
    assert shown.counted == "1 SUCCEEDED"
    assert [(one.number, one.reason) for one in shown.executions] == [(1, "first"), (2, "second")]


def test_job_without_things_says_so(scene):
    scene.iot.create_thing_group(thingGroupName="empty")
    target = [arn("thinggroup", "empty")]
    document = '{"operation": "echo"}'
    scene.iot.create_job(
        jobId="on", targets=target, document=document, targetSelection="CONTINUOUS"
    )
    scene.iot.create_job(jobId="off", targets=target, document=document)
    jobs = {job.job: job for job in scene.reader.jobs().jobs}
    assert (jobs["on"].counted, jobs["on"].whom) == ("no thing notified yet", ("group empty",))
    assert jobs["on"].continuous and not jobs["on"].ended
    assert jobs["off"].counted == "no thing was notified"


def test_only_the_newest_jobs_are_read_and_the_others_are_counted(scene):
    scene.thing("pump")
    for number in range(4):
        scene.job(f"job-{number}", "pump")
    found = scene.reader.jobs(3)
    assert [job.job for job in found.jobs] == ["job-3", "job-2", "job-1"] and found.more == 1


def test_details_of_a_large_job_are_asked_for_where_they_are_worth_it(scene, monkeypatch):
    monkeypatch.setattr(reader, "FEW", 2)
    monkeypatch.setattr(reader, "MANY", 1)
    names = [scene.thing(f"t-{number}") for number in range(4)]
    scene.job("large", *names)
    scene.verdict("large", "t-0", "SUCCEEDED", "accepted")
    for name in names[1:3]:
        scene.verdict("large", name, "FAILED", "no room")
    reasons = [one.reason for one in scene.reader.job("large").executions]
    assert sorted(reasons) == ["", "", "", "no room"]


def test_thing_and_job_that_are_not_there_are_refused(scene):
    for read in (lambda: scene.reader.thing("none"), lambda: scene.reader.job("none")):
        with pytest.raises(ClientError, match="unknown"):
            read()


def test_empty_cloud_has_no_things_and_no_jobs(scene):
    assert scene.reader.fleet().things == () and scene.reader.jobs().jobs == ()
