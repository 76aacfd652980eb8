"""Builds the objects from the configuration: the only file that knows concrete classes.

Needed once, and let go of: main.py loads it, takes what it built, and forgets it.
"""

# Leaves first: an import within an import takes C stack, and ESP32's task has 16 KiB of it.
# ruff: noqa: I001
import asyncio
import gc

import board
from ota.errors import Fail
from ota.journal import File, Journal
from ota.dialects import dialect
from ota.sources import source
from ota import job, table  # noqa: F401
from ota.agent import Agent
from net import packets, routes, tls  # noqa: F401
from net.clock import Clock
from net.mqtt import Link
from net.uplink import Uplink

_HEALTHY_S = 60  # for the application's verdict


def build(settings, slots, app, buffer):
    """(agent, link) for a board with that configuration and application.

    raises   Fail, naming the file, for credentials that are missing or unusable
    """
    clock = Clock(board, "/clock")
    context = _credentials(settings)
    gc.collect()
    thing = settings["thing"]
    link = Link(
        thing, settings["endpoint"], settings["port"], context, settings["keepalive_s"], clock
    )

    def source_of(file, block):
        return source(file.source, link, clock, thing, file, block, settings["window"])

    async def healthy():
        verdict = getattr(app, "healthy", None)
        return bool(await asyncio.wait_for(verdict(), _HEALTHY_S)) if verdict else True

    agent = Agent(
        slots,
        Journal((File("/journal.0"), File("/journal.1"))),
        dialect(settings["dialect"], link, thing),
        Uplink(board.wifi(settings["wifi"], clock), clock, link, settings["ntp"]),
        source_of,
        clock,
        settings,
        load,
        healthy,
        board.reset,
        buffer,
    )
    return agent, link


def load(path):
    """A file's bytes."""
    with open(path, "rb") as file:
        return file.read()


def _credentials(settings):
    names = [settings[key] for key in ("ca", "certificate", "private_key")]
    try:
        return tls.context(*(load(name) for name in names))
    except OSError:
        raise Fail("cannot read one of", *names)
