"""Between jobs: what else there is to be done comes first, and again when there is a reason."""

import json

from doubles import Clock, Link, raised, run

from sluice import log
from sluice.agent.states.boot import idle
from sluice.clouds import shadow as shadow_module
from sluice.clouds.aws_jobs import AWSJobs
from sluice.errors import Retry
from sluice.job import Job

POLL_S = 60


class Agent:
    """An agent between jobs."""

    def __init__(self, dialect):
        self.dialect = dialect
        self.journal = {"seq": 1}
        self.clock = Clock()
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


class Telling:
    """What stays of a shadow; it counts how often that is told, and may lose the session by it."""

    error = Retry("the broker closed the connection")

    def __init__(self, name="classic", lost=0):
        self.name, self.told, self.lost, self.did = name, 0, lost, []
        self.kept = shadow_module.kept(None, None)

    def plugged(self, path, name):
        if path == "sluice.log":
            return log.Log
        self.did.append(name)
        return self.do

    async def do(self, agent, shadow):
        self.told += 1
        if self.lost:
            self.lost -= 1
            raise self.error
        shadow["seq"], shadow["reported"] = agent.journal["seq"], 0x5EED
        shadow["due"].clear()

    def ring(self):
        self.kept["due"].setdefault(b"update/delta", None)


def jobs(shadow):
    """(a dialect whose cloud has nothing to do, its agent)"""

    def cloud(topic, message):
        if not topic.endswith("$next/get"):
            return []
        answer = {"clientToken": json.loads(message)["clientToken"]}
        return [(topic + "/accepted", json.dumps(answer).encode())]

    made = AWSJobs(Link(cloud, Clock()), "t", shadow=shadow.kept)
    shadow.kept["agent"] = agent = Agent(made)
    agent.settings["shadow"] = shadow.name
    shadow_module.plug_in = shadow.plugged
    return made, agent


def due(shadow):
    return shadow_module.reasons(shadow.kept)()


def test_shadow_is_told_before_the_jobs_are_asked_for_at_every_connect():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    for times in (1, 2, 3):
        run(dialect.linked())
        assert shadow.told == times and dialect.shadow is shadow.kept


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
        assert dialect.shadow is shadow.kept
    run(dialect.linked())
    assert shadow.told == 2 and dialect.shadow is None


def test_shadow_that_loses_the_session_twice_is_not_told_between_jobs_either():
    """Else a policy that forbids it would cost the session again as soon as a job is awaited."""
    shadow = Telling(lost=9)
    dialect, agent = jobs(shadow)
    for _ in range(2):
        raised(Retry, dialect.linked)
    for _ in range(3):
        run(dialect.linked())
        assert not due(shadow)
        shadow.ring()
        agent.journal["seq"] += 1
        assert not due(shadow)
        run(dialect.between_jobs())
    assert shadow.told == 2


def test_shadow_that_loses_the_session_now_and_then_is_told_again():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    for times in range(1, 5):
        shadow.lost = 1
        raised(Retry, dialect.linked)
        run(dialect.linked())
        assert shadow.told == 2 * times


def test_shadow_that_loses_the_session_between_jobs_twice_is_passed_over():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    run(dialect.linked())
    shadow.ring()
    shadow.lost = 2
    for _ in range(2):
        raised(Retry, dialect.between_jobs)
    run(dialect.between_jobs())
    assert shadow.told == 3


def test_shadow_that_there_is_no_room_for_stops_nobody_and_is_tried_with_the_next_reason():
    shadow = Telling(lost=9)
    shadow.error = MemoryError()
    dialect, agent = jobs(shadow)
    lines = []
    log.to(lines.append)
    try:
        run(dialect.linked())
        run(dialect.between_jobs())
        assert shadow.told == 1 and "no room" in lines[0]
        for times in range(2, 5):
            agent.journal["seq"] += 1
            run(dialect.between_jobs())
            assert shadow.told == times
    finally:
        log.to(print)


def test_what_there_was_no_room_for_is_told_when_it_is_time_and_not_what_moves_alone():
    """Else the cloud would see an application that filled the heap as one that runs."""
    for connected in (0, 1):  # all that is told fits, before it does not
        shadow = Telling(lost=9)
        shadow.error = MemoryError()
        dialect, agent = jobs(shadow)
        log.to(lambda line: None)
        try:
            shadow.lost *= not connected
            run(dialect.linked())
            shadow.kept["due"]["application"] = None
            shadow.lost = 2
            shadow.did.clear()
            for times in range(1, 5):
                run(dialect.between_jobs())
                assert not due(shadow)
                agent.clock.now += 900_001
        finally:
            log.to(print)
        assert shadow.did == ["report"] * 3 + ["report_moving"]


def test_what_moves_alone_is_told_when_it_is_time_and_not_before():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    for poll_s, often_ms in ((POLL_S, 900_000), (3_600, 3_600_000)):
        agent.settings["poll_s"] = poll_s
        run(dialect.linked())
        shadow.did.clear()
        for _ in range(3):
            agent.clock.now += often_ms
            assert not due(shadow)
            run(dialect.between_jobs())
            assert not shadow.did
            agent.clock.now += 1
            assert due(shadow)
            run(dialect.between_jobs())
            assert shadow.did == ["report_moving"]
            shadow.did.clear()


def test_all_is_told_at_a_connect_and_after_a_job_and_puts_off_what_moves_alone():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    run(dialect.linked())
    agent.clock.now += 899_000
    run(dialect.linked())
    agent.clock.now += 899_000
    agent.journal["seq"] += 1
    run(dialect.between_jobs())
    agent.clock.now += 899_000
    run(dialect.between_jobs())
    assert shadow.did == ["report"] * 3


def test_what_moves_is_told_while_no_job_comes():
    """The dialect looks whether it is time while it waits."""
    shadow = Telling()
    dialect, agent = jobs(shadow)
    dialect._link.clock = agent.clock
    run(dialect.linked())
    for _ in range(3):
        assert run(dialect.next_job(POLL_S * 1_000)) is None
        run(dialect.between_jobs())
    assert shadow.did == ["report"] + ["report_moving"] * 3
    assert 2_700_000 <= agent.clock.now <= 2_700_000 + 5 * POLL_S * 1_000


def test_shadow_is_told_between_jobs_when_a_job_ended_or_a_notice_came():
    shadow = Telling()
    dialect, agent = jobs(shadow)
    run(dialect.linked())
    run(dialect.between_jobs())
    assert shadow.told == 1
    for times, act in (
        (2, lambda: agent.journal.update(seq=2)),
        (3, shadow.ring),
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
