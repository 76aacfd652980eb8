"""What the agent is handed by wiring.py because it knows none of it: the way to the cloud, sources
of files, the application's say, files' bytes.
"""

from sluice.loading import Scope, plug_in


class Reach:
    """The way to the cloud, whichever of them leads there.

    ways      what lastgood made of the files
    joined    the Wi-Fi network; None: by whom nobody knows
    failures  attempts in a row that failed
    since     ticks, ms, when the link last came up; None when it did not
    doubt     the error of a certificate whose dates speak of a wrong clock, else False
    """

    def __init__(self, ways, trial_ms, slots, link, clock):
        self.ways = ways
        self.trial_ms = trial_ms
        self.slots = slots
        self.link = link
        self.clock = clock
        self.joined = None if ways["due"] else ways["turns"][0]["wifi"]
        self.failures, self.since, self.doubt = 0, None, False

    async def reach(self, start, deadline_ms):
        """Linked, and `start` done. Raises Retry at the deadline; None: there is none."""
        await plug_in("sluice.linking", "reach")(self, start, deadline_ms)


class Sources:
    """Makes the sources of files; what they share is here.

    link, clock, settings
    name      of what went wrong over and over: a stream, or an address without its query
    times     in a row that it did
    """

    name = ""
    times = 0

    def __init__(self, link, clock, settings, turns):
        self.link = link
        self.clock = clock
        self.settings = settings
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
        return await plug_in("sluice.net.holding", "healthy")(self._app)

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
