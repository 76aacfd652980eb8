"""What main.py does once, before there is an agent: files of a job, and the application.

Where nothing takes a new image back, its starts are counted in the journal until there is a
verdict. One may hang, or reset the board, again and again; so after three the application is left
out, and the agent alone tells of it. Fewer would not do: a power cut counts as well, and of a good
image a first start is the longest, as it waits for the cloud.
"""

import sys

from micropython import const

from ota.errors import Fail
from ota.loading import let_go, plug_in, there
from ota.log import Log

_STARTS = const(3)

log = Log("main")


def settle(slots, board):
    """Put files of a job in place, or take them back; what is on trial at this start.

    returns  True for files, or an image, that are taken back without a verdict; for an image that
             nothing takes back how often it was started; else False or 0
    raises   Fail, or OSError, when files that came with an image on trial cannot be put in place
    """
    trial = slots.trial
    if there("/staged/promised"):
        try:
            trial = plug_in("ota.staging", "settle")(slots) or trial
        except OSError as error:  # a full file system, say: who can be reached can be helped
            if trial:
                raise
            log.e("files not settled", error)
        finally:
            let_go("ota.staging", "ota.staged")
    return _counted(slots, board) if trial is None else trial


def _counted(slots, board):
    """This start's number, while there is no verdict; after one, only if it was never reached."""
    cells = plug_in("ota.journal", "cells")(board)
    journal = plug_in("ota.journal", "Journal")(cells)
    name, count = journal["starts"] or ("", 0)
    count = count if name == slots.running else 0
    if plug_in("ota.states.booting", "first")(journal, slots):
        count = min(count, _STARTS) + 1
        try:
            journal.write(starts=(slots.running, count))
        except OSError as error:  # the medium is full: the agent can still be reached
            log.e("start not counted", error)
    elif count <= _STARTS:
        count = 0
    let_go("ota.states.booting", "ota.table")
    return count


class _Unfit:
    """Stands for an application that does not run: asked for its verdict, it says why."""

    def __init__(self, fault):
        self.fault = fault

    async def healthy(self):
        raise self.fault


def application(trial):
    """The module `app`; None when there is none. A broken one ends a trial, and is passed over
    otherwise: a board that cannot be reached could not be given a better one.

    trial    as `settle` returned it
    """
    if trial is not True and trial > _STARTS:
        log.e("application left out, as it did not start")
        return _Unfit(Fail("did not start, times", _STARTS))
    try:
        import app
    except (Exception, SystemExit) as error:
        if str(error) == "no module named 'app'":
            return None
        if trial is True:
            raise
        log.e("application cannot be loaded", repr(error))
        sys.print_exception(error)
        return _Unfit(Fail("application failed:", repr(error))) if trial else None
    return app
