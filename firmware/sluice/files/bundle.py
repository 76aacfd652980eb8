"""A job of bundles alone. It stays loaded while they come, so the work is in other modules."""

from sluice.journal import DOWNLOADING
from sluice.loading import Scope, plug_in


async def run(job, agent):
    """The operation of a job of bundles alone. Its trial is left to the agent.

    raises   Retry, Fail or Gone; what runs stays as it is
    """
    with Scope():  # what fetches makes room for what proves
        await plug_in("sluice.files.fetch", "fetch")(agent)
    with Scope():  # and that for what inflates
        await plug_in("sluice.files.place", "check")(agent)
    await plug_in("sluice.files.inflate", "unpack_all")(agent)
    agent.journal.take(job, phase=DOWNLOADING)
