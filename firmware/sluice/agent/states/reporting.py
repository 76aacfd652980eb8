"""Tell the outcome that the journal holds, until the cloud has accepted it."""

from micropython import const

from sluice.errors import Gone
from sluice.journal import OWING
from sluice.loading import exists, plug_in
from sluice.log import Log

_ENDED = "but the cloud had ended the job:"
_REASON = const(80)  # characters of what was owed, so that all of it fits into what tells of it

log = Log("agent")


async def reporting(agent):
    """Told, if there was one; or raises Gone, which settles it too."""
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
