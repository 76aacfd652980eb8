"""When a device is told unasked: notify, notify-next, their order; cancel, timeouts, retries."""

import pytest

from sluice.cloud.refusal import Refusal


def topics(messages: list) -> list[str]:
    return [topic for topic, _ in messages]


BOTH = ["jobs/notify", "jobs/notify-next"]


def test_first_job_is_announced_with_its_document(world):
    world.job("one", {"operation": "reboot"})
    assert world.notices() == [
        (
            "jobs/notify",
            {
                "timestamp": 1_700_000_000,
                "jobs": {
                    "QUEUED": [
                        {
                            "jobId": "one",
                            "queuedAt": 1_700_000_000,
                            "lastUpdatedAt": 1_700_000_000,
                            "versionNumber": 1,
                            "executionNumber": 1,
                        }
                    ]
                },
            },
        ),
        (
            "jobs/notify-next",
            {
                "timestamp": 1_700_000_000,
                "execution": {
                    "jobId": "one",
                    "status": "QUEUED",
                    "queuedAt": 1_700_000_000,
                    "lastUpdatedAt": 1_700_000_000,
                    "versionNumber": 1,
                    "executionNumber": 1,
                    "jobDocument": {"operation": "reboot"},
                },
            },
        ),
    ]


def test_notices_are_sent_at_qos_1(world):
    world.job("one")
    assert [message.qos for message in world.sent] == [1, 1]


def test_job_behind_another_is_only_listed(world):
    world.job("one")
    world.ask("jobs/start-next")
    world.notices()
    world.job("two")
    [(topic, body)] = world.notices()
    assert topic == "jobs/notify"
    assert list(body["jobs"]) == ["IN_PROGRESS", "QUEUED"]
    assert [row["jobId"] for row in body["jobs"]["QUEUED"]] == ["two"]


def test_starting_the_first_job_is_silent(world):
    world.job("one")
    assert topics(world.ask("jobs/start-next")) == ["jobs/start-next/accepted"]


def test_progress_is_silent(world):
    world.job("one")
    world.ask("jobs/start-next")
    request = {"status": "IN_PROGRESS", "statusDetails": {"receive": "1/9"}}
    assert topics(world.ask("jobs/one/update", request)) == ["jobs/one/update/accepted"]


def test_overtaking_the_first_job_names_the_new_next(world):
    world.job("one")
    world.job("two")
    answers = world.ask("jobs/two/update", {"status": "IN_PROGRESS"})
    assert topics(answers) == ["jobs/two/update/accepted", "jobs/notify-next"]
    execution = answers[1][1]["execution"]
    assert (execution["jobId"], execution["status"]) == ("two", "IN_PROGRESS")


def test_first_job_ends_and_the_next_is_announced_in_order(world):
    world.job("one")
    world.job("two")
    answers = world.ask("jobs/one/update", {"status": "SUCCEEDED"})
    assert topics(answers) == ["jobs/one/update/accepted", *BOTH]
    assert answers[2][1]["execution"]["jobId"] == "two"


def test_other_job_ends_and_only_the_list_is_told(world):
    world.job("one")
    world.job("two")
    answers = world.ask("jobs/two/update", {"status": "REJECTED"})
    assert topics(answers) == ["jobs/two/update/accepted", "jobs/notify"]


def test_last_job_ends_and_the_empty_queue_is_told_once(world):
    world.job("one")
    answers = world.ask("jobs/one/update", {"status": "SUCCEEDED"})
    assert answers[1:] == [
        ("jobs/notify", {"timestamp": 1_700_000_000, "jobs": {}}),
        ("jobs/notify-next", {"timestamp": 1_700_000_000}),
    ]


def test_refused_update_is_silent(world):
    world.job("one")
    assert len(world.ask("jobs/one/update", {"status": "SUCCEEDED", "expectedVersion": 5})) == 1


def test_list_names_ten_executions_at_most(world):
    for number in range(12):
        world.job(f"j{number}")
    assert len(world.notices()[-1][1]["jobs"]["QUEUED"]) == 10


