"""Resets the board, once: `{"operation": "reboot"}`.

In two phases, so that it cannot loop. Before: the cloud has accepted that we are about to, and
then the journal notes it. After: the journal's note makes the next boot an outcome, SUCCEEDED;
the same execution, handed out again, is answered with that. A power cut in between is the reboot.
"""

from sluice.journal import REBOOTING
from sluice.log import Log

log = Log("reboot")


async def run(job, device):
    """Leaves the reset to the agent. Raises Gone when the job was withdrawn."""
    await device.dialect.report(job, "rebooting", device.info())
    await device.application.hold()
    await device.dialect.still(job)
    device.journal.take(job, phase=REBOOTING)
    log.i("reset follows")
