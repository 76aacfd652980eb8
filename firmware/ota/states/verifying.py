"""Prove the image by what the slot holds."""


async def verifying(agent):
    """It is the signer's."""
    await agent.update.prove(agent.load, agent.pause)
    return "genuine"
