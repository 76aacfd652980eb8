"""Builds the objects, then runs the agent and the application side by side.

The only file that knows concrete classes. The application is a module `app`, if there is one:
`async def main(link)` runs beside the agent on its TLS session; `async def healthy()` is asked
for the verdict on a new image, before it is confirmed.
"""

import asyncio
import gc
import sys
from time import sleep_ms

import board
import config
from net import tls
from net.clock import Clock
from net.mqtt import Link
from net.uplink import Uplink
from ota import log as logging
from ota.agent import Agent
from ota.dialects import dialect
from ota.journal import File, Journal
from ota.log import Log
from ota.sources import source

CONFIG = "/config.json"
_HEALTHY_S = 60  # for the application's verdict
_PAUSE_S = 10  # before a reset that nobody ordered, so that a loop of them stays reachable

log = Log("main")


def load(path):
    """A file's bytes."""
    with open(path, "rb") as file:
        return file.read()


def build(settings, slots, app):
    """(agent, link, clock) from the configuration. Raises ConfigError, or OSError for a file."""
    clock = Clock(board)
    names = ("ca", "certificate", "private_key")
    context = tls.context(*(load(settings[name]) for name in names))
    gc.collect()
    thing = settings["thing"]
    link = Link(
        thing, settings["endpoint"], settings["port"], context, settings["keepalive_s"], clock
    )
    agent = Agent(
        slots,
        Journal((File("/journal.0"), File("/journal.1"))),
        dialect(settings["dialect"], link, thing),
        Uplink(board.wifi(settings["wifi"], clock), clock, link, settings["ntp"]),
        lambda file, block: source(
            file.source, link, clock, thing, file, block, settings["window"]
        ),
        clock,
        settings,
        load,
        lambda: _healthy(app),
        board.reset,
    )
    return agent, link, clock


async def _healthy(app):
    """The application's verdict; True when it has none to give."""
    verdict = getattr(app, "healthy", None)
    if verdict is None:
        return True
    return bool(await asyncio.wait_for(verdict(), _HEALTHY_S))


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


async def start(settings, slots):
    """Run for ever."""
    app = _application()
    agent, link, clock = build(settings, slots, app)
    watchdog = board.watchdog(settings["watchdog_s"] * 1_000)
    if watchdog:
        asyncio.create_task(_feed(watchdog))
    if hasattr(app, "main"):
        asyncio.create_task(_run_application(app, link))
    await agent.run()


def main():
    """Start. What cannot go on resets the board: on trial that rolls back, else it tries again."""
    slots = board.slots()
    try:
        settings = config.load(CONFIG)
        logging.level(settings["log"])
        asyncio.run(start(settings, slots))
    except config.ConfigError as error:
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
