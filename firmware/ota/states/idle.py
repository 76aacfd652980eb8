"""Wait for a job."""

import gc

from ota.loading import unused
from ota.log import Log

log = Log("agent")


async def idle(agent):
    """There is a job. What else is to be done is done between jobs."""
    agent.job = None
    unused(agent.used)
    log.i("idle", "free", gc.mem_free())
    due = lambda: agent.seen != agent.journal["seq"]  # noqa: E731
    words = (due,) if agent.chore else ()
    while not agent.job:
        if words and due():
            await agent.chore()
        agent.job = await agent.dialect.next_job(agent.settings["poll_s"] * 1000, *words)
    job = agent.job
    log.i("job", job.id, job.number, "queued" if job.queued else "started")
    return "job"
