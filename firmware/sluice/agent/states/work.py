"""A job from its first look to its outcome: ACCEPTING and REPORTING."""

from micropython import const

from sluice.errors import Gone, OTAError, Refuse
from sluice.journal import IDLE, OWING
from sluice.loading import exists, plug_in
from sluice.log import Log

_ENDED = "but the cloud had ended the job:"
_REASON = const(80)  # characters of what was owed, so that all of it fits into what tells of it

log = Log("agent")


async def accepting(agent):
    """Look at a job, before it is started and again as it was then handed out.

    The kind of the job, once the cloud counts it as started; "known" or "refused".
    """
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
    if job.kind == "image" and job.files[-1].kind and agent.slots.trial is None:
        raise Refuse("this board takes no bundle with an image")
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
    files = job.files or job.fetched
    files = [form for file in files for form in (file,) + tuple(file.smaller) if form.url]
    job.fetched = ()
    if files:
        plug_in("sluice.address", "judge")(files, agent.settings)


async def reporting(agent):
    """Tell the outcome that the journal holds, until the cloud has accepted it.

    Told, if there was one; or raises Gone, which settles it too.
    """
    journal = agent.journal
    if journal.phase == OWING and not journal["step"]:
        journal.mark_reported()  # an earlier firmware left it so: the job is to be judged again
    if journal.phase == OWING:
        log.i("report", journal["step"], journal["reason"])
        if journal["step"] != "succeeded":
            _note(journal)
        try:
            await agent.dialect.report(agent.owed(), journal["step"], agent.info())
        except Gone as error:
            _ended(agent, error)
            raise
        agent.heap.worn = journal.mark_reported() or agent.heap.worn
    if exists("/staged/0") or exists("/staged/promised"):  # of a job that failed
        _drop(agent)
    agent.drop()
    agent.forgive()
    return "reported"


def _drop(agent):
    """The job is over, so nobody waits for a medium that does not take it."""
    try:
        succeeded = agent.journal["step"] == "succeeded"
        plug_in("sluice.files.staging", "drop")(agent.owed(), succeeded)
    except OSError as error:
        log.w("staged files not removed", error)


def _ended(agent, error):
    """The cloud ended the job meanwhile. What was done stays done: a new image that was found
    healthy is kept, and so that nobody is told otherwise, it is said wherever this job is spoken
    of: in the log, in what is kept of failures, in the shadow."""
    journal = agent.journal
    reason = journal["reason"] or ""
    if _ENDED not in reason:
        reason = "%s; %s %s" % (reason[:_REASON], _ENDED, error.status or error)
    log.w(journal["job"], journal["step"], reason, "runs", agent.slots.version or "-")
    journal.mark_reported(reason)
    if journal["step"] == "succeeded":
        _note(journal)


def _note(journal):
    """For whoever comes to look; nobody waits for it."""
    try:
        words = [journal[key] for key in ("job", "number", "step", "reason")]
        plug_in("sluice.failures", "note")(*words)
    except MemoryError:
        pass
