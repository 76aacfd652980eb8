"""What run.py makes of the application's `healthy`; how a source comes by its connection."""

import asyncio
import sys

from doubles import run


class Board:
    """As much of a board as an import of wiring needs."""


sys.modules["board"] = Board
from sluice import run as code  # noqa: E402
from sluice.errors import Fail  # noqa: E402
from sluice.job import File  # noqa: E402
from sluice.loading import plug_in  # noqa: E402
from sluice.net import holding  # noqa: E402

_HOUR_S = 3_600


class Link:
    context = None


class App:
    """An application whose verdict is `verdict`, after so many seconds."""

    def __init__(self, verdict, after_s=0):
        self.verdict, self.after_s = verdict, after_s

    async def healthy(self):
        await asyncio.sleep(self.after_s)
        return self.verdict


def said(app):
    return code.Application(app, None, None, 0).healthy


def test_application_without_a_say_is_healthy():
    assert run(said(None)()) is True


def test_application_is_taken_at_its_word():
    for verdict, judged in ((True, True), (1, True), (False, False), (None, False)):
        assert asyncio.run(said(App(verdict))()) is judged


def test_application_may_judge_in_a_plain_function():
    class Plain:
        def __init__(self, verdict):
            self.healthy = lambda: verdict

    for verdict, judged in ((True, True), (1, True), (False, False), (None, False)):
        assert asyncio.run(said(Plain(verdict))()) is judged


def test_task_or_sleep_that_the_application_hands_out_is_waited_for():
    for verdict, judged in ((True, True), (False, False)):
        done = []

        class Hands(App):
            def healthy(self):
                return asyncio.create_task(self.checked())

            async def checked(self):
                await asyncio.sleep_ms(1)
                done.append(True)
                return self.verdict

        assert asyncio.run(said(Hands(verdict))()) is judged and done

    class Fails:
        def healthy(self):
            return asyncio.create_task(self.failing())

        async def failing(self):
            raise ValueError("pump")

    async def asked():
        try:
            await said(Fails())()
        except ValueError:
            return "failed"

    assert asyncio.run(asked()) == "failed"

    class Sleeps:
        def healthy(self):
            return asyncio.sleep_ms(1)

    assert asyncio.run(said(Sleeps())()) is False


def test_nothing_but_true_is_a_good_verdict():
    """Also of a coroutine that the application forgot to await."""
    for verdict in ("sensor missing", [1], object(), 2, App(False).healthy()):
        assert asyncio.run(said(App(verdict))()) is False, verdict


def test_reset_waits_for_a_plain_function_of_the_application_and_outlives_its_failure():
    asked = []

    class Waits:
        """A link and a clock that let the application's task run."""

        def ticks_ms(self):
            return 0

        def ticks_add(self, ticks, delta):
            return ticks + delta

        def ticks_diff(self, end, begin):
            return end - begin

        async def sleep_ms(self, duration_ms):
            await asyncio.sleep_ms(0)

        async def wait(self, ready, timeout_ms):
            await asyncio.sleep_ms(0)

    def fails():
        asked.append(True)
        raise ValueError("pump")

    for function in (lambda: asked.append(True), fails):
        asyncio.run(holding.hold(function, Waits(), Waits(), 1_000))
    assert len(asked) == 2


def test_application_whose_own_task_was_cancelled_ends_the_trial_and_not_the_agent():
    """CancelledError is no Exception: it would go past the agent, and the board would stand."""

    class Cancelled(App):
        async def healthy(self):
            task = asyncio.create_task(App(True, _HOUR_S).healthy())
            task.cancel()
            await task

    async def asked():
        try:
            await said(Cancelled(True))()
        except Fail as error:
            return str(error)

    assert asyncio.run(asked()) == "self-test cancelled"


def test_application_that_does_not_judge_in_its_time_ends_the_trial():
    """With an error: of any, the state `trying` makes a sick image; see test_agent."""
    before, holding._HEALTHY_S = holding._HEALTHY_S, 0
    try:
        asyncio.run(said(App(True, _HOUR_S))())
    except asyncio.TimeoutError:
        return
    finally:
        holding._HEALTHY_S = before
    raise AssertionError("it was waited for")


def test_file_servers_are_trusted_by_the_ca_of_the_way_that_is_gone():
    kept = ("/lastgood.link", 200, 900)
    for ca, shown, trust in (
        ("", False, ["/ca"]), ("/other", False, ["/other"]), ("", True, ["/ca", "/c", "/k"]),
    ):  # fmt: skip
        settings = {"download_hosts": [], "http_ca": ca, "http_client_certificate": shown}
        turns = [{"files": ["/ca", "/c", "/k"]}, {"files": [kept]}]
        source = code.Sources(None, None, settings, turns).source
        assert _trust(source) == trust
        turns.pop(0)
        assert _trust(source) == [ca or kept]


def _trust(source):
    """What a download's connection trusts."""
    given = []

    def plugged(path, name):
        return (
            (lambda *words: given.append(words[-1]))
            if path == "sluice.net.http"
            else plug_in(path, name)
        )

    code.plug_in = plugged
    try:
        source(File(1, "http_range"), 4_096)
    finally:
        code.plug_in = plug_in
    return given[0]
