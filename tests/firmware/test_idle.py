"""Between jobs: what else there is to be done comes first, and again when there is a reason."""

import json

from doubles import Clock, Link, run

from sluice import log
from sluice.agent.states.idle import idle
from sluice.clouds.aws_jobs import AWSJobs
from sluice.job import Job

POLL_S = 60


class Agent:
    """An agent between jobs; each chore sets `seen` as a real one does, then does `chores[0]`."""

    def __init__(self, dialect, *chores):
        self.dialect = dialect
        self.journal = {"seq": 1}
        self.settings = {"poll_s": POLL_S}
        self.job = self.work = self.seen = None
        self.chores = list(chores)
        self.done = 0
        self.chore = self._chore if chores else None

    async def _chore(self):
        self.seen = self.journal["seq"]
        self.done += 1
        if self.chores:
            self.chores.pop(0)()

    def take(self, job):
        self.job = job

    def rest(self):
        log.to(lambda line: None)
        try:
            return run(idle(self))
        finally:
            log.to(print)


class Dialect:
    """Gives a job once it was asked often enough; before that, there is a reason to look."""

    def __init__(self, agent=None, waits=0):
        self.agent, self.waits, self.polls = agent, waits, []

    async def next_job(self, poll_ms, other=None):
        self.polls.append(poll_ms)
        if other and self.waits:
            self.waits -= 1
            self.agent.seen = None
            assert other()
            return None
        return Job("j", 1)


def nothing():
    """A chore with no effect."""


def test_idle_without_a_chore_asks_a_dialect_that_knows_of_none():
    agent = Agent(Dialect())
    assert agent.rest() == "job" and agent.job.id == "j"


def test_idle_does_the_chore_before_it_asks_for_a_job():
    agent = Agent(Dialect(), nothing)
    assert agent.rest() == "job" and agent.done == 1
    assert agent.rest() == "job" and agent.done == 1
    agent.journal["seq"] = 2  # a job has ended
    assert agent.rest() == "job" and agent.done == 2


def test_idle_does_the_chore_again_whenever_there_is_a_reason():
    agent = Agent(Dialect(waits=3), nothing)
    agent.dialect.agent = agent
    assert agent.rest() == "job"
    assert agent.done == 4 and len(agent.dialect.polls) == 4


def test_idle_polls_as_often_as_a_chore_has_it_changed():
    agent = Agent(Dialect(), lambda: agent.settings.update(poll_s=30))
    agent.rest()
    assert agent.dialect.polls == [30_000]


def test_jobs_are_waited_for_no_longer_when_there_is_other_work():
    link = Link(clock=Clock())
    jobs = AWSJobs(link, "t")
    assert run(jobs.next_job(1_000, lambda: True)) is None
    notice = {"execution": {"jobId": "j1", "status": "QUEUED", "versionNumber": 1}}
    notice["execution"]["executionNumber"] = 1

    async def subscribed():
        await link.subscribe("$aws/things/t/jobs/notify-next", jobs._on_notify_next)

    run(subscribed())
    link.bring("$aws/things/t/jobs/notify-next", json.dumps(notice).encode())
    assert run(jobs.next_job(1_000, lambda: True)).id == "j1"
