"""Wait for a job."""

import gc

from sluice.log import Log

log = Log("agent")


async def idle(agent):
    """There is a job. What else is to be done is done between jobs."""
    agent.job = None
    log.i("idle", "free", gc.mem_free())
    due = lambda: agent.seen != agent.journal["seq"]  # noqa: E731
    words = (due,) if agent.chore else ()
    while not agent.job:
        if words and due():
            await agent.chore()
        agent.job = await agent.dialect.next_job(agent.settings["poll_s"] * 1000, *words)
    job = agent.job
    _count(agent, (job.id, job.number, job.stamp))
    log.i("job", job.id, job.number, "queued" if job.queued else "started")
    return "job"


def _count(agent, execution):
    """What went wrong while there was no job, or in another, does not count for this one."""
    if execution != agent.counted:
        agent.counted = execution
        agent.starved = agent.vain = 0
