"""What jobs for many things cost: steps of SQLite's machine and rows, never time.

A tick, an update and a page cost the same for a small fleet and for a large one. And what drives
the ticks misses nothing, whoever makes the change.
"""

import base64
import json
import sqlite3
from collections.abc import Callable

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel

from sluice.cloud.http.paging import Pages, start
from sluice.cloud.listing import Listing
from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal
from sluice.cloud.store import Store
from sluice.cloud.things.groups import Groups

FEW, MANY = 20, 400


def fleet(world, count: int, name: str = "fleet") -> list[str]:
    """A group of so many things."""
    world.groups.create(name, None, None, {}, world.now)
    things = [f"{name}-{n:03d}" for n in range(count)]
    for thing in things:
        world.things.create(thing)
        world.groups.add(name, thing)
    return things


def create(world, name: str = "one", group: str = "fleet", **more) -> None:
    given = {"jobId": name, "targets": [arn("thinggroup", group)], "document": "{}"}
    world.job_calls.create(given | more)


def steps(world, work: Callable[[], object]) -> int:
    """How many steps of SQLite's machine some work takes."""
    counted: list[None] = []
    world.store._db.set_progress_handler(lambda: counted.append(None), 1)
    try:
        work()
    finally:
        world.store._db.set_progress_handler(None, 1)
    return len(counted)


def tick(world) -> list:
    return [*world.executions.expire(), *world.rollouts.due()]


def succeed(world, thing: str, name: str = "one") -> None:
    path, body = world.ask(f"jobs/{name}/update", {"status": "SUCCEEDED"}, thing)[0]
    assert path.endswith("accepted"), body


def idle(world, count: int) -> int:
    things = fleet(world, count)
    create(world, targetSelection="CONTINUOUS")
    create(world, "two", abortConfig=ABORT, timeoutConfig={"inProgressTimeoutInMinutes": 5})
    for thing in things[1:]:
        world.ask("jobs/two/update", {"status": "IN_PROGRESS"}, thing)
    tick(world)
    return steps(world, lambda: tick(world))


ABORT = {
    "criteriaList": [
        {
            "failureType": "FAILED",
            "action": "CANCEL",
            "thresholdPercentage": 50,
            "minNumberOfExecutedThings": 1,
        }
    ]
}


def test_tick_in_which_nothing_changed_costs_the_same_for_any_number_of_things(world, tmp_path):
    cost = idle(world, FEW)
    other = type(world)(tmp_path / "other")
    assert idle(other, MANY) <= cost
    other.store.close()


def test_tick_reads_no_job_that_waits_for_nothing(world):
    for n in range(30):
        world.job(f"job-{n}")
    tick(world)
    seen: list[str] = []
    world.store._db.set_trace_callback(seen.append)
    tick(world)
    world.store._db.set_trace_callback(None)
    assert len(seen) == 2  # one statement for deadlines, one for jobs


def near_the_end(world, count: int) -> int:
    things = fleet(world, count)
    create(world)
    for thing in things[:-2]:
        succeed(world, thing)
    return steps(world, lambda: succeed(world, things[-2]))


def test_update_near_a_jobs_end_costs_the_same_for_any_number_of_things(world, tmp_path):
    few = near_the_end(world, FEW)
    other = type(world)(tmp_path / "other")
    assert near_the_end(other, MANY) < few * 1.1
    other.store.close()


def test_page_of_a_list_is_read_and_no_more(world):
    things = fleet(world, MANY)
    create(world)
    rows = world.execution_calls.list_for_job({"jobId": "one"})["executionSummaries"]
    assert isinstance(rows, Listing)
    shaped: list[object] = []
    made = rows._shape
    rows._shape = lambda row: shaped.append(row) or made(row)
    assert [row["thingArn"] for row in rows[10:12]] == [arn("thing", n) for n in things[10:12]]
    assert (len(rows), len(shaped)) == (MANY, 2)
    first = steps(world, lambda: rows[0:5])
    assert first < steps(world, lambda: list(rows)) / 10


def first_page(world, jobs: int) -> int:
    for n in range(jobs):
        world.job(f"job-{n}")
    model = ServiceModel(Loader().load_service_model("iot", "service-2"))
    operation, pages = model.operation_model("ListJobs"), Pages("iot")
    given = {"maxResults": 10}
    return steps(world, lambda: pages.cut(operation, given, world.job_calls.list(given)))


def test_page_of_jobs_costs_the_same_for_any_number_of_jobs(world, tmp_path):
    few = first_page(world, FEW)
    other = type(world)(tmp_path / "other")
    assert first_page(other, MANY) < few * 1.1
    other.store.close()


