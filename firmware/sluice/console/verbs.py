"""The board's REPL: what a person may do by hand, once Ctrl-C has stopped the agent.

prompt.py gives these verbs to the REPL then, and not before: while the agent runs they cost no
RAM. `from sluice.console.verbs import *` does it by hand. A soft reset starts the agent: so heap
and sockets are as at any other start. A password that is asked for is not shown; none is printed.
"""

import builtins
import gc
import sys

import board
from sluice import log as logging
from sluice.console.network import NTP, Verbs, WiFi, configured, done, remember
from sluice.errors import Fail
from sluice.journal import DOWNLOADING, IDLE, Journal, cells
from sluice.loading import forget, keep, plug_in

_KEPT = (
    "sluice.errors",
    "sluice.log",
    "sluice.loading",
    "sluice.journal",
)  # one of each, or `except` misses
_PENDING = "sluice.clouds.aws_pending"
_ANSWER_MS = 20_000  # for the cloud, with what comes before it

_HELP = """
 wifi.connect(ssid)       join a network; asks for the password, keeps it in /config.json
 wifi.status()            the network, and the address it gave
 ntp.start()              set the clock; ntp.status() tells the time
 aws_job.start()          start the agent: a soft reset, a download goes on where it was
 aws_job.pending()        ask the cloud what is to be done, and leave it
 aws_job.describe(id)     what the cloud has of a job; without id, of the next one
 aws_job.status()         the job that the journal knows of
 status()  slots()        this board; its images
 rollback(really=True)    go back to the image that ran before, on trial
 log("D")                 E, W, I or D: what the agent logs, from now on
 reset()                  through the boot loader: ends a trial
 help()  help(thing)      this; MicroPython's help
"""


def _journal():
    return Journal(cells(board))


def _slots():
    """The board's slots; None, and a word, when it has none to update."""
    try:
        return board.slots()
    except Fail as error:
        print("no slots:", error)
        return None


class _AWSJob(Verbs):
    def start(self):
        """Start the agent, with a fresh heap. On trial this is the same trial, going on."""
        print("the agent starts")
        raise SystemExit  # at the prompt, a soft reset

    def pending(self):
        """Ask the cloud, and change nothing there."""
        _ask(_pending)

    def describe(self, id="$next", document=True, number=None):
        """What the cloud has of a job, or of the next one; `number` is that of the execution."""
        _ask(_describe, id, document, number)

    def words(self):
        """What the journal says."""
        return "job       " + _job(_journal())


def _ask(look, *words):
    settings, here = configured(), _slots()
    if settings and settings["dialect"] != "aws_jobs":
        print("a platform of orders cannot be asked")
    elif settings and here:
        done(_asked(settings, here, look, words))
        _forget()


async def _asked(settings, here, look, words):
    """Link for a question, with nothing told to a shadow."""
    agent, link = plug_in("sluice.wiring", "build")(settings, here, None, None, bytearray(0), None)
    dialect = agent.dialect
    try:
        await agent.reach(dialect.start, _ANSWER_MS)
        await look(dialect, link, settings["thing"], *words)
    finally:
        link.close()


async def _pending(dialect, link, thing):
    listed = await plug_in(_PENDING, "pending_jobs")(link, thing)
    for id, number, status in listed:
        job = await plug_in(_PENDING, "describe_job")(link, dialect, id, True, number)
        document = job.get("jobDocument")
        shape = " ".join(document) if isinstance(document, dict) else "no document"
        print("pending:", id, "queued" if status == "QUEUED" else "started", shape)
    if not listed:
        print("nothing pending")


async def _describe(dialect, link, thing, id, document, number):
    print(await plug_in(_PENDING, "describe_job")(link, dialect, id, document, number) or "none")


def _job(journal):
    words = "idle" if journal.phase == IDLE else journal.phase
    if journal["job"]:
        words += ", %s %s %s" % (journal["job"], journal["step"] or "", journal["reason"] or "")
    return words


def status():
    """What a person wants to know first."""
    settings, here = configured() or {}, _slots()
    print("thing    ", settings.get("thing", "-"), "at", settings.get("endpoint", "-"))
    if settings and settings["ways"]["why"]:
        print("config    the way that linked last, because:", settings["ways"]["why"])
    if here:
        print("firmware ", here.version or "of no version", "in", here.running, _state(here))
    print("board    ", board.NAME + ", MicroPython %d.%d.%d" % sys.implementation[1][:3])
    _trees()
    wifi.status()
    ntp.status()
    aws_job.status()
    gc.collect()
    print("heap     ", gc.mem_free(), "bytes free")