def test_one_job_for_two_things_tells_each(world):
    world.things.create("other")
    targets = [f"arn:aws:iot:r:1:thing/{name}" for name in ("pump", "other")]
    world.job_calls.create({"jobId": "one", "targets": targets, "document": "{}"})
    assert [message.topic.split("/")[2] for message in world.sent] == ["pump"] * 2 + ["other"] * 2


def test_plain_cancel_leaves_a_running_execution_alone(world):
    world.job("one")
    world.ask("jobs/start-next")
    world.notices()
    world.job_calls.cancel({"jobId": "one"})
    assert world.notices() == []
    [(topic, _), *_] = world.ask("jobs/one/update", {"status": "SUCCEEDED", "expectedVersion": 2})
    assert topic == "jobs/one/update/accepted"
    assert world.job_calls.describe({"jobId": "one"})["job"]["status"] == "CANCELED"


def test_plain_cancel_of_a_queued_execution_is_told(world):
    world.job("one")
    world.notices()
    world.job_calls.cancel({"jobId": "one"})
    assert topics(world.notices()) == BOTH


def test_forced_cancel_ends_a_running_execution_with_one_version_more(world):
    world.job("one")
    world.ask("jobs/start-next")
    world.notices()
    world.job_calls.cancel({"jobId": "one", "force": True})
    assert world.notices()[1] == ("jobs/notify-next", {"timestamp": 1_700_000_000})
    [(_, body)] = world.ask("jobs/one/update", {"status": "IN_PROGRESS"})
    assert body["code"] == "InvalidStateTransition"
    assert body["executionState"] == {"status": "CANCELED", "versionNumber": 3}


def test_cancel_execution_needs_force_while_it_runs(world):
    world.job("one")
    world.ask("jobs/start-next")
    given = {"jobId": "one", "thingName": "pump"}
    with pytest.raises(Refusal) as caught:
        world.execution_calls.cancel(given)
    assert caught.value.code == "InvalidStateTransitionException"
    with pytest.raises(Refusal) as caught:
        world.execution_calls.cancel(given | {"force": True, "expectedVersion": 1})
    assert caught.value.code == "VersionConflictException"
    world.execution_calls.cancel(given | {"force": True, "expectedVersion": 2})
    execution = world.execution_calls.describe(given)["execution"]
    assert (execution["status"], execution["forceCanceled"]) == ("CANCELED", True)


def test_job_that_succeeds_just_before_it_is_canceled_has_succeeded(world):
    world.job("one")
    world.job("other")
    world.meanwhile(lambda: world.ask("jobs/one/update", {"status": "SUCCEEDED"}))
    with pytest.raises(Refusal, match="COMPLETED"):
        world.job_calls.cancel({"jobId": "one"})
    assert (status(world), status(world, "other")) == ("SUCCEEDED", "QUEUED")


@pytest.mark.parametrize("call", ["cancel", "delete"])
def test_execution_that_starts_just_before_its_end_needs_force(world, call):
    world.job("one")
    world.meanwhile(lambda: world.ask("jobs/start-next"))
    given = {"jobId": "one", "thingName": "pump", "executionNumber": 1}
    with pytest.raises(Refusal) as caught:
        getattr(world.execution_calls, call)(given)
    assert caught.value.code == "InvalidStateTransitionException"
    assert status(world) == "IN_PROGRESS"


def test_cancel_of_an_ended_job_is_refused(world):
    world.job("one")
    world.ask("jobs/one/update", {"status": "SUCCEEDED"})
    with pytest.raises(Refusal, match="COMPLETED"):
        world.job_calls.cancel({"jobId": "one"})


def test_delete_of_a_running_job_needs_force_and_empties_the_queue(world):
    world.job("one")
    world.notices()
    with pytest.raises(Refusal, match="force"):
        world.job_calls.delete({"jobId": "one"})
    world.job_calls.delete({"jobId": "one", "force": True})
    assert topics(world.notices()) == BOTH
    [(_, body)] = world.ask("jobs/one/get")
    assert body["code"] == "ResourceNotFound"


