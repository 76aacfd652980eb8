"""An image or a tree that is proven: ACTIVATING, and TRYING at its first start."""

from sluice.errors import Fail, Gone, OTAError, Retry
from sluice.journal import ACTIVATED, DOWNLOADING
from sluice.loading import exists, plug_in
from sluice.log import Log

log = Log("agent")


async def activating(agent):
    """Have what is new be tried, if the job is still ours.

    The next reset boots it, and puts in place the files and trees that come with it.
    """
    await agent.dialect.still(agent.job)
    await agent.dialect.report(agent.job, "applying", agent.info())
    await agent.application.hold()
    await agent.dialect.still(agent.job)
    if agent.journal["slot"]:
        _activate_image(agent)
    else:
        agent.journal.write(next=agent.trees.label(agent.work.trees))
        _record(agent)
        _note(agent.journal)
    return "ready"


def _record(agent, slot=None):
    """Have the record of trees say what is to be tried. Where an image comes without any, those
    are forgotten that still wait for one in its slot, which did not come to run."""
    if not agent.work.trees and not agent.trees.recorded():
        return
    try:
        if agent.work.trees:
            words = agent.trees, agent.work.trees, slot
            plug_in("sluice.slots.tree_record", "activate")(*words)
        else:
            plug_in("sluice.slots.tree_record", "settle")(agent.trees)
    except OSError as error:
        raise Fail("file system", *error.args[:1])


def _activate_image(agent):
    slots = agent.slots
    following = slots.inactive if slots.trial is not None else slots.next()
    if any(file.path and not file.kind for file in agent.job.files):
        plug_in("sluice.files.staging", "activate")(agent.job, following)
    if agent.job.files and slots.trial is not None:  # so that a rollback can prove it again
        plug_in("sluice.trust.proofs", "keep")(slots.inactive, agent.job.files[0])
    if slots.trial is not None:
        plug_in("sluice.slots.bootfile", "write")()
    journal = agent.journal
    new = not journal["home"]  # else it ran before, and has its head already
    journal.write(next=following)
    try:
        _record(agent, following)
        slots.activate(new)
        _note(journal)
    except Exception:  # whatever it is, what failed is not to boot
        if new:
            slots.hide()
        raise


def _note(journal):
    try:
        journal.write(phase=ACTIVATED)
    except OSError as error:  # too late to fail: the next reset boots it, and its trial notes it
        log.w("activation not noted", error)


async def trying(agent):
    """The trial of a new image: connect, tell, ask the application, confirm; before one deadline.

    On a board that cannot go back there is no deadline, and what fails is told, not undone.
    It is confirmed; or "sick": left unconfirmed, so that the boot loader goes back.
    "settled" where it cannot.
    """
    journal = agent.journal
    if journal.phase == DOWNLOADING and agent.runs(journal["next"]):
        journal.write(phase=ACTIVATED)  # power failed before that was noted
    if agent.trees.trial and journal.phase != ACTIVATED:  # it could not begin, and that was told
        return _sick(agent, "no job is waiting for the verdict")
    try:
        await _reach(agent)
        if not await agent.application.healthy():
            return _sick(agent, "self-test failed")
    except Exception as error:  # whatever it is, this image is not to stay
        return _sick(agent, str(error) if isinstance(error, OTAError) else repr(error))
    agent.slots.confirm()
    if agent.trees.recorded():
        plug_in("sluice.slots.tree_record", "confirm")(agent.trees)
    if exists("/staged/promised"):
        plug_in("sluice.files.staging", "confirm")()
    if journal.phase == ACTIVATED:
        agent.succeed()
    return "healthy"


async def _reach(agent):
    """Be linked, and have the cloud know of the trial. Raises Retry at the deadline."""
    clock, ends = agent.clock, agent.slots.trial or agent.trees.trial
    end = clock.ticks_add(clock.ticks_ms(), agent.settings["trial_s"] * 1000)
    while True:
        left_ms = max(clock.ticks_diff(end, clock.ticks_ms()), 0)
        try:
            await agent.reach(agent.dialect.linked, left_ms if ends else None)
            if agent.journal.phase == ACTIVATED:
                await agent.dialect.report(agent.owed(), "trying", agent.info())
            return None
        except Gone as error:  # the job is; the image may be good all the same
            return log.w("gone", error)
        except Retry:
            if ends and not left_ms:
                raise


def _sick(agent, reason):
    journal = agent.journal
    log.e("sick", reason)
    if agent.slots.trial is None and not agent.trees.trial:
        journal.owe("failed", reason + "; it stays, because this board cannot go back")
        return "settled"
    if journal.phase == ACTIVATED:
        journal.write(reason="rolled back: " + reason)
    return "sick"
