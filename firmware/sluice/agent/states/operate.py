"""OPERATING: run the operation that the job asks for.

No other state is in this module, because the heap is as full while an operation brings files.
"""

from micropython import const

from sluice.errors import Fail, Refuse, Retry
from sluice.journal import DOWNLOADING, OPERATING, REBOOTING
from sluice.loading import plug_in

_ATTEMPTS = const(16)  # attempts in a row that get nowhere, though the cloud is in reach
_RESET = const(16)  # what a reset counts, where a power cut counts 1: the power may just be bad.
_RUNS = const(48)  # But an operation that pulls it down itself has failed in the end, too


async def operating(agent):
    """It is done; or what it had the journal say is to come next."""
    work, job, journal = agent.work, agent.job, agent.journal
    runs = journal["runs"] or 0 if journal.about(job) else 0
    anew = not journal.about(job) or journal.phase != DOWNLOADING  # else an earlier turn did it
    if not (work.begun and runs):  # begun again for want of heap is not begun again by a reset
        if runs >= _RUNS:
            raise Fail("cut off by a reset, times", runs // _RESET)
        cost = 1 if agent.starts.powered and runs else _RESET
        journal.take(job, phase=OPERATING, runs=runs + cost)
        work.begun = True
    try:
        reason = await plug_in(job.path, "run")(job, agent)
    except Refuse as error:  # too late for that: the job is started
        raise Fail(str(error))
    except Retry as error:
        journal.write(runs=runs)  # with the link, not by a reset
        work.begun = False
        work.fruitless += 1
        if work.fruitless >= _ATTEMPTS:
            raise Fail("operation made no progress:", error)
        raise
    if journal.phase == REBOOTING:
        return "reboot"
    if journal.phase == DOWNLOADING:
        agent.heap.worn = agent.heap.worn or anew  # what came stays: a reset loses nothing
        return "genuine"  # the other slot, or a tree, holds what is to be tried
    journal.owe("succeeded", str(reason or "done"))
    return "done"
