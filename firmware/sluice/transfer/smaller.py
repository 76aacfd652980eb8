"""Which smaller form an image comes in, if any: decided once for a job, and noted.

A delta suits where the slot that runs holds the image that it builds on. That is proved here, by
the digest of the slot, before the first byte of it is asked for. A compressed image suits any
board. Where none suits, or one turns out to be damaged, the image comes as it is. What comes in a
smaller form is proved as ever: by the digest of what the other slot holds, and its signature.
"""

import hashlib
from binascii import hexlify

from sluice.log import Log
from sluice.transfer.image import SECTOR

log = Log("smaller")


async def choose(agent, image):
    """The file to fetch and the Container to fill with it; None: the image as it is."""
    journal, file = agent.journal, agent.job.files[0]
    if journal["form"] is None:
        form, said = await _suiting(agent, file)
        log.i(said)
        if form:
            journal.write(form=form.id, saved=said)
        else:
            journal.whole(said)
    for form in file.smaller:
        if form.id == journal["form"]:
            from sluice.transfer.container import Container

            return form, Container(image, agent.buffer, form, agent.slots.read)
    return None


async def _suiting(agent, file):
    """(form, what to say of it), or (None, why there is none)."""
    try:
        import deflate  # noqa: F401
    except ImportError:
        return None, "this port cannot inflate"
    for form in file.smaller:
        if form.size < file.size and (not form.base or await _runs(agent, *form.base)):
            kind = "delta" if form.base else "compressed"
            return form, "%s: %d of %d bytes" % (kind, form.size, file.size)
    return None, "no delta from what runs"


async def _runs(agent, size, digest):
    """Whether the slot that runs holds that image."""
    total, view, at = hashlib.sha256(), memoryview(agent.buffer)[:SECTOR], 0
    try:
        while at < size:
            part = view[: size - at]
            agent.slots.read(at, part)
            total.update(part)
            at += len(part)
            await agent.pause()
    except OSError:  # the slot is smaller
        return False
    return hexlify(total.digest()).decode() == digest
