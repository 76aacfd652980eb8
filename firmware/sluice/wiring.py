"""Builds the objects from the configuration: the only file that knows concrete classes.

Needed once, and let go of: main.py loads it, takes what it built, and forgets it.
"""

# Leaves first: an import within an import takes C stack, and ESP32's task has 16 KiB of it.
# ruff: noqa: I001
import asyncio

import board
from sluice.errors import Fail, Retry
from sluice.journal import Journal, cells
from sluice.loading import Scope, plug_in
from sluice import job  # noqa: F401
from sluice.agent.agent import Agent
from sluice.net import packets  # noqa: F401
from sluice.net.clock import Clock
from sluice.net.mqtt import Link

_HEALTHY_S = 60  # for the application's verdict
_LOST = 2  # sessions that telling the shadow may cost, before the agent goes on without


def build(settings, slots, app, buffer):
    """(agent, link) for a board with that configuration and application.

    raises   Fail, naming the file, for credentials that are missing or unusable, those of the way
             that linked last among them
    """
    clock, thing, ways = Clock(board, "/clock"), settings["thing"], settings.pop("ways")
    link = Link(thing, "", 0, None, settings["keepalive_s"], clock)
    with Scope():  # what is loaded when the agent begins stays
        plug_in("sluice.ways", "take")(link, ways)
    agent = Agent(
        slots,
        Journal(cells(board)),
        _built("DIALECTS", settings["dialect"], link, thing, clock, slots.version, settings),
        _reach(ways, settings["trial_s"] * 1_000, slots, link, clock),
        _source(settings, link, clock, ways["turns"]),
        clock,
        settings,
        load,
        Application(app, link, clock, settings["hold_s"] * 1_000),
        board.reset,
        buffer,
        link,
    )
    ways["idle"] = lambda: agent.state == "IDLE"
    _shadow(agent, settings.pop("shadow"), settings.pop("report_version"))
    # What was made here keeps this module's names alive; those that only made it can go.
    for name in ("_reach", "_shadow", "_source"):
        globals().pop(name)
    globals().pop("build")
    return agent, link


def _reach(ways, trial_ms, slots, link, clock):
    history = [0, None, False]
    joined = None if ways["due"] else ways["turns"][0]["wifi"]  # else by whom nobody knows

    async def attempt(start, deadline_ms):
        nonlocal joined
        if not link.context:
            plug_in("sluice.ways", "take")(link, ways)
        way = ways["turns"][0]
        wifi = board.wifi(way["wifi"], clock)
        if wifi and joined != way["wifi"]:
            await plug_in("sluice.ways", "leave")(wifi.station, clock)
            joined = way["wifi"]
        words = wifi, clock, link, way["ntp"], history, link.context
        uplink = plug_in("sluice.net.uplink", "Uplink")(*words)
        await uplink.reach(start, deadline_ms)

    async def reach(start, deadline_ms):
        while True:
            limit_ms = deadline_ms
            if deadline_ms is None and ways["turns"][1:]:
                limit_ms = plug_in("sluice.ways", "limit_ms")(ways, trial_ms)
            try:
                await attempt(start, limit_ms)
                break
            except Retry:
                if limit_ms == deadline_ms:
                    raise
            if ways["turns"][1:]:  # else the other one was struck off meanwhile
                plug_in("sluice.ways", "turn")(link, ways)
            history[:] = [0, None, False]
        _linked(link, ways, slots, clock, deadline_ms is None)

    return reach


def _linked(link, ways, slots, clock, again):
    """The way is kept; on the kept way the newer one is tried again, later."""
    if ways["due"] and not slots.trial:
        plug_in("sluice.ways", "linked")(ways)
    if again and ways["turns"][1:] and not ways["again"]:
        ways["again"] = True
        asyncio.create_task(plug_in("sluice.ways", "again")(link, ways, clock))


def _shadow(agent, name, key):
    """The shadow is told before anything else: the version, once, at boot; or where a shadow is
    configured, what the board is, at every connect. See aws_version and aws_shadow."""
    if not (name or key):
        return
    start, words = agent.dialect.start, [None, name, key or "version", board.NAME, "sluice.config"]
    lost = 0  # times in a row that the session ended over it, as where a policy forbids it

    def ring(topic, payload):
        agent.seen = None

    async def tell():
        path = "sluice.clouds.aws_shadow" if name else "sluice.clouds.aws_version"
        with Scope():  # the application has the room while the agent waits for a job
            await plug_in(path, "report")(agent, words, ring)

    async def start_told():
        nonlocal lost
        words[0] = words[0] and 1
        if lost < _LOST:
            lost += 1
            await tell()
            lost = 0
        if not name:
            agent.dialect.start = start
        await start()

    agent.dialect.start = start_told
    if name:
        agent.chore = tell


def _source(settings, link, clock, turns):
    ca, shown = settings.pop("http_ca"), settings.pop("http_client_certificate")

    def http():
        files = turns[0]["files"]
        trust = [ca or files[0]] + (files[1:] if shown else [])
        return plug_in("sluice.net.http", "HTTP")(link, clock, settings["download_hosts"], trust)

    tools = link, clock, settings, ["", 0], http

    def source(file, block):
        return _built("SOURCES", file.source, tools, file, block)

    return source


class Application:
    """The application's say.

    app      its module, or None
    hold_ms  that it may let an ordered reset wait; 0: none
    """

    def __init__(self, app, link, clock, hold_ms):
        self._app = app
        self._link = link
        self._clock = clock
        self._hold_ms = hold_ms

    async def healthy(self):
        """The verdict on a new image."""
        verdict = getattr(self._app, "healthy", None)
        try:
            return bool(await asyncio.wait_for(verdict(), _HEALTHY_S)) if verdict else True
        except asyncio.CancelledError:  # of a task of its own; no Exception, and not the agent's
            raise Fail("self-test cancelled")

    async def hold(self):
        """Returns when a reset that was ordered may be."""
        before_reset = getattr(self._app, "before_reset", None)
        if before_reset and self._hold_ms:
            words = before_reset, self._link, self._clock, self._hold_ms
            await plug_in("sluice.net.holding", "hold")(*words)


def _built(table, name, *words):
    with Scope():  # the list is not to stay while a file comes
        row = plug_in("sluice.plugins", table)[name]
    return plug_in(row[1], row[0])(*words)


def load(path):
    """A file's bytes."""
    with open(path, "rb") as file:
        return file.read()