@pytest.mark.parametrize("index", [-1, 1 << 31, 1 << 70, 1.5, "1", None])
def test_place_in_a_list_that_none_has_is_refused(index):
    text = base64.b64encode(json.dumps(["q", index, "mark"]).encode()).decode()
    with pytest.raises(Refusal, match="another list"):
        start(text, "q", [])


def test_listing_is_a_list_to_who_reads_it(world):
    world.store.run("DELETE FROM things")
    fleet(world, 5, "x")
    query = "SELECT name FROM things ORDER BY name"
    rows = Listing(world.store, lambda row: row["name"], query)
    names = [f"x-{n:03d}" for n in range(5)]
    assert (len(rows), list(rows), rows[:], rows[1:3]) == (5, names, names, names[1:3])
    assert (rows[4], rows[3:99], rows[7:9]) == ("x-004", ["x-003", "x-004"], [])
    for place in (5, -6):
        with pytest.raises(IndexError):
            rows[place]


# --- what drives the ticks -----------------------------------------------------------------------


def queued(world, name: str = "one") -> set[str]:
    return {row["thing"] for row in world.executions.of_job(name) if row["status"] == "QUEUED"}


def test_continuous_job_follows_a_group_that_another_process_changes(world):
    things = fleet(world, 3)
    create(world, targetSelection="CONTINUOUS")
    tick(world)
    store = Store(world.state.database)
    Groups(store).add("fleet", "pump")
    Groups(store).remove("fleet", "fleet-000")
    store.close()
    tick(world)
    assert queued(world) == {"pump", *things[1:]}


def test_continuous_job_follows_groups_that_come_below_and_go(world):
    fleet(world, 2)
    world.groups.create("below", "fleet", None, {}, world.now)
    create(world, targetSelection="CONTINUOUS")
    tick(world)
    world.groups.add("below", "pump")
    tick(world)
    assert queued(world) == {"fleet-000", "fleet-001", "pump"}
    world.groups.delete("below", None)
    tick(world)
    assert queued(world) == {"fleet-000", "fleet-001"}


def test_continuous_job_that_waits_for_its_end_follows_its_group(world):
    fleet(world, 2)
    schedule = {"endTime": "2023-12-01 00:00"}  # so that there is a look to come already
    create(world, targetSelection="CONTINUOUS", schedulingConfig=schedule)
    tick(world)
    assert len(world.store.rows("SELECT * FROM job_looks")) == 1
    world.groups.add("fleet", "pump")
    tick(world)
    assert "pump" in queued(world)


def test_continuous_job_for_a_thing_gets_it_again_when_it_is_made_again(world):
    world.job("one", targetSelection="CONTINUOUS")
    tick(world)
    world.things.delete("pump")
    tick(world)
    world.things.create("pump")
    tick(world)
    assert queued(world) == {"pump"}


def test_job_whose_last_waiting_thing_is_deleted_is_complete(world):
    fleet(world, 2)
    create(world, jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    succeed(world, "fleet-000")
    tick(world)
    world.things.delete("fleet-001")
    tick(world)
    assert world.executions.job("one")["status"] == "COMPLETED"


def test_open_jobs_of_a_store_of_an_earlier_release_are_looked_at(world):
    things = fleet(world, 3)
    create(world, jobExecutionsRolloutConfig={"maximumPerMinute": 2})
    create(world, "always", targetSelection="CONTINUOUS")
    old = sqlite3.connect(world.state.database)
    old.executescript("DROP TABLE job_looks; DROP INDEX executions_job_status;")
    old.close()
    again = type(world)(world.state.root)
    again.groups.add("fleet", "pump")
    again.now += 60
    tick(again)
    assert queued(again) == set(things)
    assert queued(again, "always") == {"pump", *things}
    again.store.close()


def test_opening_a_store_again_has_no_job_looked_at(world):
    world.job("one")
    tick(world)
    Store(world.state.database).close()
    assert world.store.rows("SELECT * FROM job_looks") == []


def test_deadlines_are_found_by_index(world):
    plan = " ".join(
        row["detail"]
        for row in world.store.rows(
            "EXPLAIN QUERY PLAN SELECT * FROM executions WHERE status = 'IN_PROGRESS' "
            "AND (job_deadline <= ?1 OR step_deadline <= ?1)",
            0,
        )
    )
    assert "executions_job_deadline" in plan and "executions_step_deadline" in plan
    assert "SCAN" not in plan
