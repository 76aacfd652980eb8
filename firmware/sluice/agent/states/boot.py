"""From a start to a job, and the next reset: BOOTING, CONNECTING, IDLE and RESETTING."""

import gc

from sluice.journal import ACTIVATED, DOWNLOADING, OWING, REBOOTING
from sluice.loading import plug_in
from sluice.log import Log

log = Log("agent")


async def booting(agent):
    """What does this start mean? The journal and the slot that runs tell: one row of BOOT."""
    # Only now: a board that is idle has no use for the table.
    from sluice.agent.table import BOOT

    journal, slots, trees = agent.journal, agent.slots, agent.trees
    trial = slots.trial or trees.trial
    slot = "trial" if trial else "new" if agent.runs(journal["next"]) else "old"
    if first(journal, slots):
        slot = "trial"  # though nothing will take it back
    log.i("boot", slots.running, slots.version or "-", slot, journal.phase)
    for phase, where, event in BOOT:
        if phase in ("any", journal.phase) and where in ("any", slot):
            break
    if slot == "old" and _left(journal):
        slots.hide()
    if not trial and trees.recorded():
        _settle(trees)
    if event == "confirmed":
        agent.succeed()
    elif event == "rolled_back":
        journal.owe("failed", journal["reason"] or _returned(agent))
    elif journal.phase == REBOOTING:  # on trial, too
        verdict = "succeeded", "rebooted"
        if journal["files"]:
            verdict = plug_in("sluice.files.staging", "rebooted")()
        journal.owe(*verdict)
    return event


def first(journal, slots):
    """Whether a new image runs that has no verdict yet, where nothing takes it back."""
    expected = journal.phase in (DOWNLOADING, ACTIVATED) and journal["next"] == slots.running
    return slots.trial is None and expected


def _left(journal):
    """Whether an image was proven that does not run: its trial failed, the boot loader did not
    take it, or the power failed before it was to. Not one that ran before: then `home` is set."""
    proven = journal.phase in (DOWNLOADING, ACTIVATED) and journal["next"]
    return proven and journal["slot"] and not journal["home"]


def _settle(trees):
    """The record of the trees is to say what runs. It did before: power failed, or a trial did."""
    try:
        plug_in("sluice.slots.tree_record", "settle")(trees)
    except OSError as error:  # the next start finds the same
        log.w("record of trees not saved", error)


def _returned(agent):
    if agent.slots.trial is None and agent.journal["slot"]:
        return "the boot loader did not take the image"
    return "rolled back: not confirmed in its trial"


async def connecting(agent):
    """Reach the cloud, however long it takes. Linked; "owes" when there is an outcome to tell."""
    await agent.reach(agent.dialect.linked, None, agent.idle)
    return "owes" if agent.journal.phase == OWING else "linked"


async def idle(agent):
    """Wait until there is a job. What else is to be done is done between jobs."""
    if agent.work:
        agent.work.job = None
    log.i("idle", "free", gc.mem_free())
    job = None
    while not job:
        await agent.dialect.between_jobs()
        job = await agent.dialect.next_job(agent.settings["poll_s"] * 1000)
    agent.take(job)
    log.i("job", job.id, job.number, "queued" if job.queued else "started")
    return "job"


async def resetting(agent):
    """Go through the boot loader. Does not return on a board."""
    await agent.clock.sleep_ms(100)  # let the console and the link drain
    agent.starts.held(agent.link.linked)  # a small update may come to this within a second
    agent.reset()
    return "reset"
