"""Prove the image by what the slot holds: its head, its digest, the signature over that."""

from binascii import hexlify

from ota.errors import Fail
from ota.loading import let_go, plug_in


async def verifying(agent):
    """It is the signer's, and so is all that comes with it. Raises Fail when it is not."""
    file, target, buffer = agent.job.files[0], agent.slots.target, agent.buffer
    target.readblocks(0, buffer)
    agent.update.check(memoryview(buffer)[:80])
    agent.drop()
    size = file.size
    if file.md5:
        found = await plug_in("ota.digest", "md5")(target, size, buffer, agent.pause)
        if hexlify(found).decode() != file.md5:
            raise Fail("md5 is not the one ordered")
    if file.sealed:
        size = _unseal(agent, file)
    await plug_in("ota.verify", "check")(file, target, agent, size)
    if agent.job.files[1:]:
        await plug_in("ota.files", "check")(agent)
        let_go("ota.files", "ota.staging", "ota.image")
    let_go("ota.verify", "ota.x509")
    return "genuine"


def _unseal(agent, file):
    """Bytes of the image that are signed; its own signature, if it has one, becomes the file's."""
    settings = agent.settings
    found = plug_in("ota.seal", "find")(agent.slots.target, file.size, agent.buffer)
    let_go("ota.seal")
    if not found and not settings["allow_unsigned"]:
        raise Fail("no signature, neither in the order nor in the image")
    if not found or settings["allow_unsigned"] and not settings["signers"]:
        return file.size
    size, file.signature, file.algorithm = found
    return size
