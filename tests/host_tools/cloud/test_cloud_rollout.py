"""Groups, rollouts, aborts, schedules and continuous jobs, with a clock that the test moves."""

import json
from datetime import UTC, datetime

import pytest

from sluice.cloud.jobs.executions import Executions
from sluice.cloud.jobs.rollout import Rollouts
from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal
from sluice.cloud.store import Store

HOUR_S = 3600


@pytest.fixture
def fleet(world):
    """A world with the group "fleet" of ten things, t0 to t9."""
    world.groups.create("fleet", None, None, {}, world.now)
    for n in range(10):
        world.things.create(f"t{n}")
        world.groups.add("fleet", f"t{n}")
    return world


def create(world, name: str = "one", target: str = "fleet", **more) -> None:
    given = {"jobId": name, "targets": [arn("thinggroup", target)], "document": "{}"}
    world.job_calls.create(given | more)


def statuses(world, name: str = "one") -> dict[str, str]:
    """{thing: status of its latest execution}."""
    return {row["thing"]: row["status"] for row in world.executions.of_job(name)}


def tick(world, seconds: float = 0) -> list:
    """Let time pass, and the cloud do what is due."""
    world.now += seconds
    return world.rollouts.due()


def report(world, thing: str, status: str, name: str = "one") -> None:
    path, body = world.ask(f"jobs/{name}/update", {"status": "IN_PROGRESS"}, thing)[0]
    assert path.endswith("accepted"), body
    path, body = world.ask(f"jobs/{name}/update", {"status": status}, thing)[0]
    assert path.endswith("accepted"), body


def job(world, name: str = "one") -> dict:
    return world.job_calls.describe({"jobId": name})["job"]


def at(world, seconds: float) -> str:
    """A schedule's text for a time from now."""
    return datetime.fromtimestamp(world.now + seconds, UTC).strftime("%Y-%m-%d %H:%M")


# --- groups --------------------------------------------------------------------------------------


def test_job_for_a_group_and_a_thing_of_it_reaches_each_thing_once(fleet):
    targets = [arn("thinggroup", "fleet"), arn("thing", "t3"), arn("thing", "pump")]
    fleet.job_calls.create({"jobId": "one", "targets": targets, "document": "{}"})
    assert statuses(fleet) == dict.fromkeys([f"t{n}" for n in range(10)] + ["pump"], "QUEUED")
    assert len(fleet.executions.of_job("one")) == 11


def test_job_for_a_group_reaches_the_groups_below_it(fleet):
    fleet.groups.create("all", None, None, {}, fleet.now)
    fleet.groups.create("north", "all", None, {}, fleet.now)
    fleet.groups.add("north", "t1")
    fleet.groups.add("all", "pump")
    create(fleet, target="all")
    assert statuses(fleet) == {"pump": "QUEUED", "t1": "QUEUED"}


def test_job_for_an_empty_group_is_complete_at_once(fleet):
    fleet.groups.create("none", None, None, {}, fleet.now)
    create(fleet, target="none")
    assert job(fleet)["status"] == "COMPLETED"


def test_snapshot_job_does_not_follow_its_group(fleet):
    create(fleet)
    fleet.groups.add("fleet", "pump")
    fleet.groups.remove("fleet", "t0")
    tick(fleet, HOUR_S)
    assert "pump" not in statuses(fleet)
    assert statuses(fleet)["t0"] == "QUEUED"


def test_continuous_job_follows_its_group_and_never_ends(fleet):
    config = {"maximumPerMinute": 10}
    create(fleet, targetSelection="CONTINUOUS", jobExecutionsRolloutConfig=config)
    for n in range(10):
        report(fleet, f"t{n}", "SUCCEEDED")
    fleet.groups.add("fleet", "pump")
    [notify, next_] = tick(fleet)  # at once, whatever the rate was for those of the beginning
    assert notify.topic == "$aws/things/pump/jobs/notify"
    assert statuses(fleet)["pump"] == "QUEUED"
    assert job(fleet)["status"] == "IN_PROGRESS"
    fleet.groups.remove("fleet", "pump")
    notices = [json.loads(message.payload) for message in tick(fleet)]
    assert [list(body) for body in notices] == [["timestamp", "jobs"], ["timestamp"]]
    assert statuses(fleet)["pump"] == "REMOVED"
    assert job(fleet)["jobProcessDetails"]["numberOfRemovedThings"] == 1


