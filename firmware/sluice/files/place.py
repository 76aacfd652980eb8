"""Files of a job that is nothing else: fetched, proved by reading back, and put in place."""

import os

from sluice.errors import Gone
from sluice.files.staged import Staged, brought, name, record
from sluice.journal import ACTIVATED, REBOOTING
from sluice.loading import Scope, plug_in
from sluice.log import Log

log = Log("files")


async def check(agent):
    """Every file is what its job says: its checksum, its signature, of what can be read back.

    raises   Fail with the reason
    """
    for number, file in enumerate(brought(agent.job)):
        path = name(number)
        file.size = os.stat(path)[6]  # as the job said, or the server
        staged = Staged(path, file.size, False)
        try:
            await plug_in("sluice.trust.verify", "check")(file, staged, agent, file.size)
        finally:
            staged.close()


async def run(job, agent):
    """The operation of a job that brings files and nothing else: have them in place, and say so
    in words; or leave that to a reset, which is their trial: see sluice.files.staging.

    raises   Retry, Fail or Gone, with nothing changed
    """
    noted = record()
    if noted.phase == ACTIVATED and noted.about(job):  # cut off after the promise
        return _put(job, noted)
    with Scope():  # a download has no room for it
        placed = plug_in("sluice.files.staging", "placed")(job)
    if not placed:
        await plug_in("sluice.files.fetch", "fetch")(agent)
        await check(agent)
        if job.restart:
            await _ours(agent.dialect.report(job, "rebooting", agent.info()))
            await agent.application.hold()
            await _ours(agent.dialect.still(job))
            plug_in("sluice.files.staging", "activate")(job, None, True)
            agent.journal.take(job, phase=REBOOTING, files=1)
            return None
        await _ours(agent.dialect.still(job))
        plug_in("sluice.files.staging", "activate")(job)
        return _put(job, record())
    return _done(job)


def _put(job, noted):
    """Have the files in place. What they replace is removed later where that does not work now:
    the promise stands, so a start does it, or the next job that brings files."""
    plug_in("sluice.files.staging", "put")(noted)
    try:
        plug_in("sluice.files.staging", "confirm")(noted)
    except (OSError, MemoryError) as error:
        log.w("old files not removed", error)
    return _done(job)


def _done(job):
    return "files in place: %d" % len(brought(job))


async def _ours(asking):
    """Leave nothing when the answer is that the job was withdrawn."""
    try:
        await asking
    except Gone:
        plug_in("sluice.files.staging", "drop")()
        raise
