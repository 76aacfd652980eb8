"""VERIFYING. Alone, because a signature takes more of the heap than all other states but one."""

from sluice.errors import Fail, Retry
from sluice.loading import Scope, plug_in


async def verifying(agent):
    """Prove the image by what the slot holds: its head, its digest, the signature over that.

    It is the signer's. Raises Fail with the reason when it is not. Where a smaller form made it,
    that may be to blame: then the same job's image comes as it is.
    """
    try:
        await _prove(agent)
    except Fail as error:
        if not agent.journal.smaller():
            raise
        agent.journal.whole(str(error)[:80], written="")
        raise Retry("the image comes as it is:", error)
    if agent.job.files[1:]:
        with Scope():  # what proves makes room for what inflates
            await plug_in("sluice.files.place", "check")(agent)
        if any(file.kind for file in agent.job.files):
            await plug_in("sluice.files.inflate", "unpack_all")(agent)
    return "genuine"


async def _prove(agent):
    file, target, buffer = agent.job.files[0], agent.slots.target(), agent.buffer
    head = memoryview(buffer)[:80]
    target.readblocks(0, head, 0)
    agent.work.update.check(head)
    agent.drop()
    await agent.pause()
    size, file.url = file.size, None  # long, where it is presigned, and of no use any more
    file.smaller = ()
    if file.md5 or file.sealed:
        unseal = plug_in("sluice.trust.seal", "unseal")
        size = await unseal(file, target, buffer, agent.settings, agent.pause)
    await plug_in("sluice.trust.verify", "check")(file, target, agent, size)
