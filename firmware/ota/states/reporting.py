"""Tell the outcome that the journal holds, until the cloud has accepted it."""

from ota.errors import Gone
from ota.journal import OWING
from ota.log import Log

log = Log("agent")


async def reporting(agent):
    """Told, if there was one; or raises Gone, which settles it too."""
    journal = agent.journal
    if journal.phase == OWING:
        log.i("report", journal["step"], journal["reason"])
        try:
            await agent.dialect.report(agent.owed(), journal["step"], agent.info())
        except Gone:
            journal.settle()
            raise
        journal.settle()
    agent.drop()
    agent.starved = 0
    return "reported"