def test_thing_that_comes_back_gets_another_execution_and_all_its_retries(fleet):
    retries = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    create(fleet, targetSelection="CONTINUOUS", jobExecutionsRetryConfig=retries)
    report(fleet, "t0", "FAILED")
    report(fleet, "t0", "FAILED")
    fleet.groups.remove("fleet", "t0")
    tick(fleet, 1)
    fleet.groups.add("fleet", "t0")
    tick(fleet, 1)
    assert statuses(fleet)["t0"] == "QUEUED"
    report(fleet, "t0", "FAILED")
    assert statuses(fleet)["t0"] == "QUEUED"
    report(fleet, "t0", "FAILED")
    assert statuses(fleet)["t0"] == "FAILED"
    numbers = [row["number"] for row in fleet.executions.of_job("one") if row["thing"] == "t0"]
    assert numbers == [1, 2, 3, 4]


def test_job_whose_last_open_thing_is_deleted_is_complete(fleet):
    create(fleet)
    for n in range(9):
        report(fleet, f"t{n}", "SUCCEEDED")
    fleet.things.delete("t9")
    tick(fleet)
    assert job(fleet)["status"] == "COMPLETED"


# --- rollouts ------------------------------------------------------------------------------------


def test_rate_holds_for_any_sixty_seconds(fleet):
    create(fleet, jobExecutionsRolloutConfig={"maximumPerMinute": 4})
    assert len(statuses(fleet)) == 4
    assert len(fleet.sent) == 8  # notify and notify-next, of those only
    assert job(fleet)["jobProcessDetails"]["processingTargets"] == [arn("thinggroup", "fleet")]
    assert tick(fleet, 59) == []
    assert len(tick(fleet, 1)) == 8
    assert len(statuses(fleet)) == 8
    tick(fleet, 60)
    assert len(statuses(fleet)) == 10
    assert "processingTargets" not in {k for k, v in details(fleet).items() if v is not None}


def details(world) -> dict:
    return job(world)["jobProcessDetails"]


def test_job_is_not_complete_while_things_wait_for_their_turn(fleet):
    create(fleet, jobExecutionsRolloutConfig={"maximumPerMinute": 9})
    for n in range(9):
        report(fleet, f"t{n}", "SUCCEEDED")
    assert job(fleet)["status"] == "IN_PROGRESS"
    tick(fleet, 60)
    report(fleet, "t9", "SUCCEEDED")
    assert job(fleet)["status"] == "COMPLETED"


def growing(factor: float = 2, **criteria: int) -> dict:
    return {
        "exponentialRate": {
            "baseRatePerMinute": 1,
            "incrementFactor": factor,
            "rateIncreaseCriteria": criteria,
        },
        "maximumPerMinute": 5,
    }


def test_exponential_rate_grows_with_the_things_notified_up_to_the_most(fleet):
    create(fleet, jobExecutionsRolloutConfig=growing(numberOfNotifiedThings=1))
    seen = [len(statuses(fleet))]
    for _ in range(3):
        tick(fleet, 60)
        seen.append(len(statuses(fleet)))
    assert seen == [1, 3, 7, 10]  # 1, then 1·2, then 1·2², then 1·2³ but 5 at most


def test_exponential_rate_grows_with_the_things_that_succeeded(fleet):
    create(fleet, jobExecutionsRolloutConfig=growing(3, numberOfSucceededThings=1))
    tick(fleet, 60)
    assert len(statuses(fleet)) == 2
    report(fleet, "t0", "SUCCEEDED")
    tick(fleet, 60)
    assert len(statuses(fleet)) == 5


def ramp(base: int, **criteria: int) -> dict:
    growth = {"baseRatePerMinute": base, "incrementFactor": 2, "rateIncreaseCriteria": criteria}
    return {"exponentialRate": growth, "maximumPerMinute": 1000}


