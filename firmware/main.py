"""Starts the board: the agent and the application side by side, for ever.

The application is a module `app`, if there is one: `async def main(link)` runs beside the agent
on its TLS session; `async def healthy()` is asked for the verdict on a new image, before it is
confirmed, and has 60 s for it; `async def before_reset()` returns when the board may reset because
of a job, and has `hold_s` for it. What `main` does before its first await comes before the link is
opened: `link.set_last_will(topic, text, qos=1)`, for one.
"""

# Before the code that will surround it: a whole sector may not be free in one piece later.
buffer = bytearray(4096)

import asyncio
import gc
import sys
from time import sleep_ms

import board
from ota import log as logging
from ota.errors import Fail
from ota.loading import let_go, plug_in
from ota.log import Log

CONFIG = "/config.json"
_THRESHOLD = 3_000  # bytes allocated between collections: keeps the end of the heap in one piece
_PAUSE_S = 10  # before a reset that nobody ordered, so that a loop of them stays reachable

log = Log("main")


async def _feed(watchdog):
    while True:
        watchdog.feed()
        await asyncio.sleep_ms(1_000)


async def _run_application(app, link):
    """The application may end or fail; the agent goes on."""
    try:
        await app.main(link)
        log.i("application ended")
    except Exception as error:
        log.e("application failed", repr(error))
        sys.print_exception(error)


async def start(agent, link, app, watchdog):
    """Run for ever."""
    if watchdog:
        asyncio.create_task(_feed(watchdog))
    if hasattr(app, "main"):
        asyncio.create_task(_run_application(app, link))
        await asyncio.sleep_ms(0)  # before the first CONNECT: it may want a last will
    await agent.run()


def _run(slots):
    """Ends by what it raises. What it holds is let go of by then."""
    settings = plug_in("config", "load")(CONFIG)
    let_go("config", "ota.plugins")
    logging.level(settings["log"])
    trial = plug_in("starting", "settle")(slots, board)
    # A new image always has a watchdog: what hangs must not stay so.
    timeout_s = settings["watchdog_s"] or (settings["trial_s"] if trial else 0)
    watchdog = board.watchdog(timeout_s * 1_000)
    app = plug_in("starting", "application")(trial)
    let_go("starting")
    agent, link = plug_in("wiring", "build")(settings, slots, app, buffer)
    let_go("wiring", "net.tls")
    asyncio.run(start(agent, link, app, watchdog))


def main():
    """Start. What cannot go on resets the board: on trial that rolls back, else it tries again."""
    gc.threshold(_THRESHOLD)
    slots = None
    try:
        slots = board.slots()
        _run(slots)
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        trial = slots and slots.trial
        if isinstance(error, SystemExit) and not trial:
            raise  # the application's own soft reset; one does not pass the boot loader
        try:
            asyncio.new_event_loop()  # the one before holds the agent
            plug_in("ota.failures", "stopped")(error)
        except Exception:  # a heap that is full still, say: the reset is the way out
            pass
        if isinstance(error, Fail) and not trial:
            return
    sleep_ms(_PAUSE_S * 1_000)
    board.reset()


if __name__ in ("__main__", "main"):
    try:
        main()
    finally:  # Ctrl-C, or a board that cannot start: someone is at the prompt
        import prompt  # noqa: F401
