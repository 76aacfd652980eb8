"""What the agent is handed by wiring.py because it knows none of it: the way to the cloud, sources
of files, the application's say, files' bytes.
"""

import asyncio

import board
from sluice.errors import Fail, Retry
from sluice.loading import Scope, plug_in

_HEALTHY_S = 60  # for the application's verdict; a test has it shorter


class Reach:
    """The way to the cloud, whichever of them leads there.

    failures  attempts in a row that failed
    since     ticks, ms, when the link last came up; None when it did not
    doubt     the error of a certificate whose dates speak of a wrong clock, else False
    """

    def __init__(self, ways, trial_ms, slots, link, clock):
        self._ways = ways
        self._trial_ms = trial_ms
        self._slots = slots
        self._link = link
        self._clock = clock
        # None: by whom nobody knows.
        self._joined = None if ways["due"] else ways["turns"][0]["wifi"]
        self.forget()

    def forget(self):
        """What was before is no matter: another way is gone."""
        self.failures, self.since, self.doubt = 0, None, False

    async def reach(self, start, deadline_ms):
        """Linked, and `start` done. Raises Retry at the deadline; None: there is none."""
        ways, link = self._ways, self._link
        while True:
            limit_ms = deadline_ms
            if deadline_ms is None and ways["turns"][1:]:
                limit_ms = plug_in("sluice.ways", "limit_ms")(ways, self._trial_ms)
            try:
                await self._attempt(start, limit_ms)
                break
            except Retry:
                if limit_ms == deadline_ms:
                    raise
            if ways["turns"][1:]:  # else the other one was struck off meanwhile
                plug_in("sluice.ways", "turn")(link, ways)
            self.forget()
        self._linked(deadline_ms is None)

    async def _attempt(self, start, deadline_ms):
        ways, link, clock = self._ways, self._link, self._clock
        if not link.context:
            plug_in("sluice.ways", "take")(link, ways)
        way = ways["turns"][0]
        wifi = board.wifi(way["wifi"], clock)
        if wifi and self._joined != way["wifi"]:
            await plug_in("sluice.ways", "leave")(wifi.station, clock)
            self._joined = way["wifi"]
        uplink = plug_in("sluice.net.uplink", "Uplink")(wifi, clock, link, way["ntp"], self)
        await uplink.reach(start, deadline_ms)

    def _linked(self, again):
        """The way is kept; on the kept way the newer one is tried again, later."""
        ways = self._ways
        if ways["due"] and not self._slots.trial:
            plug_in("sluice.ways", "linked")(ways)
        if again and ways["turns"][1:] and not ways["again"]:
            ways["again"] = True
            later = plug_in("sluice.ways", "again")(self._link, ways, self._clock)
            asyncio.create_task(later)


class Sources:
    """Makes the sources of files; what they share is here.

    link, clock, settings
    history   sluice.handed.History
    """

    def __init__(self, link, clock, settings, turns):
        self.link = link
        self.clock = clock
        self.settings = settings
        self.history = History()
        self._turns = turns

    def source(self, file, block):
        """A source of that file: see sluice.plugins."""
        return built("SOURCES", file.source, self, file, block)

    def http(self):
        """A new sluice.net.http.HTTP, which trusts as the configuration says."""
        settings, files = self.settings, self._turns[0]["files"]
        trust = [settings["http_ca"] or files[0]]
        if settings["http_client_certificate"]:
            trust += files[1:]
        words = self.link, self.clock, settings["download_hosts"], trust
        return plug_in("sluice.net.http", "HTTP")(*words)


class History:
    """What went wrong with a file over and over, whoever was its source.

    name     of what it was: a stream, or an address without its query
    times    in a row that it did
    """

    name = ""
    times = 0


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


def built(table, name, *words):
    """The plug-in of that name in a list of sluice.plugins, made of these words."""
    with Scope():  # the list is not to stay while a file comes
        row = plug_in("sluice.plugins", table)[name]
    return plug_in(row[1], row[0])(*words)


def load(path):
    """A file's bytes."""
    with open(path, "rb") as file:
        return file.read()
