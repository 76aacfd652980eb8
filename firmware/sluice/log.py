"""One line an event: `<level> <uptime ms> <tag> <event> <values>`.

`log = Log("agent")`, then `log.i("DOWNLOADING", "complete", 21000)`. Values are formatted only
when the level is printed. Never pass a key, a token or the query of a presigned URL. The last
lines printed at E and W stay in RAM until the next start, for `sluice doctor`.

A value may be anybody's: the text of a job, a topic, the name of a network. So all but printable
ASCII is escaped, or such a text could forge a line of the log, or order the terminal about.
"""

import sys
from time import ticks_ms

from sluice.loading import plug_in

LEVELS = "EWID"  # in order of detail

_state = {"level": "I", "sink": print}
recent = bytearray(320)  # ends in the last lines of E and W, each with its newline


def level(name=None):
    """Print this level and all above it: "E", "W", "I" or "D". Without a name: the level now."""
    if name is not None:
        if len(name) != 1 or name not in LEVELS:
            raise ValueError("log level is one of E W I D")
        _state["level"] = name
    return _state["level"]


def to(sink):
    """Send lines to `sink(text)` instead of the console."""
    _state["sink"] = sink


def plain(text):
    """The text with each byte but those of printable ASCII as \\x and two hex digits."""
    data = text.encode()
    for byte in data:
        if not 32 <= byte < 127:
            break
    else:
        return text
    return "".join([chr(byte) if 32 <= byte < 127 else "\\x%02x" % byte for byte in data])


def show(error):
    """An exception and where it came from, on the console, escaped as a line of the log is. Where
    the heap is too full for that it is not shown, unless that is what the exception says.
    """
    try:
        if isinstance(error, MemoryError):
            sys.print_exception(error)
            return
        plug_in("sluice.failures", "trace")(error)
    except MemoryError:
        pass


class Log:
    """The log of one module; `tag` is the last word of its name."""

    def __init__(self, tag):
        self.tag = tag

    def _line(self, mark, words):
        if LEVELS.find(mark) <= LEVELS.find(_state["level"]):
            line = plain(" ".join([mark, str(ticks_ms()), self.tag] + [str(w) for w in words]))
            _state["sink"](line)
            if mark in "EW":
                line = (line + "\n").encode()[: len(recent)]
                recent[: -len(line)] = memoryview(recent)[len(line) :]
                recent[-len(line) :] = line

    def e(self, *words):
        self._line("E", words)

    def w(self, *words):
        self._line("W", words)

    def i(self, *words):
        self._line("I", words)

    def d(self, *words):
        self._line("D", words)
