"""Files that a job brings, other than an image: fetched into /staged, proved by reading back.

A file is taken as an image is, by an Image: `Staged` stands where that expects a slot.
But in order only: for a block that comes late LittleFS copies all that stands behind it, in one
call. The record of sluice.files.staging says how far it has come.

memory   that of an Image, which works in the agent's sector buffer, and of one open file
"""

import gc
import hashlib
from binascii import hexlify

from micropython import const

from sluice.errors import Fail, Gone
from sluice.files.staged import Staged, brought, name, record, tight
from sluice.journal import IDLE
from sluice.loading import Scope, plug_in
from sluice.log import Log
from sluice.transfer.image import Image

_SECTOR = const(4096)  # bytes
_CHECKPOINT = const(65_536)  # bytes between two records of a download's progress
_FILE_MAX = const(24 * 1024 * 1024)  # bytes, as of a stream's

log = Log("files")


class InOrder(Image):
    """An image that takes no block before all that stand in front of it count."""

    HEAD = 1039  # bytes that say what a bundle is: see sluice.files.bundle_head

    def open(self, offset, length):
        """False when the block is behind the first byte that is missing."""
        return offset <= self.missing() and Image.open(self, offset, length)

    def there(self, sector):
        """A file is not compared: it ends where it has come to."""
        return False


async def fetch(agent):
    """Have every file of the job at hand in /staged, wherever an earlier attempt left off.

    raises   Retry, Fail or Gone; what has come stays, but after Gone
    """
    job = agent.job
    files, identity = brought(job), _identity(job)
    noted = record()
    if not noted.about(job) or noted["image"] != identity or noted.phase == IDLE:
        with Scope():  # a download has no room for it
            noted = plug_in("sluice.files.staging", "begin")(job, identity)
    try:
        with Scope():  # what fetches makes room for what proves
            for number in range(noted["file"], len(files)):
                await _fetch(agent, files[number], number, noted)
    except Gone:
        plug_in("sluice.files.staging", "drop")()
        raise


async def _fetch(agent, file, number, noted):
    """One file, from the first byte that is missing."""
    source = agent.source(file, agent.settings["block"])
    staged = None
    try:
        if file.size is None:
            file.size = await source.measure()
            if not 0 < file.size <= _FILE_MAX:
                raise Fail("size of the file", file.size)
        if noted["size"] != file.size:
            short = tight(file.size)  # of a size that may not have been known before
            if short:
                raise Fail(short)
            noted.write(size=file.size, written=b"")
        staged = Staged(name(number), file.size, not noted["written"])
        gc.collect()
        block = agent.settings["block"]
        check = _judge(agent, file) if file.data or file.kind else None
        image = InOrder(staged, file.size, block, check, noted.written, agent.buffer)
        log.i("open", file.path, file.size, "has", image.received)
        with Scope():  # to close takes room, which a heap that was full has without this code
            await source.fetch(image, _watch(agent, image, staged, noted))
        staged.flush()
    finally:
        try:
            if staged:
                staged.close()
        finally:
            await source.close()
    noted.write(file=number + 1, size=None, written=b"")


def _judge(agent, file):
    """What judges the first bytes of a bundle, or of a file that must not be an image. Raises
    Fail for what is not to come."""

    def check(head):
        if file.kind:
            return _look(agent, file, head)
        try:
            agent.slots.check(head, file.size)
        except Fail:  # it is no image for this board: so it is a file
            return None
        raise Fail("an app image must be of fileType 0", file.path)

    return check


def _look(agent, file, head):
    """Refuse a bundle by what it says of itself. It is judged again when all of it has come."""
    try:
        with Scope():  # in mid-download, when the heap is at its fullest
            if agent.settings["block"] >= len(head):
                plug_in("sluice.files.bundle_head", "check")(head, file, agent)
    except MemoryError:  # then it is judged later
        pass


def _watch(agent, image, staged, noted):
    """What is awaited between blocks: note, tell, and see whether the job is still ours."""
    clock, block = agent.clock, agent.settings["block"]
    told, kept = clock.ticks_ms(), image.received
    had = kept

    async def watch():
        nonlocal told, kept
        if image.received > had:
            agent.work.fruitless = 0
        if image.received - kept >= _CHECKPOINT:
            kept = image.received
            staged.flush()  # first the medium, then the record
            noted.write(written=image.sectors())
            if agent.journal["runs"]:
                agent.journal.write(runs=0)  # what gets on is not in a loop
        if clock.ticks_diff(clock.ticks_ms(), told) >= agent.settings["report_s"] * 1000:
            told = clock.ticks_ms()
            info = agent.info()
            info["received"], info["total"] = -(-image.received // block), -(-image.size // block)
            agent.dialect.progress(agent.job, info)
        await agent.dialect.still(agent.job)

    return watch


def _identity(job):
    """What makes two deliveries of a job the same, its addresses' queries left out."""
    sha = hashlib.sha256()
    for file in brought(job):
        name = file.signature or file.sha256 or (file.url or file.stream).partition("?")[0]
        sha.update(("%s %s %s\n" % (file.size, file.path, name)).encode())
    return hexlify(sha.digest()[:16]).decode()
