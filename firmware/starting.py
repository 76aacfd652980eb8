"""What main.py does once, before there is an agent: files of a job, and the application."""

import sys

from ota.loading import let_go, plug_in, there
from ota.log import Log

log = Log("main")


def settle(slots):
    """Put files of a job in place, or take them back; whether it is they that are on trial.

    raises   Fail, or OSError, when files that came with an image on trial cannot be put in place
    """
    if not there("/staged/promised"):
        return False
    try:
        return plug_in("ota.staging", "settle")(slots)
    except OSError as error:  # a full file system, say: who can be reached can be helped
        if slots.trial:
            raise
        log.e("files not settled", error)
        return False
    finally:
        let_go("ota.staging", "ota.staged")


def application(trial):
    """The module `app`; None when there is none. A broken one ends a trial, and is passed over
    otherwise: a board that cannot be reached could not be given a better one."""
    try:
        import app
    except (Exception, SystemExit) as error:
        if str(error) != "no module named 'app'":
            if trial:
                raise
            log.e("application cannot be loaded", repr(error))
            sys.print_exception(error)
        return None
    return app
