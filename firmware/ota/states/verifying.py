"""Prove the image by what the slot holds: its head, its digest, the signature over that."""

from ota.loading import let_go, plug_in


async def verifying(agent):
    """It is the signer's. Raises Fail with the reason when it is not."""
    file, target, buffer = agent.job.files[0], agent.slots.target(), agent.buffer
    head = memoryview(buffer)[:80]
    target.readblocks(0, head, 0)
    agent.update.check(head)
    agent.drop()
    try:
        size, file.url = file.size, None  # long, where it is presigned, and of no use any more
        if file.md5 or file.sealed:
            unseal = plug_in("ota.seal", "unseal")
            size = await unseal(file, target, buffer, agent.settings, agent.pause)
            unseal = let_go("ota.seal")
        await plug_in("ota.verify", "check")(file, target, agent, size)
        if agent.job.files[1:]:
            await plug_in("ota.files", "check")(agent)
    finally:
        let_go("ota.seal", "ota.digest", "ota.verify", "ota.x509", "ota.p256", "ota.rsa")
        let_go("ota.files", "ota.staged", "ota.image", "ota.target")
    return "genuine"
