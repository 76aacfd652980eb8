"""Reach the cloud, however long it takes."""

from sluice.journal import OWING


async def connecting(agent):
    """Linked; "owes" when there is an outcome to tell."""
    await agent.reach(agent.dialect.linked, None)
    return "owes" if agent.journal.phase == OWING else "linked"
