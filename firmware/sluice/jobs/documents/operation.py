"""A job of an operation: `{"operation": NAME, …}`, the rest being the operation's own words.

The name is that of a row in sluice.plugins.OPERATIONS, or of a module in the folder /operations of
the board; never a path. What the operation will not do is refused here, while nothing is started.

source   document 003, "Start of Jobs Process"
"""

import sys

from sluice.errors import Refuse
from sluice.fields import field
from sluice.loading import plug_in
from sluice.plugins import OPERATIONS

_NAME_MAX = 32  # characters
_FOLDER = "operations"  # of the user's own, on the board's file system
_FILES = "sluice.files.place"  # of a job that only brings files
_BUNDLE = "sluice.files.bundle"  # of one that brings a bundle


def read(document, job):
    """Fill in the job. Raises Refuse."""
    name = field(document, "operation", str, 1, _NAME_MAX)
    if name in OPERATIONS:
        function, job.path = OPERATIONS[name]
    elif _plain(name):
        function, job.path = "run", _FOLDER + "." + name
    else:
        raise Refuse("not the name of an operation")
    job.kind = "operation"
    job.order = document
    _check(job, name, function)
    if function == "check":
        job.order, job.path = None, _BUNDLE if job.files[0].kind else _FILES


def _check(job, name, function):
    """Raises Refuse when there is no such operation, or it refuses."""
    try:
        plug_in(job.path, function)
        check = getattr(sys.modules[job.path], "check", None)
        if check:
            check(job)
    except ImportError as error:
        if not str(error).startswith("no module named '" + _FOLDER):
            raise  # it is there, and lacks something itself
        raise Refuse("unknown operation", name)
    except SystemExit:  # a soft reset; the job would bring the next one
        raise Refuse("operation exits", name)


def _plain(name):
    """True for ASCII letters, digits and underscores, a letter first."""
    text = name.encode()
    return 65 <= text[0] & 0xDF <= 90 and all(
        65 <= c & 0xDF <= 90 or 48 <= c <= 57 or c == 95 for c in text
    )
