"""Tracebacks of a board, with the names that the source has.

A module on a board has short names where the source has long ones: see shorten.py and
agreed_names.py. Whoever shows what a board says sends its lines through `readable`.
"""

import functools
import re
from pathlib import Path

from sluice.compile import agreed_names, firmware_sources, renamed

_CALL = re.compile(r'^(  File "(\w+)", line \d+, in )(\w+)')


def readable(line: str) -> str:
    """A line of a board; that of a call in a traceback has the function's own name."""
    call = _CALL.match(line)
    if not call:
        return line
    names = _names(call[2]).get(call[3], [call[3]])
    return call[1] + " or ".join(names) + line[call.end() :]


@functools.cache
def _names(module: str) -> dict[str, list[str]]:
    """{short name: what may have it in the modules of which that is the last word}."""
    found: dict[str, list[str]] = {}
    for path, file in firmware_sources().items():
        if Path(path).stem == module:
            for name, short in {**agreed_names(), **renamed(file)}.items():
                names = found.setdefault(short, [])
                if name not in names:
                    names.append(name)
    return found
