"""What run.py does once, before there is an agent: files of a job, and the application.

After three starts in a row that came to nothing the application is left out, and the agent alone
tells of it. Such a start hung, or reset the board. A good image takes longest at its first start,
because it waits for the cloud. So one or two such starts are no reason.
"""

from micropython import const

from sluice import log as logging
from sluice.errors import Fail
from sluice.loading import Scope, exists, plug_in
from sluice.log import Log, show

_STARTS = const(3)
_DOUBTED = const(6)  # starts in a row that came to nothing: the journal may be why
_ASIDE = "/journal.aside"
_KEPT = const(1_024)  # bytes of a cell of the journal, at most

log = Log("main")


class Start:
    """What this start begins with.

    slots       of the board; `settings` as lastgood has them
    trees       sluice.slots.tree.Trees
    taken_back  True where files of a job, or an image, are taken back without a verdict
    timeout_ms  of the watchdog; 0: none
    """

    def __init__(self, board, counts, note, runs, trial):
        with Scope():  # what follows is to lie low in the heap
            self.slots = board.slots()
            self.trees = plug_in("sluice.slots.tree", "Trees")(runs, trial, board.NAME)
            self.settings = plug_in("sluice.lastgood", "load")(self.slots.trial)
        logging.level(self.settings["log"])
        _say(self.trees)
        with Scope():  # the same
            trial = self.slots.trial or self.trees.trial
            if max(counts) > _DOUBTED and not trial:
                set_aside(board)
                note(min(counts[0], _DOUBTED), 0)
            self.taken_back = taken_back(self.slots) or self.trees.trial
            unproven = self.taken_back or _first(self.slots, board)
        self.timeout_ms = timeout_s(self.settings, unproven) * 1_000


def _say(trees):
    """Where the code comes from that runs."""
    app = "app" in trees.runs
    here = exists("/app.py") or exists("/app.mpy")
    words = "app", trees.version("app") or "-", trees.label(trees.runs) or "no tree"
    log.i("agent", trees.version("agent"), *words)
    if app and here:
        log.w("the app in / is passed over, because an application came as a bundle")


def timeout_s(settings, unproven):
    """Of the watchdog. A new image always has one, no longer than its trial: what hangs must not
    stay so."""
    timeout_s, trial_s = settings["watchdog_s"], settings["trial_s"]
    return min(timeout_s or trial_s, trial_s) if unproven else timeout_s


def taken_back(slots):
    """Put files of a job in place, or take them back; whether files, or an image, are taken back
    that get no verdict at this start.

    raises   Fail, or OSError, when files that came with an image on trial cannot be put in place
    """
    trial = slots.trial
    if exists("/staged/promised"):
        try:
            trial = plug_in("sluice.files.staging", "at_start")(slots) or trial
        except Exception as error:  # a full file system, say: who can be reached can be helped
            if trial:
                raise
            log.e("files not settled", error)
    return bool(trial)


def _first(slots, board):
    """Whether a new image runs that has no verdict yet, and that nothing takes back."""
    if slots.trial is not None:
        return False
    cells = plug_in("sluice.journal", "cells")(board)
    journal = plug_in("sluice.journal", "Journal")(cells)
    return plug_in("sluice.agent.states.boot", "first")(journal, slots)


def set_aside(board):
    """Begin with an empty journal, and keep what it held in /journal.aside, for `doctor`.

    The record of files that a job brings is emptied, too.
    """
    log.e("journal set aside, because the agent did not start with it")
    cells = list(plug_in("sluice.journal", "cells")(board))
    if exists("/staged"):
        cells += plug_in("sluice.files.staged", "cells")()
    try:
        with open(_ASIDE, "wb") as file:
            for cell in cells:
                file.write(cell.load()[:_KEPT] + b"\n")
    except (OSError, MemoryError) as error:
        log.w("journal not kept", error)
    for cell in cells:
        try:
            cell.save(b"")
        except OSError as error:
            log.w("journal not emptied", error)


def blame(board, error):
    """What ended the trial that this start is, for whoever ordered it. On trial the journal has
    nothing else to say. Where the medium does not take it, it is said without a reason."""
    journal = plug_in("sluice.journal", "Journal")(plug_in("sluice.journal", "cells")(board))
    if journal.phase == plug_in("sluice.journal", "ACTIVATED"):
        try:
            journal.write(reason="rolled back: " + repr(error))
        except OSError as fault:
            log.w("reason not kept", fault)


class _Unfit:
    """Stands for an application that does not run: it fails, and says why."""

    def __init__(self, *why):
        self.why = why

    async def main(self, link):
        raise Fail(*self.why)

    async def healthy(self):
        raise Fail("application failed:", *self.why)


def application(trial, starts):
    """The module `app`; None when there is none. A broken one ends a trial, and is passed over
    otherwise: a board that cannot be reached could not be given a better one.

    trial    True where what has started is taken back without a verdict
    starts   in a row that came to nothing
    """
    if starts > _STARTS:
        return _Unfit("did not start, times", _STARTS)
    try:
        import app
    except (Exception, SystemExit) as error:
        if str(error) == "no module named 'app'":
            return None
        if trial:
            raise
        show(error)
        return _Unfit(repr(error))
    return app
