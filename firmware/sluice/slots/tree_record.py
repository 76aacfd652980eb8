"""Trees as slots: two for the application and two for the agent, in the file system.

What runs was chosen by trees.py, which has the record's format, too. Here the record is changed.
An update of a tree writes it three times: before anything of the old content goes, when the new
one is whole and is to be tried, and when it is confirmed. So a tree that is named is always whole.

All raise OSError where the medium does not take the record.
"""

from trees import keep, recorded, take_back


def other(trees, kind):
    """The entry of the tree that ran before; None: there is none."""
    left = _settled(trees)[kind][1:]
    return left[0] if left and left[0] != trees.runs.get(kind) else None


def empty(trees, kind):
    """The letter of the tree that does not run. From now on nothing is whole there."""
    settle(trees)
    record = recorded()
    letter = "b" if kind in trees.runs and trees.runs[kind][0] == "a" else "a"
    left = [entry for entry in record[kind] if entry[0] != letter]
    if len(left) < len(record[kind]):
        record[kind] = left
        keep(record)
    return letter


def activate(trees, entries, slot=None):
    """Have the next start try these: whole, proved, and none of them runs.

    slot     label of the slot whose image they came with
    """
    record = _settled(trees)
    for kind in entries:
        left = [entry for entry in record[kind] if entry[0] != entries[kind][0]]
        record[kind] = [entries[kind]] + left[:1]
    record["new"], record["slot"] = list(entries), slot
    keep(record)


def confirm(trees):
    """End the trial: what runs stays. Cheap where nothing is new."""
    record = recorded()
    if record["new"] and _runs(trees, record):
        keep(_settled(trees))
    trees.trial = False


def settle(trees):
    """What was taken back is named no more. For a start that is no trial."""
    if recorded()["new"]:
        keep(_settled(trees))


def _runs(trees, record):
    """Whether this start runs what is new in the record."""
    return all(trees.runs.get(kind) == record[kind][0] for kind in record["new"])


def _settled(trees):
    """The record without what is new and does not run: an earlier trial of it failed, or the image
    that it came with does not run."""
    record = recorded()
    if _runs(trees, record):
        record["new"] = []
    take_back(record)
    return record
