"""Go through the boot loader."""


async def resetting(agent):
    """Does not return on a board."""
    await agent.clock.sleep_ms(100)  # let the console and the link drain
    agent.reset()
    return "reset"
