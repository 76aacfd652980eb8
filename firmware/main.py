"""Starts the board: the agent and the application side by side, for ever.

The application is a module `app`, if there is one: `async def main(link)` runs beside the agent
on its TLS session; `async def healthy()` is asked for the verdict on a new image, before it is
confirmed, and has 60 s for it.
"""

# Before the code that will surround it: a whole sector may not be free in one piece later.
buffer = bytearray(4096)

import asyncio
import gc
import sys
from time import sleep_ms

import board
from ota import log as logging
from ota.log import Log
from ota.plugins import let_go, plug_in

CONFIG = "/config.json"
_THRESHOLD = 8_192  # bytes allocated between collections: keeps the end of the heap in one piece
_PAUSE_S = 10  # before a reset that nobody ordered, so that a loop of them stays reachable

log = Log("main")


def _application():
    """The module `app`; None when there is none. A broken one is an error, not an absence."""
    try:
        import app
    except ImportError as error:
        if str(error) != "no module named 'app'":
            raise
        return None
    return app


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


async def start(settings, agent, link, app):
    """Run for ever."""
    watchdog = board.watchdog(settings["watchdog_s"] * 1_000)
    if watchdog:
        asyncio.create_task(_feed(watchdog))
    if hasattr(app, "main"):
        asyncio.create_task(_run_application(app, link))
    await agent.run()


def main():
    """Start. What cannot go on resets the board: on trial that rolls back, else it tries again."""
    gc.threshold(_THRESHOLD)
    slots = board.slots()
    from config import ConfigError, load

    try:
        settings, load = load(CONFIG), None
        let_go("config")
        logging.level(settings["log"])
        app = _application()
        agent, link = plug_in("wiring", "build")(settings, slots, app, buffer)
        let_go("wiring")
        asyncio.run(start(settings, agent, link, app))
    except ConfigError as error:
        log.e("config", error)
        if not slots.trial:
            return
    except Exception as error:
        log.e("stopped", repr(error))
        sys.print_exception(error)
    sleep_ms(_PAUSE_S * 1_000)
    board.reset()


if __name__ in ("__main__", "main"):
    main()
