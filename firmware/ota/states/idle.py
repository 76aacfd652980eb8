"""Wait for a job."""

import gc

from ota.log import Log

log = Log("agent")


async def idle(agent):
    """There is a job."""
    agent.job = None
    gc.collect()
    log.i("idle", "free", gc.mem_free())
    agent.job = job = await agent.dialect.next_job(agent.settings["poll_s"] * 1000)
    log.i("job", job.id, job.number, "queued" if job.queued else "started")
    return "job"