def grow(world, count: int) -> None:
    """Make the fleet one of so many things."""
    for n in range(10, count):
        world.things.create(f"t{n}")
        world.groups.add("fleet", f"t{n}")


@pytest.mark.parametrize("threshold", [1, 5, 10])
def test_rate_whose_threshold_is_reached_at_once_grows_by_a_step_a_minute(fleet, threshold):
    grow(fleet, 80)
    create(fleet, jobExecutionsRolloutConfig=ramp(10, numberOfNotifiedThings=threshold))
    seen = []
    for _ in range(4):
        seen.append(len(statuses(fleet)))
        for _ in range(59):
            tick(fleet, 1)
            assert len(statuses(fleet)) == seen[-1]
        tick(fleet, 1)
    assert seen == [10, 30, 70, 80]


def test_step_takes_effect_at_the_end_of_the_minute_in_which_its_threshold_is_reached(fleet):
    grow(fleet, 20)
    create(fleet, jobExecutionsRolloutConfig=ramp(2, numberOfSucceededThings=1))
    tick(fleet, 90)
    assert len(statuses(fleet)) == 4
    report(fleet, "t0", "SUCCEEDED")
    assert tick(fleet, 29.5) == []
    tick(fleet, 0.5)  # the end of the second minute; those of 30 s ago count still
    assert len(statuses(fleet)) == 6
    tick(fleet, 30)
    assert len(statuses(fleet)) == 8


def test_abort_acts_before_a_growing_rate_has_reached_everybody(fleet):
    grow(fleet, 50)
    config = ramp(10, numberOfNotifiedThings=5)
    create(fleet, abortConfig=aborting("FAILED"), jobExecutionsRolloutConfig=config)
    tick(fleet, 20)
    report(fleet, "t0", "FAILED")
    report(fleet, "t1", "FAILED")
    tick(fleet, 0.1)
    assert job(fleet)["status"] == "CANCELED"
    tick(fleet, 600)
    assert len(statuses(fleet)) == 10


def test_rollout_goes_on_after_a_restart_where_it_was(fleet):
    create(fleet, jobExecutionsRolloutConfig={"maximumPerMinute": 4})
    store = Store(fleet.state.database)
    again = Rollouts(Executions(store, lambda: fleet.now))
    assert again.due() == []
    fleet.now += 60
    assert len(again.due()) == 8
    store.close()


# --- aborts --------------------------------------------------------------------------------------


def aborting(kind: str, percent: float = 20, least: int = 5) -> dict:
    rule = {"failureType": kind, "action": "CANCEL", "thresholdPercentage": percent}
    return {"criteriaList": [rule | {"minNumberOfExecutedThings": least}]}


@pytest.mark.parametrize(
    ("kind", "status"), [("FAILED", "FAILED"), ("REJECTED", "REJECTED"), ("ALL", "FAILED")]
)
def test_abort_cancels_what_is_queued_and_leaves_what_runs(fleet, kind, status):
    create(fleet, abortConfig=aborting(kind))
    fleet.ask("jobs/one/update", {"status": "IN_PROGRESS"}, "t9")
    for thing in ("t0", "t1"):
        assert tick(fleet) == []
        fleet.ask("jobs/one/update", {"status": status}, thing)
    notices = tick(fleet)
    assert {message.topic.split("/")[2] for message in notices} == {f"t{n}" for n in range(2, 9)}
    about = job(fleet)
    said = "FAILED or TIMED_OUT or REJECTED" if kind == "ALL" else kind
    assert (about["status"], about["comment"]) == ("CANCELED", f"aborted: 2 of 10 things {said}")
    assert [statuses(fleet)[f"t{n}"] for n in (0, 2, 9)] == [status, "CANCELED", "IN_PROGRESS"]
    report(fleet, "t9", "SUCCEEDED")


def test_abort_for_another_kind_of_failure_does_not_happen(fleet):
    create(fleet, abortConfig=aborting("TIMED_OUT"))
    for n in range(9):
        report(fleet, f"t{n}", "FAILED")
    tick(fleet)
    assert job(fleet)["status"] == "IN_PROGRESS"


