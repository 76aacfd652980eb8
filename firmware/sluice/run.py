"""Runs the agent and the application side by side, for ever. main.py guards it.

The application is a module `app`, if there is one: `async def main(link)` runs beside the agent
on its TLS session; `healthy()` is asked for the verdict on a new image, before it is confirmed,
and has 60 s for it; `before_reset()` returns when the board may reset because of a job, and has
`hold_s` for it. These two may be `async def` or `def`. What `main` does before its first await
comes before the link is opened: `link.set_last_will(topic, text, qos=1)`, for one.

What wiring.py hands the agent is here, too, because both stay until the reset: the way to the
cloud, sources of files, the application's say, files' bytes. The agent knows none of it.
"""

import asyncio
import gc
import sys

from micropython import const

import board
from sluice import log as logging
from sluice.errors import Fail, OTAError
from sluice.loading import Scope, forget, keep, plug_in
from sluice.log import Log

_THRESHOLD = 8_000  # bytes allocated between collections: keeps the end of the heap in one piece
_SMOOTH_S = const(60)  # a start that runs so long has not come to nothing
_DOUBTED = const(6)  # starts in a row that came to nothing: the journal may be why
_REST_MS = const(3_600_000)  # of the watchdog, at the prompt
_EARLY = ("BOOTING", "CONNECTING", "TRYING", "REPORTING", "RESETTING")  # states before IDLE

_BUILDERS = ("sluice.starting", "sluice.wiring")  # forgotten once there is an agent

log = Log("main")
watchdog = None
waited = False  # the agent has waited for jobs since the start
unproven = False  # what runs is taken back, unless it is confirmed


class Starts:
    """The starts in a row that came to nothing, as main.py counts them.

    counts    of main.py; `note` keeps others
    powered   the power led to this start, and no reset
    """

    def __init__(self, counts, note):
        self._counts = counts
        self._note = note
        self.powered = not counts[0]

    def held(self, smooth):
        """Whether this start came to something: then what was counted is forgotten."""
        starts, faults = self._counts
        try:
            if waited and faults or smooth and starts:
                self._note(0, 0 if waited else faults)
                log.i("starts no longer counted", self._counts[1])
        except MemoryError:  # the next second will do
            pass


async def _tend(agent, link):
    """Once a second: feed the watchdog, and see whether this start came to something."""
    global waited
    second = 0
    while True:
        if watchdog:
            watchdog.feed()
        second += 1
        waited = waited or agent.state not in _EARLY
        agent.starts.held(link.linked or second > _SMOOTH_S)
        await asyncio.sleep_ms(1_000)


async def _run_application(app, agent, link):
    """It may end or fail, and the agent goes on. Both are told soon; a failure is kept."""
    application = agent.application
    application.state = "running"
    try:
        await app.main(link)
        application.state = "ended"
        log.i("application ended")
    except (Exception, asyncio.CancelledError) as error:
        application.state = "failed"
        left_out = isinstance(error, Fail)  # by sluice.starting, which has shown what it can
        why = str(error) if left_out else repr(error)
        log.e("application failed", why)
        with Scope():  # the agent may be at work, and wants the room
            if not left_out:
                logging.show(error)
            plug_in("sluice.failures", "note")("application failed", why)
    finally:
        if agent.dialect.shadow:
            agent.dialect.shadow["due"]["application"] = None


def _stray(loop, context):
    """A task ended by an exception that nobody awaits. asyncio would print its text as it is."""
    error = context["exception"]
    try:
        log.e("task failed", repr(error))
    except MemoryError:  # of a task that filled the heap, say: it must not end the others
        pass
    logging.show(error)


async def start(agent, link, app):
    """Run for ever."""
    asyncio.get_event_loop().set_exception_handler(_stray)
    asyncio.create_task(_tend(agent, link))
    if hasattr(app, "main"):
        asyncio.create_task(_run_application(app, agent, link))
        await asyncio.sleep_ms(0)  # before the first CONNECT: it may want a last will
    await agent.run()


def run(buffer, counts, note, runs, trial):
    """Ends by what it raises. What it holds is let go of by then.

    buffer   of a sector and four bytes, for images
    counts   starts in a row that came to nothing, and how many of them ended by an exception
             before the agent waited for jobs; `note` keeps others
    runs     {kind: [letter, digest, version, .mpy format]} of the trees that run
    trial    whether one of them does that a reset takes back
    """
    global watchdog, unproven
    gc.threshold(_THRESHOLD)
    begun = plug_in("sluice.starting", "Start")(board, counts, note, runs, trial)
    watchdog, unproven = board.watchdog(begun.timeout_ms), begun.taken_back
    app = plug_in("sluice.starting", "application")(begun.taken_back, counts[0])
    words = begun.settings, begun.slots, begun.trees, app, buffer, Starts(counts, note)
    agent, link = plug_in("sluice.wiring", "build")(*words)
    begun = words = None
    keep([path for path in sys.modules if path not in _BUILDERS])
    forget()
    asyncio.run(start(agent, link, app))


def failed(error, counts, note):
    """Say what ended `run`, keep it for `doctor`, and count it."""
    if isinstance(error, OTAError):  # it says what is lacking: no reason to doubt the journal
        note(min(counts[0], _DOUBTED - 1), counts[1])
    elif not waited:
        note(counts[0], counts[1] + 1)
    asyncio.new_event_loop()  # the one before holds the agent
    plug_in("sluice.failures", "stopped")(error)
    if unproven:
        plug_in("sluice.starting", "blame")(board, error)


def rest():
    """Someone is at the prompt: the watchdog waits long, and a timer feeds it. A soft reset ends
    the timer but not the watchdog, and `mpremote` begins with one."""
    board.rest(board.watchdog(_REST_MS))


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

    async def reach(self, start, deadline_ms, idle=None):
        """Linked, and `start` done. Raises Retry at the deadline; None: there is none.

        idle    says whether a job is waited for: then another way may be tried later
        """
        await plug_in("sluice.linking", "reach")(self, start, deadline_ms, idle)


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
    """The application: its say, and how it does.

    app      its module, or None
    hold_ms  that it may let an ordered reset wait; 0: none
    state    "running", "ended", "failed"; None of one without `main`
    """

    state = None

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
