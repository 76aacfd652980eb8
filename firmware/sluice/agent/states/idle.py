"""Wait for a job."""

import gc

from sluice.log import Log

log = Log("agent")


async def idle(agent):
    """There is a job. What else is to be done is done between jobs."""
    if agent.work:
        agent.work.job = None
    log.i("idle", "free", gc.mem_free())
    due = lambda: agent.seen != agent.journal["seq"]  # noqa: E731
    words = (due,) if agent.chore else ()
    job = None
    while not job:
        if words and due():
            await agent.chore()
        job = await agent.dialect.next_job(agent.settings["poll_s"] * 1000, *words)
    agent.take(job)
    log.i("job", job.id, job.number, "queued" if job.queued else "started")
    return "job"