def test_abort_counts_time_outs(fleet):
    timeout = {"inProgressTimeoutInMinutes": 1}
    create(fleet, abortConfig=aborting("TIMED_OUT", 10), timeoutConfig=timeout)
    fleet.ask("jobs/one/update", {"status": "IN_PROGRESS"}, "t0")
    fleet.now += 61
    fleet.executions.expire()
    tick(fleet)
    assert job(fleet)["status"] == "CANCELED"


def test_abort_waits_for_the_least_number_of_things(fleet):
    rollout = {"maximumPerMinute": 4}
    create(fleet, abortConfig=aborting("FAILED"), jobExecutionsRolloutConfig=rollout)
    report(fleet, "t0", "FAILED")
    report(fleet, "t1", "FAILED")
    tick(fleet)
    assert job(fleet)["status"] == "IN_PROGRESS"
    tick(fleet, 60)  # now 8 are notified, and a quarter has failed
    assert job(fleet)["status"] == "CANCELED"
    tick(fleet, 60)
    assert len(statuses(fleet)) == 8  # the last two never hear of it


def test_abort_ends_the_retries_of_things_that_keep_failing(fleet):
    retries = {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 5}]}
    create(fleet, abortConfig=aborting("FAILED"), jobExecutionsRetryConfig=retries)
    report(fleet, "t0", "FAILED")
    report(fleet, "t1", "FAILED")
    assert statuses(fleet)["t0"] == "QUEUED"
    tick(fleet)
    assert (job(fleet)["status"], statuses(fleet)["t0"]) == ("CANCELED", "CANCELED")


def test_thing_that_failed_and_then_succeeded_counts_as_no_failure(fleet):
    retries = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    create(fleet, abortConfig=aborting("FAILED", 10), jobExecutionsRetryConfig=retries)
    report(fleet, "t0", "FAILED")
    report(fleet, "t0", "SUCCEEDED")
    tick(fleet)
    assert job(fleet)["status"] == "IN_PROGRESS"


# --- schedules -----------------------------------------------------------------------------------


def test_scheduled_job_begins_at_its_time_with_the_group_of_then(fleet):
    create(fleet, schedulingConfig={"startTime": at(fleet, 2 * HOUR_S)})
    assert job(fleet)["status"] == "SCHEDULED"
    fleet.groups.add("fleet", "pump")
    assert tick(fleet, HOUR_S) == []
    assert fleet.sent == []
    assert len(tick(fleet, HOUR_S)) == 22
    assert (job(fleet)["status"], len(statuses(fleet))) == ("IN_PROGRESS", 11)
    assert job(fleet)["schedulingConfig"]["startTime"]


def test_scheduled_job_may_be_canceled_before_it_begins(fleet):
    create(fleet, schedulingConfig={"startTime": at(fleet, HOUR_S)})
    fleet.job_calls.cancel({"jobId": "one"})
    tick(fleet, 2 * HOUR_S)
    assert (job(fleet)["status"], statuses(fleet)) == ("CANCELED", {})


@pytest.mark.parametrize(
    ("behaviour", "of_job", "of_running", "of_queued"),
    [
        ("STOP_ROLLOUT", "IN_PROGRESS", "IN_PROGRESS", "QUEUED"),
        (None, "IN_PROGRESS", "IN_PROGRESS", "QUEUED"),
        ("CANCEL", "CANCELED", "IN_PROGRESS", "CANCELED"),
        ("FORCE_CANCEL", "CANCELED", "CANCELED", "CANCELED"),
    ],
)
def test_end_of_a_schedule_does_what_was_asked(fleet, behaviour, of_job, of_running, of_queued):
    schedule = {"endTime": at(fleet, HOUR_S)}
    if behaviour:
        schedule["endBehavior"] = behaviour
    rollout = {"maximumPerMinute": 2}
    create(fleet, schedulingConfig=schedule, jobExecutionsRolloutConfig=rollout)
    fleet.ask("jobs/one/update", {"status": "IN_PROGRESS"}, "t0")
    tick(fleet, HOUR_S)
    tick(fleet, HOUR_S)
    found = statuses(fleet)
    assert len(found) == 2  # the rate would have let all in, the end did not
    assert (job(fleet)["status"], found["t0"], found["t1"]) == (of_job, of_running, of_queued)


