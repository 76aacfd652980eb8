"""The application is asked: for its verdict on a new image, and to let the board reset."""

import asyncio

from sluice.errors import Fail, Retry
from sluice.log import Log

_HEALTHY_S = 60  # for the application's verdict; a test has it shorter

log = Log("hold")


async def healthy(app):
    """The application's verdict on a new image. Only `True` is a good one: a text that says what
    is wrong counts as true, and so does a coroutine that nobody awaited.
    """
    verdict = getattr(app, "healthy", None)
    try:
        return not verdict or await asyncio.wait_for(_asked(verdict), _HEALTHY_S) in (True,)
    except asyncio.CancelledError:  # of a task of its own; no Exception, and not the agent's
        raise Fail("self-test cancelled")


async def _asked(function):
    """What a function of the application answers, whether it is `async def` or `def`; of a task,
    or of a sleep, that it hands out, what that ends with.
    """
    answer = function()
    if isinstance(answer, asyncio.Task) or hasattr(answer, "send") or hasattr(answer, "__iter__"):
        return await answer
    return answer


async def hold(before_reset, link, clock, deadline_ms):
    """Returns once the application's `before_reset` has, however it ended; or at the deadline.

    The link is turned meanwhile, so the session lives; one that is lost is not opened again.
    """
    end = clock.ticks_add(clock.ticks_ms(), deadline_ms)
    task = asyncio.create_task(_asked(before_reset))
    await clock.sleep_ms(0)  # most have nothing to hold for
    if not task.done():
        log.i("the application holds the reset, ms at most:", deadline_ms)
    while not task.done():
        left_ms = clock.ticks_diff(end, clock.ticks_ms())
        if left_ms <= 0:
            task.cancel()
            return log.w("held back long enough")
        try:
            await link.wait(task.done, left_ms)
        except Retry:
            await clock.sleep_ms(min(left_ms, 100))
    try:
        await task
    except (Exception, asyncio.CancelledError) as error:
        log.w("before_reset failed:", repr(error))
