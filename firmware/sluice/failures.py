"""What went wrong on this board: on the console, and for whoever comes to look, in a file.

The console gets an exception and where it came from. What an exception says may be anybody's, like
a value of the log: so it is escaped as there, and stays in one line.

The file has the last few failures, a line each: the board's clock in its own seconds, and words.
`sluice doctor` shows them. They outlast the reset that a failure may bring, and the jobs that went
well since.
"""

import io
import sys
import time

from micropython import const

from sluice.errors import Fail
from sluice.log import Log, plain, show

_FILE = "/failures"
_LINES = const(4)
_LINE = const(160)  # bytes of one, so that reading all of them takes little heap
_CLOCK = const(12)  # bytes of the time in front of it
_FRAME = "  File "

log = Log("main")


def stopped(error):
    """The agent has, and the board with it: said, and kept."""
    words = ("cannot start:", error) if isinstance(error, Fail) else ("stopped", repr(error))
    log.e(*words)
    if not isinstance(error, Fail):
        show(error)
    note(*words)


def note(*words):
    """Keep it, unless it is kept already: what fails in a loop, even with something else in turn,
    must neither wear out the flash nor push out the others. Where the file system takes no more it
    is not kept.
    """
    text = " ".join([str(word) for word in words]).replace("\n", " ")
    text = plain(text).encode()[:_LINE]
    lines = _load()
    if text not in [line.partition(b" ")[2] for line in lines]:
        lines = lines[1 - _LINES :] + [b"%d " % time.time() + text]
        try:
            with open(_FILE, "wb") as file:
                file.write(b"\n".join(lines))
        except OSError as error:
            log.w("failure not kept", error)


def kept():
    """The lines as texts, oldest first, with the date in front instead of the board's seconds."""
    found = []
    for line in _load():
        seconds, _, text = line.partition(b" ")
        try:
            if seconds.isdigit() and len(seconds) < _CLOCK:
                date = "%d-%02d-%02d %02d:%02d:%02d UTC: " % time.gmtime(int(seconds))[:6]
                found.append(date + plain(text.decode()))
        except (OverflowError, UnicodeError):  # not ours
            pass
    return found


def _load():
    try:
        with open(_FILE, "rb") as file:
            lines = file.read(_LINES * (_LINE + _CLOCK)).split(b"\n")
    except OSError:  # there was none yet
        return []
    return [line[: _LINE + _CLOCK] for line in lines]  # whoever wrote them


def trace(error):
    """Print the traceback. Raises MemoryError."""
    text = io.StringIO()
    sys.print_exception(error, text)
    lines = text.getvalue().rstrip("\n").split("\n")
    at = 1
    while at < len(lines) and lines[at].startswith(_FRAME):
        at += 1
    for line in lines[:at]:
        print(plain(line))
    print(plain("\n".join(lines[at:])))
