"""/main.py of a board that has its firmware in /lib: starts it from there.

An image that brings a firmware of its own comes before /lib, and so does its `main`; what lies in
the root, where this file is called main, too, comes last.
"""

import sys

sys.path.append(sys.path.pop(sys.path.index("")))

try:
    import main  # noqa: E402, F401
except Exception as error:  # it lacks something: on trial, a reset is the way back
    import time

    import machine

    sys.print_exception(error)
    time.sleep(10)  # Ctrl-C ends here, at the REPL
    machine.reset()