def test_continuous_job_with_an_end_is_complete_when_all_have_ended_after_it(fleet):
    schedule = {"endTime": at(fleet, HOUR_S), "endBehavior": "STOP_ROLLOUT"}
    create(fleet, targetSelection="CONTINUOUS", schedulingConfig=schedule)
    for n in range(9):
        report(fleet, f"t{n}", "SUCCEEDED")
    tick(fleet, 2 * HOUR_S)
    assert job(fleet)["status"] == "IN_PROGRESS"
    report(fleet, "t9", "FAILED")
    assert job(fleet)["status"] == "COMPLETED"


# --- what is refused, and what may be changed ----------------------------------------------------


LATE = {"startTime": "2024-05-01 00:00", "endTime": "2025-12-01 00:00"}  # 19 months after it


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"jobExecutionsRolloutConfig": {"maximumPerMinute": 1001}}, "maximumPerMinute"),
        ({"jobExecutionsRolloutConfig": growing(1.05, numberOfNotifiedThings=1)}, "1.1 to 5"),
        ({"jobExecutionsRolloutConfig": growing(1.55, numberOfNotifiedThings=1)}, "one decimal"),
        ({"jobExecutionsRolloutConfig": growing()}, "rateIncreaseCriteria"),
        ({"abortConfig": aborting("FAILED", 0)}, "thresholdPercentage"),
        ({"abortConfig": aborting("FAILED", 10.999)}, "two decimals"),
        ({"schedulingConfig": {"startTime": "tomorrow"}}, "YYYY-MM-DD"),
        ({"schedulingConfig": {"startTime": "2023-11-14 22:20"}}, "30 minutes"),
        ({"schedulingConfig": {"startTime": "2025-11-14 22:20"}}, "a year"),
        ({"schedulingConfig": {"endTime": "2023-11-14 22:20"}}, "endTime"),
        ({"schedulingConfig": LATE}, "two years from now"),
        ({"schedulingConfig": {"endBehavior": "CANCEL"}}, "needs an endTime"),
        ({"schedulingConfig": {"maintenanceWindows": [{}]}}, "maintenanceWindows"),
        ({"jobTemplateArn": "arn"}, "jobTemplateArn"),
    ],
)
def test_job_config_of_no_sense_is_refused_and_nothing_is_made(fleet, given, words):
    with pytest.raises(Refusal, match=words):
        create(fleet, **given)
    assert fleet.executions.job("one") is None


def test_job_that_runs_may_be_given_another_rate(fleet):
    create(fleet, jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    faster = {"maximumPerMinute": 9}
    fleet.job_calls.update({"jobId": "one", "jobExecutionsRolloutConfig": faster})
    tick(fleet)
    assert len(statuses(fleet)) == 9
    assert job(fleet)["jobExecutionsRolloutConfig"] == faster
    fleet.job_calls.cancel({"jobId": "one"})
    with pytest.raises(Refusal, match="cannot be changed"):
        fleet.job_calls.update({"jobId": "one", "description": "late"})


def test_job_that_cannot_be_sent_is_told_once_and_stops_no_other(fleet, caplog):
    later = {"schedulingConfig": {"startTime": at(fleet, HOUR_S)}}
    fleet.job("bad", **later)
    create(fleet, "good", **later)
    wrong = '{"text":"\\ud800"}'  # of a store that was written before such were refused
    fleet.store.run("UPDATE jobs SET document = ? WHERE id = 'bad'", wrong)
    assert len(tick(fleet, HOUR_S)) == 20
    assert tick(fleet, 1) == []
    assert [job(fleet, name)["status"] for name in ("bad", "good")] == ["SCHEDULED", "IN_PROGRESS"]
    assert [line.partition(": ")[0] for line in caplog.messages] == ["job bad"]


def test_tick_without_anything_due_does_nothing(fleet):
    create(fleet)
    before = fleet.store.row("SELECT * FROM jobs WHERE id = 'one'")
    assert tick(fleet, HOUR_S) == []
    assert tuple(fleet.store.row("SELECT * FROM jobs WHERE id = 'one'")) == tuple(before)
