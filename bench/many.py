"""What the cloud's jobs cost with many things: CPU time of calls, of ticks and of an update.

The cloud's own parts run here, over a store on disk, without broker and HTTP. The clock is moved
from minute to minute, so that a rollout of 10,000 things takes ten steps. A CONTINUOUS job for all
things stays open meanwhile.
"""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel

from bench.numbers import Effort, Number, Table
from sluice.cloud.http.paging import Pages
from sluice.cloud.jobs.api import JobCalls
from sluice.cloud.jobs.executions import Executions
from sluice.cloud.jobs.executions_api import ExecutionCalls
from sluice.cloud.jobs.over_mqtt import Jobs
from sluice.cloud.jobs.rollout import Rollouts
from sluice.cloud.names import arn
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.state import State
from sluice.cloud.store import Store

FLEETS = {
    Effort.QUICK: (1_000,),
    Effort.USUAL: (1_000, 5_000, 10_000),
    Effort.LONG: (1_000, 5_000, 10_000),
}
TICKS = 20
GROUP, JOB, OPEN = "fleet", "wave", "always"


class Fleet:
    """The parts of a cloud that jobs need, with a number of things in one group."""

    def __init__(self, folder: Path, count: int) -> None:
        state = State(folder)
        self.now = 1_700_000_000.0
        self.store = Store(state.database)
        self.executions = Executions(self.store, lambda: self.now)
        self.rollouts = Rollouts(self.executions)
        self.jobs = Jobs(self.executions)
        self.calls = JobCalls(self.executions, Bucket(self.store, state.objects), lambda _: None)
        self.listing = ExecutionCalls(self.executions, lambda _: None)
        self.things = [f"thing-{n:05d}" for n in range(count)]
        self._newcomers = itertools.count()
        self._model = ServiceModel(Loader().load_service_model("iot", "service-2"))
        self._pages = Pages("iot")
        with self.store.transaction():
            columns = {"attributes": "{}", "version": 1, "created_at": self.now}
            self.store.insert("thing_groups", name=GROUP, id=GROUP, **columns)
            for name in self.things:
                self.store.insert("things", name=name, id=name, attributes="{}", version=1)
                self.store.insert("group_things", thing_group=GROUP, thing=name)

    def create(self, name: str, **more: Any) -> None:
        """CreateJob for all things."""
        targets = [arn("thinggroup", GROUP)]
        document = '{"operation":"reboot"}'
        self.calls.create({"jobId": name, "targets": targets, "document": document} | more)

    def listed(self, operation: str, handler: Callable, member: str, **given: Any) -> int:
        """All pages of a list; returns how many there are in it."""
        count, model = 0, self._model.operation_model(operation)
        while True:
            page = self._pages.cut(model, given, handler(given))
            count += len(page[member])
            if "nextToken" not in page:
                return count
            given["nextToken"] = page["nextToken"]

    def tick(self) -> None:
        """What `cloud run` does ten times a second for jobs."""
        self.executions.expire()
        self.rollouts.due()

    def follow(self) -> None:
        """A thing comes into the group, and the cloud sees to it."""
        name = f"new-{next(self._newcomers)}"
        self.store.insert("things", name=name, id=name, attributes="{}", version=1)
        self.store.insert("group_things", thing_group=GROUP, thing=name)
        self.tick()

    def roll_out(self) -> None:
        """Minute by minute, until nobody waits."""
        query = "SELECT 1 FROM job_targets WHERE notified_at IS NULL"
        while self.store.row(query):
            self.now += 60
            self.tick()

    def report(self, thing: str, job: str = JOB) -> None:
        """A thing succeeds with a job."""
        self.jobs.handle(thing, [job, "update"], b'{"status":"SUCCEEDED"}')


def cpu_ms(work: Callable[[], object]) -> float:
    """Milliseconds of CPU that some work takes."""
    begin = time.process_time()
    work()
    return 1000 * (time.process_time() - begin)


def costs(fleet: Fleet) -> Iterator[tuple[str, float]]:
    """(what, ms) in the order in which they happen."""
    fleet.create(OPEN, targetSelection="CONTINUOUS")
    fleet.roll_out()
    yield "CreateJob", cpu_ms(lambda: fleet.create(JOB))
    fleet.roll_out()
    yield "DescribeJob", cpu_ms(lambda: fleet.calls.describe({"jobId": JOB}))
    listing = fleet.listing.list_for_job
    yield (
        "executions, all pages",
        cpu_ms(
            lambda: fleet.listed(
                "ListJobExecutionsForJob", listing, "executionSummaries", jobId=JOB
            )
        ),
    )
    yield "ListJobs", cpu_ms(lambda: fleet.listed("ListJobs", fleet.calls.list, "jobs"))
    fleet.tick()
    yield "an idle tick", median(cpu_ms(fleet.tick) for _ in range(TICKS))
    yield "a newcomer's tick", median(cpu_ms(fleet.follow) for _ in range(TICKS))
    with fleet.store.transaction():
        for thing in fleet.things[:-TICKS]:
            fleet.report(thing)
    last = iter(fleet.things[-TICKS:])
    yield (
        "an update near the end",
        median(cpu_ms(lambda: fleet.report(next(last))) for _ in range(TICKS)),
    )
    yield "CancelJob", cpu_ms(lambda: fleet.calls.cancel({"jobId": OPEN}))
    yield "DeleteJob", cpu_ms(lambda: fleet.calls.delete({"jobId": OPEN}))


def measure(effort: Effort) -> Iterator[Number]:
    """Each fleet."""
    for count in FLEETS[effort]:
        with tempfile.TemporaryDirectory() as scratch:
            for column, value in costs(Fleet(Path(scratch), count)):
                places = 2 if value < 10 else 0
                row = f"{count:,} things"
                yield Number("many", row, column, round(value, places), "ms", False)


TABLE = Table(
    "many",
    "Jobs for many things on the local cloud",
    "fleet",
    "Milliseconds of CPU, without broker and HTTP. A CONTINUOUS job for all things is open. A\n"
    "tick comes ten times a second.",
    measure,
    alone=True,
    quick=True,
)