def _trees():
    """What the record of trees has first: that runs, unless the log said why not."""
    record = plug_in("sluice.slots.tree_record", "recorded")()
    version = plug_in("sluice.version", "VERSION")
    print("agent    ", _tree(record, "agent") if record["agent"] else version + " in no tree")
    print("app      ", _tree(record, "app") if record["app"] else "none in a tree")


def _tree(record, kind):
    letter, _, version, _ = record[kind][0]
    return "%s in %s.%s%s" % (version, kind, letter, " on trial" * (kind in record["new"]))


def _state(here):
    return "on trial" if here.trial else "confirmed" if here.trial is False else "without a trial"


def slots():
    """The two images."""
    here, journal = _slots(), _journal()
    if here:
        print(here.running, here.version or "-", "runs,", _state(here))
        print(here.inactive, _held(here, journal))


def _held(here, journal):
    if not here.size:
        return "no second slot: no updates"
    if journal.phase == DOWNLOADING and journal["slot"] == here.inactive:
        sectors = sum(bin(byte).count("1") for byte in journal.written)
        return "a download under way, %d KiB so far" % (sectors * 4)
    head = bytearray(80)
    here.plain.readblocks(0, head, 0)
    version = plug_in(here.image, "version_in")(head)
    if version is None:
        return "holds no image"
    known = "ran before" if journal["home"] == here.running else "not known to be good"
    if here.trial is None and plug_in(here.image, "name")(head) == here.running:
        known = "is what runs"
    return (version or "-") + " " + known


def rollback(really=False):
    """Reset into the image that ran before; a trial like any other, that may come back."""
    here, journal = _slots(), _journal()
    if not here:
        return None
    if here.trial is None:
        return print("this board cannot roll back")
    if here.trial:
        return print(here.running, "is on trial: reset() goes back")
    if journal.phase != IDLE:
        return print("a job is at hand, let the agent end it:", _job(journal))
    if journal["home"] != here.running:
        return print(here.inactive, "does not hold what ran before")
    print(here.inactive, _held(here, journal))
    if not really:
        return print("rollback(really=True) resets the board into it")
    try:
        here.activate()
    except Fail as error:
        return print("failed:", error)
    return board.reset()


def log(level=None):
    """Show the level, or set it and keep it for the agent."""
    if level is None:
        return print(logging.level())
    try:
        logging.level(str(level))
    except ValueError as error:
        return print(error)
    return remember("log", level)


def reset():
    """Through the boot loader."""
    board.reset()


def help(*things):
    """All verbs; of a thing, what MicroPython says of it."""
    return builtins.help(*things) if things else print(_HELP)


wifi, ntp, aws_job = WiFi(), NTP(), _AWSJob()
__all__ = (
    "wifi", "ntp", "aws_job", "status", "slots", "rollback", "log", "reset", "help",
)  # fmt: skip


def greet():
    """Put the verbs where the prompt finds them, and say so. The agent's code is let go of."""
    prompt = __import__("__main__").__dict__
    for name in __all__:
        prompt[name] = globals()[name]
    _forget()
    print(" +-----------------------------------------------------+")
    print(" |  The agent has stopped. The way back to the cloud:  |")
    print(" |                                                     |")
    print(" |  1. help()               what there is to type      |")
    print(" |  2. wifi.connect(ssid)   unless the board is wired  |")
    print(" |  3. ntp.start()          unless the clock is set    |")
    print(" |  4. aws_job.start()      the agent takes over       |")
    print(" +-----------------------------------------------------+")
    _warn()


def _forget():
    keep([name for name in sys.modules if name in _KEPT or name[:14] == "sluice.console"])
    forget()


def _warn():
    """A watchdog cannot be stopped: what it will do is to be known."""
    here = _slots()
    if here and here.trial:
        settings = configured() or {}
        trial_s = settings.get("trial_s", 300)
        wait_s = min(settings.get("watchdog_s") or trial_s, trial_s)
        print("The watchdog resets the board in", wait_s, "s, unless aws_job.start() is before.")
        print(here.version, "is on trial: a reset takes it back, aws_job.start() goes on with it.")
