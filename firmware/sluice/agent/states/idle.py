"""Wait for a job."""

import gc

from sluice.log import Log

log = Log("agent")


async def idle(agent):
    """There is a job. What else is to be done is done between jobs."""
    if agent.work:
        agent.work.job = None
    log.i("idle", "free", gc.mem_free())
    job = None
    while not job:
        await agent.dialect.between_jobs()
        job = await agent.dialect.next_job(agent.settings["poll_s"] * 1000)
    agent.take(job)
    log.i("job", job.id, job.number, "queued" if job.queued else "started")
    return "job"