def test_deleted_job_may_be_made_again_and_starts_at_one(world):
    world.job("one")
    world.ask("jobs/start-next")
    world.job_calls.delete({"jobId": "one", "force": True})
    world.job("one")
    [(_, body)] = world.ask("jobs/one/get")
    assert (body["execution"]["versionNumber"], body["execution"]["executionNumber"]) == (1, 1)


def test_delete_thing_removes_its_executions(world):
    world.job("one")
    world.things.delete("pump")
    assert world.executions.queue("pump") == []


def status(world, job: str = "one") -> str:
    given = {"jobId": job, "thingName": "pump"}
    return world.execution_calls.describe(given)["execution"]["status"]


def expire(world) -> list:
    return [world.read(message) for message in world.executions.expire()]


def test_step_timer_runs_out_and_times_out(world):
    world.job("one")
    [(_, body)] = world.ask("jobs/start-next", {"stepTimeoutInMinutes": 10})
    assert body["execution"]["approximateSecondsBeforeTimedOut"] == 599
    world.now += 599
    assert expire(world) == []
    world.now += 1
    assert topics(expire(world)) == BOTH
    assert status(world) == "TIMED_OUT"
    [(_, body)] = world.ask("jobs/one/update", {"status": "SUCCEEDED"})
    assert body["executionState"] == {"status": "TIMED_OUT", "versionNumber": 3}


@pytest.mark.parametrize(
    ("happens", "left"),
    [
        (lambda world: world.job_calls.delete({"jobId": "one", "force": True}), []),
        (lambda world: world.ask("jobs/one/update", {"status": "SUCCEEDED"}), ["SUCCEEDED"]),
    ],
)
def test_execution_that_ends_just_before_its_deadline_does_not_time_out(world, happens, left):
    world.job("one")
    world.ask("jobs/start-next", {"stepTimeoutInMinutes": 1})
    world.now += 60
    world.meanwhile(lambda: happens(world))
    assert expire(world) == []
    assert [row["status"] for row in world.executions.of_job("one")] == left


def test_update_without_step_timeout_does_not_reset_the_timer(world):
    world.job("one")
    world.ask("jobs/start-next", {"stepTimeoutInMinutes": 1})
    world.now += 50
    world.ask("jobs/one/update", {"status": "IN_PROGRESS"})
    world.now += 10
    expire(world)
    assert status(world) == "TIMED_OUT"


def test_update_with_step_timeout_starts_the_timer_anew(world):
    world.job("one")
    world.ask("jobs/start-next", {"stepTimeoutInMinutes": 1})
    world.now += 50
    world.ask("jobs/one/update", {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 1})
    world.now += 59
    expire(world)
    assert status(world) == "IN_PROGRESS"


def test_update_minus_one_minute_stops_the_step_timer(world):
    world.job("one")
    world.ask("jobs/start-next", {"stepTimeoutInMinutes": 1})
    world.ask("jobs/one/update", {"status": "IN_PROGRESS", "stepTimeoutInMinutes": -1})
    world.now += 1_000_000
    assert expire(world) == []
    [(_, body)] = world.ask("jobs/one/get")
    assert "approximateSecondsBeforeTimedOut" not in body["execution"]


def test_job_timer_starts_with_the_execution_and_no_step_outlives_it(world):
    world.job("one", timeoutConfig={"inProgressTimeoutInMinutes": 5})
    world.now += 10_000
    assert expire(world) == []
    [(_, body)] = world.ask("jobs/start-next", {"stepTimeoutInMinutes": 60})
    assert body["execution"]["approximateSecondsBeforeTimedOut"] == 299
    world.now += 300
    expire(world)
    assert status(world) == "TIMED_OUT"


