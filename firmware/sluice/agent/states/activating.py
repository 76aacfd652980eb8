"""Have the boot loader try the new image, if the job is still ours."""

from sluice.journal import ACTIVATED
from sluice.loading import plug_in
from sluice.log import Log

log = Log("agent")


async def activating(agent):
    """The next reset boots it, and puts in place the files that come with it."""
    await agent.dialect.still(agent.job)
    await agent.dialect.report(agent.job, "applying", agent.info())
    await agent.hold()
    await agent.dialect.still(agent.job)
    slots = agent.slots
    following = slots.inactive if slots.trial is not None else slots.next()
    if agent.job.files[1:]:
        plug_in("sluice.files.staging", "activate")(agent.job, following)
    if agent.job.files and slots.trial is not None:  # so that a rollback can prove it again
        plug_in("sluice.trust.proofs", "keep")(slots.inactive, agent.job.files[0])
    if slots.trial is not None:
        plug_in("sluice.slots.bootfile", "write")()
    journal = agent.journal
    new = not journal["home"]  # else it ran before, and has its head already
    journal.write(next=following)
    try:
        slots.activate(new)
        _note(journal)
    except Exception:  # whatever it is, what failed is not to boot
        if new:
            slots.hide()
        raise
    return "ready"


def _note(journal):
    try:
        journal.write(phase=ACTIVATED)
    except OSError as error:  # too late to fail: the next reset boots it, and its trial notes it
        log.w("activation not noted", error)
