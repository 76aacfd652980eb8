"""An exception and where it came from, on the console. Loaded when there is one to show.

What an exception says may be anybody's, like a value of the log: so it is escaped as there, and
stays in one line.
"""

import io
import sys

from sluice.log import plain

_FRAME = "  File "


def show(error):
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
