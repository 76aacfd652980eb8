"""Look at a job, before it is started and again as it was then handed out."""

from micropython import const

from ota.errors import OTAError, Refuse
from ota.journal import IDLE, OWING
from ota.loading import let_go, plug_in
from ota.log import Log

_STARVED = const(3)  # times in a job that a full heap is a hiccup, as ota.table.meaning has it

log = Log("agent")


async def accepting(agent):
    """The kind of the job, once the cloud counts it as started; "known" or "refused"."""
    while True:
        job, journal = agent.job, agent.journal
        if journal.about(job) and journal.phase in (IDLE, OWING):
            journal.owe(journal["step"], journal["reason"])  # done before; say it again
            return "known"
        fault = None
        try:
            _judge(agent, job)
        except MemoryError as error:
            if agent.starved < _STARVED:
                raise
            fault = error
        except Exception as error:  # a document must not be able to stop the agent
            fault = error
        if fault:
            reason = str(fault) if isinstance(fault, OTAError) else "internal: " + repr(fault)
            log.w("refused", reason)
            journal.owe("rejected" if job.queued else "failed", reason, job)
            return "refused"
        agent.job = await agent.dialect.accept(job)
        if not job.queued:
            return job.kind


def _judge(agent, job):
    """Raises Refuse for a job that we will not do."""
    if job.kind is None:
        job.read()
        if job.rollback and agent.slots.trial is None:
            raise Refuse("this board cannot roll back")
    if job.trial and not agent.journal.about(job):
        raise Refuse("no record of the trial that the job speaks of")
    if job.kind == "image":
        if agent.update is None:
            from ota.update import Update

            agent.update = Update(agent.slots, agent.journal, agent.settings, agent.buffer)
        agent.update.judge(job.files[0])
    if job.files and job.files[-1].path:
        plug_in("ota.paths", "judge")(job.files, agent.settings, agent.load)
        let_go("ota.paths", "ota.staged", "ota.policy")
