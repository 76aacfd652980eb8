"""What runs the agent: the watchdog fed, the counts cleared, and what ended it counted."""

import asyncio
import sys

from medium import Board, read

from sluice import failures, log, starting
from sluice.errors import Fail

HEAP = "4m"


class Module:
    """Stands for a module."""


class Noted(Module):
    """The counts, and what was made of them."""

    def __init__(self, starts, faults):
        self.counts = [starts, faults]
        self.written = []

    def note(self, starts, faults):
        self.written.append((starts, faults))
        self.counts[:] = starts, faults


class Fed:
    times = 0

    def feed(self):
        self.times += 1


def loaded():
    """The module run, anew, on a board that only counts."""
    sys.modules.pop("sluice.run", None)
    board = Module()
    board.rests = []
    board.rest = board.rests.append
    board.watchdog = lambda timeout_ms: timeout_ms
    sys.modules["board"] = board
    return __import__("sluice.run", None, None, ("run",)), board


def ran(noted, seconds, state="IDLE", linked=False):
    """What `run._tend` made of so many seconds; how often the watchdog was fed."""
    run, _ = loaded()
    agent, link, run.watchdog = Module(), Module(), Fed()
    agent.state, link.linked = state, linked
    agent.starts = run.Starts(noted.counts, noted.note)

    async def quick(wait_ms):
        nonlocal seconds
        assert wait_ms == 1_000
        seconds -= 1
        if seconds < 0:
            raise asyncio.CancelledError

    real, asyncio.sleep_ms = asyncio.sleep_ms, quick
    log.to(lambda line: None)
    try:
        asyncio.run(run._tend(agent, link))
    except asyncio.CancelledError:
        pass
    finally:
        asyncio.sleep_ms = real
        log.to(print)
    return run, run.watchdog.times


def test_start_comes_to_something_by_a_link_or_by_a_minute():
    for linked, seconds, written in (
        (False, 59, []), (False, 60, [(0, 2)]), (True, 0, [(0, 2)]), (True, 500, [(0, 2)]),
    ):  # fmt: skip
        noted = Noted(3, 2)
        _, fed = ran(noted, seconds, "CONNECTING", linked)
        assert noted.written == written and fed == seconds + 1, (linked, seconds)


def test_faults_are_forgotten_once_the_agent_waited_for_jobs():
    for state in ("BOOTING", "CONNECTING", "TRYING", "REPORTING", "RESETTING"):
        noted = Noted(0, 2)
        ran(noted, 100, state, True)
        assert noted.written == []
    for state in ("IDLE", "ACCEPTING", "DOWNLOADING", "OPERATING", "VERIFYING", "ACTIVATING"):
        noted = Noted(0, 2)
        ran(noted, 2, state, True)
        assert noted.written == [(0, 0)]


def test_start_that_is_in_order_writes_nothing():
    noted = Noted(0, 0)
    ran(noted, 1_000, "IDLE", True)
    assert noted.written == []


def test_heap_that_is_full_when_the_counts_are_cleared_costs_a_second():
    noted, tries = Noted(1, 0), []

    def full(starts, faults):
        tries.append(starts)
        if len(tries) < 3:
            raise MemoryError
        noted.counts[:] = starts, faults

    noted.note = full
    ran(noted, 10, "IDLE", True)
    assert len(tries) == 3


def test_reset_that_a_job_orders_forgets_the_counts_of_a_board_that_is_linked():
    from sluice.agent.states.boot import resetting

    run, _ = loaded()
    for linked, waited, starts, written in (
        (True, True, 3, [(0, 0)]), (True, False, 3, [(0, 2)]), (False, False, 3, []),
    ):  # fmt: skip
        noted, agent, resets = Noted(starts, 2), Module(), []
        run.waited = waited
        agent.link, agent.clock = Module(), Module()
        agent.link.linked, agent.clock.sleep_ms = linked, asyncio.sleep_ms
        agent.starts = run.Starts(noted.counts, noted.note)
        agent.reset = lambda resets=resets: resets.append(1)
        log.to(lambda line: None)
        asyncio.run(resetting(agent))
        log.to(print)
        assert noted.written == written and resets == [1]


FORGED = "bad\r\nE 1 main forged\x1b[2J\x9b1m"


class App:
    """An application that fails with others' words, in `main` or in a task of its own."""

    def __init__(self, inside):
        self.inside = inside

    async def fails(self):
        raise ValueError(FORGED)

    async def main(self, link):
        if self.inside:
            asyncio.create_task(self.fails())
        else:
            await self.fails()


