"""What a full heap comes to: a hiccup, a reset that gives a new one, or the end of the job.

It is a hiccup at first, where the state has a row for one. The second time in a job a reset gives
a new heap, if what the agent did since the last one has worn this: so the resets are counted by
jobs and checkpoints. The fourth time the job fails; without a job to fail, it is the reset.
"""

_AGAIN = 2  # times in a job; from then on a reset is to help
_LAST = 4


class Heap:
    """The one heap of this start.

    worn     by an earlier job, or by a checkpoint: a reset gives a new one, and nothing is lost
    """

    def __init__(self):
        self.worn = False
        self._times = 0  # that it was full in the job at hand

    def verdict(self, rows):
        """It was full, once more: "lost", "starved" or "failed"; None where that has no row.

        rows     of sluice.agent.table.TRANSITIONS, for the state in which it was
        """
        self._times += 1
        failed = "failed" if "failed" in rows else None
        if "lost" not in rows:
            return failed
        if self.worn and self._times >= _AGAIN or self._times >= _LAST and not failed:
            return "starved"
        return "lost" if self._times < _LAST else failed

    def hopeless(self):
        """Whether the next time is the last one, and no reset is to come that could help."""
        return self._times >= _LAST - 1 and not self.worn

    def begin_job(self):
        """What was before does not count for the job that comes."""
        self._times = 0
