"""What does this start mean? The journal and the slot that runs tell."""

from sluice.agent.table import ANY, BOOT, NEW, OLD, TRIAL
from sluice.journal import ACTIVATED, DOWNLOADING, REBOOTING
from sluice.loading import plug_in
from sluice.log import Log

log = Log("agent")


async def booting(agent):
    """One row of BOOT."""
    journal, slots = agent.journal, agent.slots
    slot = TRIAL if slots.trial else NEW if journal["next"] == slots.running else OLD
    if first(journal, slots):
        slot = TRIAL  # though nothing will take it back
    log.i("boot", slots.running, slots.version or "-", slot, journal.phase)
    for phase, where, event in BOOT:
        if phase in (ANY, journal.phase) and where in (ANY, slot):
            break
    if slot == OLD and _left(journal):
        slots.hide()
    if event == "confirmed":
        agent.succeed()
    elif event == "rolled_back":
        journal.owe("failed", journal["reason"] or _returned(slots))
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
    return proven and not journal["home"]


def _returned(slots):
    if slots.trial is None:
        return "the boot loader did not take the image"
    return "rolled back: not confirmed in its trial"
