"""Trees as slots: two for the application and two for the agent, in the file system.

What runs was chosen by trees.py. Here the record is changed. Its format never changes, because
trees.py is never replaced and may be older. This module reads and writes it once more, because
loading trees.py again would compile it.

An update of a tree writes it three times: before it erases any old content, when the new tree is
whole and ready for its trial, and when the new tree is confirmed. So a tree that is named is
always whole.

All raise OSError where the medium does not take the record.
"""

import json
from binascii import crc32

from micropython import const

_CELL = const(700)  # bytes, more than one has


def recorded():
    """The record in force, or one that names nothing."""
    found = {"seq": 0, "app": [], "agent": [], "new": [], "tried": 0, "slot": None}
    for cell in "01":
        try:
            with open("/trees." + cell, "rb") as file:
                data = file.read(_CELL)
            record = json.loads(data[8:])
            if int(data[:8], 16) == crc32(data[8:]) and record["seq"] > found["seq"]:
                found = record
        except (OSError, ValueError, KeyError, TypeError):
            pass
    return found


def _keep(record):
    """Write the record, over the older of its two cells."""
    record["seq"] += 1
    text = json.dumps(record).encode()
    with open("/trees.%d" % (record["seq"] & 1), "wb") as file:
        file.write(b"%08x" % crc32(text) + text)


def other(trees, kind):
    """The entry of the tree that ran before; None: there is none."""
    left = _settled(trees)[kind][1:]
    return left[0] if left and left[0] != trees.runs.get(kind) else None


def free(trees, kind):
    """The letter of the tree that does not run."""
    return "b" if kind in trees.runs and trees.runs[kind][0] == "a" else "a"


def empty(trees, kind):
    """From now on nothing is whole in the tree that does not run."""
    settle(trees)
    record, letter = recorded(), free(trees, kind)
    left = [entry for entry in record[kind] if entry[0] != letter]
    if len(left) < len(record[kind]):
        record[kind] = left
        _keep(record)


def activate(trees, entries, slot=None):
    """Have the next start try these: whole, proved, and none of them runs.

    slot     label of the slot whose image they came with
    """
    record = _settled(trees)
    for kind in entries:
        left = [entry for entry in record[kind] if entry[0] != entries[kind][0]]
        record[kind] = [entries[kind]] + left[:1]
    record["new"], record["slot"] = list(entries), slot
    _keep(record)


def confirm(trees):
    """End the trial: what runs stays. Cheap where nothing is new."""
    record = recorded()
    if record["new"] and _runs(trees, record):
        _keep(_settled(trees))
    trees.trial = False


def settle(trees):
    """What was taken back is named no more. For a start that is no trial."""
    if recorded()["new"]:
        _keep(_settled(trees))


def _runs(trees, record):
    """Whether this start runs what is new in the record."""
    return all(trees.runs.get(kind) == record[kind][0] for kind in record["new"])


def _settled(trees):
    """The record without what is new and does not run: an earlier trial of it failed, or the image
    that it came with does not run."""
    record = recorded()
    if not _runs(trees, record):
        for kind in record["new"]:
            record[kind].pop(0)
    record["new"], record["tried"], record["slot"] = [], 0, None
    return record
