"""Look at a job, before it is started and again as it was then handed out."""

from sluice.errors import OTAError, Refuse
from sluice.journal import IDLE, OWING
from sluice.loading import plug_in
from sluice.log import Log

log = Log("agent")


async def accepting(agent):
    """The kind of the job, once the cloud counts it as started; "known" or "refused"."""
    while True:
        job, journal = agent.job, agent.journal
        if journal["step"] and journal.about(job) and journal.phase in (IDLE, OWING):
            journal.owe(journal["step"], journal["reason"])  # done before; say it again
            return "known"
        try:
            _judge(agent, job)
        except MemoryError:
            if not agent.heap.hopeless():
                raise  # a hiccup, maybe: the cloud hands the job out anew
            return _refused(agent, "internal: MemoryError")
        except Exception as error:  # a document must not be able to stop the agent
            reason = str(error) if isinstance(error, OTAError) else "internal: " + repr(error)
            return _refused(agent, reason)
        agent.work.job = await agent.dialect.accept(job)
        if not job.queued:
            return job.kind


def _refused(agent, reason):
    log.w("refused", reason)
    agent.journal.owe("rejected" if agent.job.queued else "failed", reason, agent.job)
    return "refused"


def _judge(agent, job):
    """Raises Refuse for a job that we will not do."""
    if job.kind is None:
        if agent.heap.worn and job.document is None:
            raise MemoryError("no room for the document")  # there may be after a reset
        job.read()
        if job.rollback and agent.slots.trial is None:
            raise Refuse("this board cannot roll back")
        if job.rollback and job.kind == "operation" and not agent.settings["allow_rollback"]:
            raise Refuse("rollback is not allowed")
    if job.trial and not agent.journal.about(job):
        raise Refuse("no record of the trial that the job speaks of")
    _look(agent, job)
    if job.kind == "image":
        work = agent.work
        if work.update is None:
            from sluice.transfer.update import Update

            work.update = Update(agent.slots, agent.journal, agent.settings, agent.buffer)
        work.update.judge(job.files[0])
    if job.files and job.files[-1].path:
        plug_in("sluice.files.paths", "judge")(job.files, agent.settings)


def _look(agent, job):
    """Raises Refuse for an address that the configuration does not allow."""
    files = [file for file in job.files or job.fetched if file.url]
    job.fetched = ()
    if files:
        plug_in("sluice.address", "judge")(files, agent.settings)
