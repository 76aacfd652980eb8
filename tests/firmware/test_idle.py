"""Between jobs: what else there is to be done comes first, and again when there is a reason."""

import json

from doubles import Clock, Link, raised, run

from sluice import log
from sluice.agent.states.boot import idle
from sluice.clouds.aws_jobs import AWSJobs
from sluice.clouds.shadow import Shadow
from sluice.errors import Retry
from sluice.job import Job

POLL_S = 60


class Agent:
    """An agent between jobs."""

    def __init__(self, dialect):
        self.dialect = dialect
        self.journal = {"seq": 1}
        self.settings = {"poll_s": POLL_S}
        self.job = self.work = None

    def take(self, job):
        self.job = job

    def rest(self):
        log.to(lambda line: None)
        try:
            return run(idle(self))
        finally:
            log.to(print)


class Dialect:
    """Gives a job once it was asked often enough; before that, there is something else to do."""

    def __init__(self, waits=0, chore=None):
        self.waits, self.polls, self.done = waits, [], 0
        self.chore = chore

    async def between_jobs(self):
        assert len(self.polls) == self.done
        self.done += 1
        if self.chore:
            self.chore()

    async def next_job(self, poll_ms):
        self.polls.append(poll_ms)
        if self.waits:
            self.waits -= 1
            return None
        return Job("j", 1)


def test_idle_does_what_else_there_is_before_it_asks_for_a_job():
    agent = Agent(Dialect())
    assert agent.rest() == "job" and agent.job.id == "j"
    assert agent.dialect.done == 1


def test_idle_does_it_again_whenever_there_is_a_reason():
    agent = Agent(Dialect(waits=3))
    assert agent.rest() == "job"
    assert agent.dialect.done == 4 and len(agent.dialect.polls) == 4


def test_idle_polls_as_often_as_what_was_done_has_it_changed():
    agent = Agent(Dialect(chore=lambda: agent.settings.update(poll_s=30)))
    agent.rest()
    assert agent.dialect.polls == [30_000]


# -- the shadow, as a dialect has it told --------------------------------------------------------


class Telling(Shadow):
    """A shadow that counts how often it is told, and may lose the session over that."""

    def __init__(self, name="classic", lost=0):
        Shadow.__init__(self, name, "version", "SIM_ESP32", "sluice.config")
        self.told, self.lost = 0, lost

    async def tell(self):
        self.told += 1
        if self.lost:
            self.lost -= 1
            raise Retry("the broker closed the connection")
        self.looked = self.agent.journal["seq"]


def jobs(shadow):
    """(a dialect whose cloud has nothing to do, its agent)"""

    def cloud(topic, message):
        if not topic.endswith("$next/get"):
            return []
        answer = {"clientToken": json.loads(message)["clientToken"]}
        return [(topic + "/accepted", json.dumps(answer).encode())]

    made = AWSJobs(Link(cloud, Clock()), "t", shadow=shadow)
    shadow.agent = Agent(made)
    return made, shadow.agent


def test_shadow_is_told_before_the_jobs_are_asked_for_at_every_connect():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    for times in (1, 2, 3):
        run(dialect.linked())
        assert shadow.told == times and dialect.shadow is shadow


def test_version_without_a_shadow_is_told_once_and_nothing_of_it_stays():
    shadow = Telling("")
    dialect, agent = jobs(shadow)
    run(dialect.linked())
    assert shadow.told == 1 and dialect.shadow is None
    run(dialect.linked())
    assert shadow.told == 1
    run(dialect.between_jobs())


def test_shadow_that_loses_the_session_twice_is_passed_over_until_it_was_told():
    shadow = Telling("", lost=2)
    dialect, agent = jobs(shadow)
    for _ in range(2):
        raised(Retry, dialect.linked)
        assert dialect.shadow is shadow
    run(dialect.linked())
    assert shadow.told == 2 and dialect.shadow is None


def test_shadow_is_told_between_jobs_when_a_job_ended_or_a_notice_came():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    run(dialect.linked())
    run(dialect.between_jobs())
    assert shadow.told == 1
    for times, act in (
        (2, lambda: agent.journal.update(seq=2)),
        (3, lambda: shadow.ring(b"", b"")),
    ):
        act()
        assert run(dialect.next_job(1_000)) is None  # there is something to do first
        run(dialect.between_jobs())
        assert shadow.told == times
        run(dialect.between_jobs())
        assert shadow.told == times


def test_job_is_handed_out_though_there_is_other_work():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    run(dialect.linked())
    notice = {"execution": {"jobId": "j1", "status": "QUEUED", "versionNumber": 1}}
    notice["execution"]["executionNumber"] = 1
    dialect._link.bring("$aws/things/t/jobs/notify-next", json.dumps(notice).encode())
    agent.journal["seq"] = 2
    assert run(dialect.next_job(1_000)).id == "j1"
