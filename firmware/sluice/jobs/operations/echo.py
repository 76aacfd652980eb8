"""Says what the job says: the operation to copy for one of your own.

    {"operation": "echo", "text": "hello"}

Put a file like this into the folder /operations of the board. Its name is the operation's name in
the jobs. Or put it into sluice/jobs/operations, with a row in sluice.plugins.OPERATIONS.
"""

from sluice.fields import field
from sluice.log import Log

_TEXT_MAX = 512  # characters

log = Log("echo")


def check(job):
    """Before the job is started. Raises Refuse for words that we do not understand."""
    field(job.order, "text", str, 0, _TEXT_MAX, default="")


async def run(job, device):
    """The reason that the job's success is reported with. Whatever takes long awaits in between,
    so that the link is kept and the application runs."""
    await device.pause()
    text = job.order.get("text") or "echo"
    log.i("says", text)
    return text
