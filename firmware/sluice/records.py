"""Is what a cell of a journal holds a record? Every member is judged: its kind, words and bounds.

A CRC tells what was torn. It does not tell what another firmware wrote, or a fault of ours: a step
that nobody knows, a list where a text belongs. Such a record is none, because an agent that
stumbles over it would do so at every start. It is loaded while journals are read, and then
forgotten.

A member that is not listed is dropped: an earlier firmware reads what a later one wrote. A rule is
    a tuple      of the words that are known
    an int       text of at most so many characters
    (int,)       a number from 0 to that
    a function   whether the value will do
"""

import json
from binascii import crc32

from micropython import const

from sluice.journal import ACTIVATED, CELL, DOWNLOADING, IDLE, LAST, PHASES

_NAME = const(64)  # characters of an id, a slot's label, a version
_REASON = const(256)  # characters, as sluice.journal keeps them
_PATH = const(128)  # characters, as sluice.files.paths takes them
_FILES = const(10)  # of a job
_SIZE = const(25_165_824)  # bytes of a file, at most
_WIDEST = 0x3FFF_FFFF_FFFF_FFFF  # of what the cloud counts; too big for const() on 32 bits


def _id(value):
    """The id of a job: no more than a level of a topic, as it becomes one."""
    return _text(value, _NAME) and value and not any(c in value for c in "/+#\0")


def _stamp(value):
    return _number(value, _WIDEST) or _text(value, _NAME)


def _starts(value):
    """The name of an image, and how often it was started."""
    return type(value) is list and len(value) == 2 and _text(value[0], _NAME) and (
        _number(value[1], 99)
    )  # fmt: skip


def _texts(value):
    return type(value) is list and all(_text(text, _PATH) and text[:1] == "/" for text in value)


def _paths(value):
    return _texts(value) and len(value) <= _FILES and len(set(value)) == len(value)


# fmt: off
_COMMON = {
    "seq": (LAST,), "job": _id, "number": (_WIDEST,), "stamp": _stamp, "image": _NAME,
    "slot": _NAME,
}
_KINDS = {
    "job": {
        "phase": PHASES, "next": _NAME, "version": _NAME, "starts": _starts, "runs": (1000,),
        "step": ("succeeded", "failed", "rejected"), "reason": _REASON, "files": (1,),
        "home": _NAME, "form": (256,), "saved": _REASON,
    },
    "files": {
        "phase": (IDLE, DOWNLOADING, ACTIVATED), "file": (_FILES,), "size": (_SIZE,),
        "paths": _paths, "folders": _texts, "boots": (1,),
    },
}
# fmt: on


def judged(data, kind):
    """The record in these bytes; None when they are not one.

    kind     "job", of the agent's journal; "files", of sluice.files.staged
    raises   MemoryError
    """
    if not 8 < len(data) <= CELL:
        return None
    try:
        if int(data[:8], 16) != crc32(data[8:]):
            return None
        record = json.loads(data[8:])
    except ValueError:  # UnicodeError is one
        return None
    if not isinstance(record, dict):
        return None
    found = {}
    for rules in (_COMMON, _KINDS[kind]):
        for key, rule in rules.items():
            value = record.get(key)
            if value is not None:
                if not _fits(value, rule):
                    return None
                found[key] = value
    if isinstance(record.get("written"), str):  # one that is no map costs work done again
        found["written"] = record["written"]
    return found if _whole(found, kind) else None


def _fits(value, rule):
    if isinstance(rule, int):
        return _text(value, rule)
    if not isinstance(rule, tuple):
        return rule(value)
    return _number(value, rule[0]) if isinstance(rule[0], int) else _text(value, 16) and (
        value in rule
    )  # fmt: skip


def _text(value, high):
    return type(value) is str and len(value) <= high


def _number(value, high):
    return type(value) is int and 0 <= value <= high


def _whole(record, kind):
    """True when nothing is missing that the phase speaks of."""
    if "seq" not in record or "phase" not in record:
        return False
    if record["phase"] == IDLE:
        return True
    if not all(key in record for key in ("job", "number", "stamp")):
        return False
    lacks = kind == "files" and record["phase"] == ACTIVATED and not record.get("paths")
    return not lacks and all(_above(folder, record) for folder in record.get("folders", ()))


def _above(folder, record):
    return any(path.startswith(folder + "/") for path in record.get("paths", ()))
