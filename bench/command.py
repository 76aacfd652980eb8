"""How a measurement ends: with its table, or with one line that says what is missing."""

import sys
from collections.abc import Callable

from host_tools.errors import SluiceError


def guarded(measure: Callable[[], int]) -> int:
    """The exit code of a measurement; a SluiceError is one line on stderr."""
    try:
        return measure()
    except SluiceError as error:
        print("bench: " + " ".join(str(error).split()), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
