"""The trees that this start runs. Their record, and what changes it, are in tree_record.py."""

from sluice.loading import exists
from sluice.version import VERSION


class Trees:
    """What runs of them, and whether it may stay.

    runs     {kind: [letter, digest, version, .mpy format]}; a kind without a tree is not in it
    trial    True while a tree runs that a reset takes back. What came with an image is on trial
             where that is
    board    its name
    """

    def __init__(self, runs, trial, board):
        self.runs = runs
        self.trial = trial
        self.board = board

    def version(self, kind):
        """Of what runs; "" for an application without a tree."""
        return self.runs[kind][2] if kind in self.runs else VERSION if kind == "agent" else ""

    def recorded(self):
        """Whether this board has a record of trees."""
        return exists("/trees.0") or exists("/trees.1")

    def label(self, entries):
        """{kind: entry} in a word: "app.b", "agent.a+app.b"."""
        return "+".join(["%s.%s" % (kind, entries[kind][0]) for kind in sorted(entries)])

    def running(self, label):
        """Whether this start runs all of these."""
        mine = self.label(self.runs).split("+")
        return all(part in mine for part in label.split("+"))
