"""The application is asked to let the board reset, while the link is kept for both."""

import asyncio

from sluice.errors import Retry
from sluice.log import Log

log = Log("hold")


async def hold(before_reset, link, clock, deadline_ms):
    """Returns once the application's `before_reset` has, however it ended; or at the deadline.

    The link is turned meanwhile, so the session lives; one that is lost is not opened again.
    """
    end = clock.ticks_add(clock.ticks_ms(), deadline_ms)
    task = asyncio.create_task(before_reset())
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