def test_timer_survives_a_restart(world):
    world.job("one")
    world.ask("jobs/start-next", {"stepTimeoutInMinutes": 1})
    world.store.close()
    again = type(world)(world.state.root)
    again.now = world.now + 60
    assert topics([again.read(message) for message in again.executions.expire()]) == BOTH
    again.store.close()


def test_failed_execution_is_retried_as_often_as_the_job_says(world):
    criteria = [{"failureType": "FAILED", "numberOfRetries": 1}]
    world.job("one", jobExecutionsRetryConfig={"criteriaList": criteria})
    answers = world.ask("jobs/one/update", {"status": "FAILED"})
    assert topics(answers) == ["jobs/one/update/accepted", *BOTH]
    execution = answers[2][1]["execution"]
    assert (execution["executionNumber"], execution["status"]) == (2, "QUEUED")
    assert execution["versionNumber"] == 1
    answers = world.ask("jobs/one/update", {"status": "FAILED"})
    assert answers[2][1] == {"timestamp": 1_700_000_000}
    assert world.job_calls.describe({"jobId": "one"})["job"]["status"] == "COMPLETED"


def test_rejected_execution_is_not_retried(world):
    criteria = [{"failureType": "ALL", "numberOfRetries": 3}]
    world.job("one", jobExecutionsRetryConfig={"criteriaList": criteria})
    world.ask("jobs/one/update", {"status": "REJECTED"})
    assert world.executions.queue("pump") == []


def test_timed_out_execution_is_retried_and_announced(world):
    criteria = [{"failureType": "TIMED_OUT", "numberOfRetries": 2}]
    timeout = {"inProgressTimeoutInMinutes": 1}
    world.job("one", timeoutConfig=timeout, jobExecutionsRetryConfig={"criteriaList": criteria})
    for number in (2, 3):
        world.ask("jobs/start-next")
        world.now += 60
        notices = [world.read(message) for message in world.executions.expire()]
        assert topics(notices) == BOTH
        assert notices[1][1]["execution"]["executionNumber"] == number
    world.ask("jobs/start-next")
    world.now += 60
    world.executions.expire()
    assert world.executions.queue("pump") == []


def test_each_kind_of_failure_has_its_own_retries(world):
    criteria = [
        {"failureType": "FAILED", "numberOfRetries": 1},
        {"failureType": "TIMED_OUT", "numberOfRetries": 1},
    ]
    world.job("one", jobExecutionsRetryConfig={"criteriaList": criteria})
    world.ask("jobs/one/update", {"status": "FAILED"})
    world.ask("jobs/one/update", {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 1})
    world.now += 60
    world.executions.expire()
    assert [row["number"] for row in world.executions.queue("pump")] == [3]
    world.ask("jobs/one/update", {"status": "FAILED"})
    assert world.executions.queue("pump") == []


def test_old_execution_is_found_by_its_number(world):
    criteria = [{"failureType": "ALL", "numberOfRetries": 1}]
    world.job("one", jobExecutionsRetryConfig={"criteriaList": criteria})
    world.ask("jobs/one/update", {"status": "FAILED"})
    [(_, body)] = world.ask("jobs/one/get", {"executionNumber": 1})
    assert body["code"] == "TerminalStateReached"
    [(_, body)] = world.ask("jobs/one/get")
    assert body["execution"]["executionNumber"] == 2


def test_job_completes_when_its_last_execution_ends(world):
    world.things.create("other")
    targets = [f"arn:aws:iot:r:1:thing/{name}" for name in ("pump", "other")]
    world.job_calls.create({"jobId": "one", "targets": targets, "document": "{}"})
    world.ask("jobs/one/update", {"status": "SUCCEEDED"})
    job = world.job_calls.describe({"jobId": "one"})["job"]
    assert (job["status"], job["jobProcessDetails"]["numberOfSucceededThings"]) == (
        "IN_PROGRESS",
        1,
    )
    world.ask("jobs/one/update", {"status": "FAILED"}, thing="other")
    job = world.job_calls.describe({"jobId": "one"})["job"]
    assert (job["status"], job["completedAt"]) == ("COMPLETED", world.now)
