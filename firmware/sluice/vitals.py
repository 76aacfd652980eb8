"""How the board does, for its shadow: how it came to start, its radio, what went wrong.

Loaded while that is told. Nothing of it is kept: the log's last lines lie in RAM as they are, and
the failures in their file.

Texts are shown without the queries of addresses, which may be credentials. Of each so much is
shown that a report stays small: a quote or a backslash takes two bytes in JSON.
"""

import json
import sys

import machine
from micropython import const

import board
from board import NAME
from sluice import hardware
from sluice.failures import kept
from sluice.log import recent

_TEXT = const(160)  # bytes of a line in JSON, at most
_SIGN = const(6)  # bytes of a character in JSON, at most: \u0000
_CAUSES = (
    "SOFT_RESET soft HARD_RESET hard WDT_RESET watchdog PWRON_RESET power-on "
    "DEEPSLEEP_RESET deep-sleep"
)


def steady():
    """What stays until a job ends or the board starts anew; None for what there is not."""
    failures = [shown(text) for text in kept()]
    release = "%d.%d.%d" % sys.implementation[1][:3]
    found = {"board": NAME, "micropython": release, "reset": cause()}
    found["failures"] = failures or None
    return found


def moving():
    """What is another all the time; None for what there is not."""
    return {"rssi": rssi(), "log": [shown(line) for line in last_lines()] or None}


def cause():
    """What led to this start, in a word; a reset by software, or a panic, is "hard"."""
    words = _CAUSES.split()
    for at in range(0, len(words), 2):
        if getattr(machine, words[at], None) == machine.reset_cause():
            return words[at + 1]
    return None


def rssi():
    """dBm of the Wi-Fi that the board has joined; None without one, or a driver that tells."""
    try:
        if hasattr(board, "rssi"):
            found = board.rssi()
        else:
            found = hardware.station.isconnected() and hardware.station.status("rssi")
    except Exception:  # no station, or whatever a driver raises
        return None
    return found if type(found) is int else None


def last_lines():
    """The last lines of the log, of E and W: whole ones."""
    text = bytes(recent)
    found = text.decode().strip("\0\n").split("\n")
    if text[0] and len(found) > 1:  # the first has lost its head
        found.pop(0)
    return [line for line in found if line]


def shown(text, limit=_TEXT):
    """The text as it may be shown, in JSON no longer than `limit` bytes."""
    words = text.encode().split(b" ")
    words = [word.split(b"?")[0] if b"://" in word else word for word in words]
    text = b" ".join(words).decode()
    while True:
        over = len(json.dumps(text).encode()) - limit
        if over <= 0:
            return text
        text = text[: -1 - over // _SIGN]
