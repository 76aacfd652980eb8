"""Trees as slots: two for the application and two for the agent, in the file system.

What runs was chosen by trees.py, which has the record's format, too. Here the record is changed.
An update of a tree writes it three times: before anything of the old content goes, when the new
one is whole and is to be tried, and when it is confirmed. So a tree that is named is always whole.
"""

from trees import keep, recorded

from sluice.version import VERSION

KINDS = ("app", "agent")
_LETTERS = ("a", "b")


class Trees:
    """The trees of this board.

    runs     {kind: [letter, digest, version, .mpy format]} of what this start runs; a kind without
             a tree is not in it
    board    its name
    trial    True while a tree runs that a reset takes back. What came with an image is on trial
             where that is
    """

    def __init__(self, runs, board):
        self.runs = runs
        self.board = board
        record = recorded()
        self.trial = bool(record and record["new"] and not record["slot"] and self._new(record))

    def _new(self, record):
        """Whether this start runs what is new in the record."""
        return all(self.runs.get(kind) == record[kind][0] for kind in record["new"])

    def version(self, kind):
        """Of what runs; "" for an application without a tree."""
        return self.runs[kind][2] if kind in self.runs else VERSION if kind == "agent" else ""

    def running(self, labels):
        """Whether these run, as `labels` names them."""
        mine = ["%s.%s" % (kind, self.runs[kind][0]) for kind in self.runs]
        return all(label in mine for label in labels.split("+"))

    def labels(self, entries):
        """{kind: entry} in a word: "app.b", "agent.a+app.b"."""
        return "+".join(["%s.%s" % (kind, entries[kind][0]) for kind in sorted(entries)])

    def other(self, kind):
        """The entry of the tree that ran before; None: there is none."""
        record = recorded()
        return record[kind][1] if record and record[kind][1:] else None

    def empty(self, kind):
        """The letter of the tree that does not run. From now on nothing is whole there.

        raises   OSError: the medium does not take the record
        """
        record = self._settled()
        mine = self.runs[kind][0] if kind in self.runs else _LETTERS[1]
        letter = _LETTERS[mine == _LETTERS[0]]
        left = [entry for entry in record[kind] if entry[0] != letter]
        if len(left) < len(record[kind]):
            record[kind] = left
            keep(record)
        return letter

    def activate(self, entries, slot=None):
        """Have the next start try these: whole, proved, and none of them runs.

        slot     label of the slot whose image they came with
        raises   OSError: the medium does not take the record
        """
        record = self._settled()
        for kind in entries:
            left = [entry for entry in record[kind] if entry[0] != entries[kind][0]]
            record[kind] = [entries[kind]] + left[:1]
        record["new"], record["tried"], record["slot"] = list(entries), False, slot
        keep(record)

    def confirm(self):
        """End the trial: what runs stays. Cheap where nothing is new."""
        record = recorded()
        if record and record["new"] and self._new(record):
            record["new"], record["tried"], record["slot"] = [], False, None
            keep(record)
        self.trial = False

    def settle(self):
        """What was taken back is named no more. For a start that is no trial."""
        record = recorded()
        if record and record["new"]:
            keep(self._settled())

    def _settled(self):
        """The record without what is new and does not run: an earlier trial of it failed, or the
        image that it came with does not run."""
        record = recorded() or {"seq": 0, "app": [], "agent": []}
        new = record.get("new", ())
        if new and not self._new(record):
            for kind in new:
                record[kind].pop(0)
        record["new"], record["tried"], record["slot"] = [], False, None
        return record
