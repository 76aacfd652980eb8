"""Prove the image by what the slot holds: its head, its digest, the signature over that."""

from ota.loading import let_go, plug_in
from ota.log import Log

log = Log("agent")


async def verifying(agent):
    """It is the signer's. Raises Fail with the reason when it is not."""
    file, target, buffer = agent.job.files[0], agent.slots.target, agent.buffer
    target.readblocks(0, buffer)
    agent.update.check(memoryview(buffer)[:80])
    agent.drop()
    digest = await plug_in("ota.digest", "sha256")(target, file.size, buffer, agent.pause)
    let_go("ota.digest")
    if not file.signature:
        log.w("unsigned image accepted")
        return "genuine"
    signature = plug_in("ota.verify", "unpack")(file.signature)
    signer = await plug_in("ota.verify", "genuine")(
        digest,
        signature,
        file.algorithm,
        file.signer,
        agent.settings["signers"],
        agent.load,
        agent.pause,
    )
    let_go("ota.verify", "ota.x509", "ota.p256", "ota.rsa")
    log.i("signed by", signer)
    return "genuine"