def shown(app, shadow=None, application=None):
    """(lines of the log, lines of the traceback) of an agent beside that application."""
    run, _ = loaded()
    said, printed = [], []
    failures.print = printed.append
    sys.modules["sluice.failures"] = failures
    log.to(said.append)

    class Agent:
        state, reset = "IDLE", None

        async def run(self):
            for _ in range(5):
                await asyncio.sleep_ms(0)

    link, noted = Module(), Noted(0, 0)
    link.linked = False
    try:
        agent, agent.dialect, agent.application = Agent(), Module(), application or Module()
        agent.dialect.shadow = shadow
        agent.starts = run.Starts(noted.counts, noted.note)
        asyncio.run(run.start(agent, link, app))
    finally:
        log.to(print)
        asyncio.get_event_loop().set_exception_handler(None)
        asyncio.new_event_loop()
    return said, printed


def test_exception_of_the_application_forges_no_line_and_moves_no_terminal():
    for inside, says in ((False, "main application failed Val"), (True, "main task failed Val")):
        with Board():
            said, printed = shown(App(inside))
        assert [line for line in said if says in line], said
        assert printed[0].startswith("Traceback") and printed[-1] == (
            "ValueError: bad\\x0d\\x0aE 1 main forged\\x1b[2J\\xc2\\x9b1m"
        )
        for line in said + printed:
            assert all(32 <= c < 127 for c in line.encode()), line


class Ends:
    """An application whose `main` returns, or is canceled."""

    def __init__(self, canceled):
        self.canceled = canceled

    async def main(self, link):
        if self.canceled:
            raise asyncio.CancelledError


def test_state_of_the_application_is_kept_and_an_end_is_a_reason_to_tell_the_shadow():
    run, _ = loaded()
    for app, state in ((Ends(False), "ended"), (Ends(True), "failed"), (App(False), "failed")):
        application, shadow = run.Application(app, None, None, 0), {"due": {}}
        assert application.state is None
        with Board():
            shown(app, shadow, application)
        assert (application.state, len(shadow["due"])) == (state, 1)


def test_application_that_was_left_out_is_told_in_one_line():
    class Unfit:
        async def main(self, link):
            raise Fail("did not start, times", 3)

    with Board():
        said, printed = shown(Unfit(), {"due": {}})
        (line,) = failures.kept()
    assert [
        text for text in said if text.endswith("main application failed did not start, times 3")
    ]
    assert line.endswith("UTC: application failed did not start, times 3") and not printed


def test_failure_of_the_application_is_kept_and_is_a_reason_to_tell_the_shadow():
    with Board():
        for shadow in ({"due": {}}, None):
            shown(App(False), shadow)
            assert not shadow or shadow["due"]
        (line,) = failures.kept()
        assert "UTC: application failed ValueError('bad" in line, line


def failed(error, noted, waited=False):
    run, _ = loaded()
    run.waited = waited
    log.to(lambda line: None)
    try:
        run.failed(error, noted.counts, noted.note)
    finally:
        log.to(print)
        asyncio.new_event_loop()


def test_exception_before_the_agent_waited_is_counted_and_a_reason_that_is_known_is_none():
    with Board():
        for error, waited, starts, counts in (
            (KeyError("step"), False, 3, [3, 2]), (MemoryError(), False, 9, [9, 2]),
            (KeyError("step"), True, 3, [3, 1]), (Fail("config lacks ca"), False, 3, [3, 1]),
            (Fail("config lacks ca"), False, 9, [5, 1]),
        ):  # fmt: skip
            noted = Noted(starts, 1)
            failed(error, noted, waited)
            assert noted.counts == counts, error
        kept = read("/failures")
        assert b"stopped KeyError('step',)" in kept and b"cannot start: config lacks ca" in kept


def test_watchdog_of_a_new_image_is_no_longer_than_its_trial():
    for watchdog_s, trial_s, off, on in (
        (120, 300, 120, 120), (120, 10, 120, 10), (0, 300, 0, 300), (600, 300, 600, 300),
    ):  # fmt: skip
        settings = {"watchdog_s": watchdog_s, "trial_s": trial_s}
        assert starting.timeout_s(settings, False) == off
        assert starting.timeout_s(settings, True) == on


def test_watchdog_at_the_prompt_waits_an_hour_and_is_fed():
    run, board = loaded()
    run.rest()
    assert board.rests == [3_600_000]


def test_start_tells_whether_a_reset_or_the_power_led_to_it():
    run, _ = loaded()
    for starts, powered in ((0, True), (1, False), (3, False)):
        noted = Noted(starts, 0)
        assert run.Starts(noted.counts, noted.note).powered is powered, starts
