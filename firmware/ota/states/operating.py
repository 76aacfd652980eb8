"""Have the operation run that the job asks for."""

from ota.errors import Fail, Refuse
from ota.journal import DOWNLOADING, REBOOTING
from ota.plugins import let_go, plug_in


async def operating(agent):
    """It is done; or what the journal was made to say is to come next."""
    job, journal = agent.job, agent.journal
    try:
        reason = await plug_in(job.paths[0], "run")(job, agent)
    except Refuse as error:  # too late for that: the job is started
        raise Fail(str(error))
    finally:
        let_go(*job.paths)
    if journal.about(job) and journal.phase == REBOOTING:
        return "reboot"
    if journal.about(job) and journal.phase == DOWNLOADING:
        return "genuine"  # the other slot holds an image that is to be tried
    journal.owe("succeeded", str(reason or "done"), job)
    return "done"
