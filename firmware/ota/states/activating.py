"""Have the boot loader try the new image, if the job is still ours."""

from ota.journal import ACTIVATED


async def activating(agent):
    """The next reset boots it."""
    await agent.dialect.still(agent.job)
    await agent.dialect.report(agent.job, "applying", agent.info())
    await agent.hold()
    await agent.dialect.still(agent.job)
    agent.slots.activate()
    agent.journal.write(phase=ACTIVATED)
    return "ready"
