"""The trees that this start runs. The record of them, and its changes, are in tree_record.py."""

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

    def running(self, label):
        """Whether these run, as sluice.slots.tree_record.label has them."""
        mine = ["%s.%s" % (kind, self.runs[kind][0]) for kind in self.runs]
        return all(part in mine for part in label.split("+"))
