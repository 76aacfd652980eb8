"""One time for each transaction: a clock that moves at every look changes nothing.

Rates, retries, timers and the times in answers are held with such a clock. Two looks within one
transaction would differ by whole seconds here.
"""

import pytest
from cloud_world import World

from sluice.cloud.names import arn
from sluice.cloud.store import Store

STEP_S = 7  # seconds from one look at the clock to the next


class Restless(World):
    """A world whose clock moves whenever somebody looks at it."""

    time_s = 1_700_000_000.0

    @property
    def now(self) -> float:
        self.time_s += STEP_S
        return self.time_s

    @now.setter
    def now(self, value: float) -> None:
        self.time_s = value


@pytest.fixture
def restless(tmp_path):
    made = Restless(tmp_path / "state")
    yield made
    made.store.close()


def numbers(world, job: str = "one", thing: str = "pump") -> list[int]:
    return [row["number"] for row in world.executions.of_job(job) if row["thing"] == thing]


@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.parametrize("selection", ["SNAPSHOT", "CONTINUOUS"])
def test_thing_that_always_fails_runs_once_and_once_for_each_retry(restless, retries, selection):
    criteria = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": retries}]}
    restless.job("one", jobExecutionsRetryConfig=criteria, targetSelection=selection)
    while restless.executions.queue("pump"):
        assert restless.ask("jobs/one/update", {"status": "FAILED"})[0][0].endswith("accepted")
        assert len(numbers(restless)) < 9
    assert numbers(restless) == list(range(1, retries + 2))


def test_thing_that_is_timed_out_has_no_retry_too_many(restless):
    criteria = {"criteriaList": [{"failureType": "TIMED_OUT", "numberOfRetries": 1}]}
    timeout = {"inProgressTimeoutInMinutes": 1}
    restless.job("one", jobExecutionsRetryConfig=criteria, timeoutConfig=timeout)
    for _ in range(4):
        restless.ask("jobs/start-next")
        restless.now += 61
        restless.executions.expire()
    assert numbers(restless) == [1, 2]


def test_thing_of_a_rollout_that_waited_has_no_retry_too_many(restless):
    restless.things.create("other")
    criteria = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    config = {"jobExecutionsRetryConfig": criteria}
    config["jobExecutionsRolloutConfig"] = {"maximumPerMinute": 1}
    targets = [arn("thing", "pump"), arn("thing", "other")]
    restless.job_calls.create({"jobId": "one", "targets": targets, "document": "{}"} | config)
    restless.now += 60
    restless.rollouts.due()
    for _ in range(4):
        restless.ask("jobs/one/update", {"status": "FAILED"}, "other")
    assert numbers(restless, thing="other") == [1, 2]


def test_clock_that_is_set_back_gives_no_retry_too_many(world):
    criteria = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    world.job("one", jobExecutionsRetryConfig=criteria)
    for _ in range(4):
        world.now -= 100
        world.ask("jobs/one/update", {"status": "FAILED"})
    assert numbers(world) == [1, 2]


def test_all_that_one_request_writes_and_says_has_one_time(restless):
    restless.job("one")
    job = restless.store.row("SELECT * FROM jobs")
    execution = restless.store.row("SELECT * FROM executions")
    target = restless.store.row("SELECT * FROM job_targets")
    told = {body["timestamp"] for _, body in restless.notices()}
    written = (job["created_at"], job["updated_at"], execution["queued_at"], target["notified_at"])
    assert set(written) == {job["created_at"]}
    assert told == {int(job["created_at"])}
    answers = restless.ask("jobs/one/update", {"status": "SUCCEEDED"})
    ended = restless.store.row("SELECT * FROM executions")["updated_at"]
    assert {body["timestamp"] for _, body in answers} == {int(ended)}
    assert restless.store.row("SELECT * FROM jobs")["completed_at"] == ended


def test_update_and_what_it_makes_have_one_time(restless):
    version = restless.put(b"image")
    where = {"bucket": "images", "key": "image.bin", "version": version}
    signed = {"customCodeSigning": {"signature": {"inlineDocument": b"x"}}}
    file = {"fileName": "a", "fileLocation": {"s3Location": where}, "codeSigning": signed}
    restless.updates.create(
        {
            "otaUpdateId": "up",
            "targets": [arn("thing", "pump")],
            "files": [file],
            "roleArn": "r" * 20,
        }
    )
    times = {
        restless.store.row(f"SELECT created_at FROM {table}")["created_at"]
        for table in ("jobs", "streams", "ota_updates")
    }
    assert len(times) == 1


def test_shadow_says_the_time_that_it_keeps(restless):
    answers = dict(restless.ask("shadow/update", {"state": {"reported": {"a": 1}}}))
    accepted = answers["shadow/update/accepted"]
    kept = accepted["metadata"]["reported"]["a"]["timestamp"]
    assert accepted["timestamp"] == kept


def test_clock_of_a_store_stands_still_only_within_its_transaction(tmp_path):
    store = Store(tmp_path / "cloud.db")
    ticks = iter(range(100))
    read = store.clock(lambda: next(ticks))
    assert (read(), read()) == (0, 1)
    with store.transaction():
        with store.transaction():
            first = read()
        assert (first, read()) == (2, 2)
    with pytest.raises(ZeroDivisionError), store.transaction():
        assert read() == 3
        raise ZeroDivisionError
    assert read() == 4
    store.close()


def test_seconds_left_are_reckoned_from_the_time_of_the_start(restless):
    restless.job("one")
    [(_, body)] = restless.ask("jobs/start-next", {"stepTimeoutInMinutes": 10})
    assert body["execution"]["approximateSecondsBeforeTimedOut"] == 599
