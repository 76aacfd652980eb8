"""Goes back to the other slot's image without a download.

    {"operation": "rollback", "size": 1468006, "sha256": "9f86d081884c7d65…"}

The order names the image by its hash. So an order that comes twice cannot go back and forth: after
the first, the other slot holds another image. The board takes only the image that ran before. It
does not start an image this way that failed its proof or its trial. It proves the image again,
over the bytes in flash: the digest, and the signature. The order may bring the signature.
Otherwise the board uses the one that it kept when the image came. An image that was flashed by
hand has no signature, and is taken by its digest. Its version is usually older. `allow_rollback`
decides whether it may run, and not `allow_downgrade`. What follows is a trial like any other; one
that fails comes back to where it was, and says so.

    {"operation": "rollback", "kind": "app", "version": "1.2.0"}

goes back to the tree of the application, or of the agent, that ran before, if it is of that
version. trees.py proves it by its digest.
"""

from binascii import hexlify

from micropython import const

from sluice.errors import Fail, Refuse
from sluice.fields import field, signed
from sluice.job import File
from sluice.journal import DOWNLOADING
from sluice.loading import plug_in

_IMAGE_MAX = const(24 * 1024 * 1024)  # bytes
_VERSION_MAX = const(31)  # characters
_HEX = const(64)  # characters of a SHA-256
_SECTOR = const(4096)  # bytes
_BLOCKS = const(4)  # ioctl of MicroPython's block devices: how many there are


def check(job):
    """Raises Refuse for an order that lacks what the image, or the tree, is told by."""
    if job.order.get("kind") is not None:
        if field(job.order, "kind", str, 1, 5) not in ("app", "agent"):
            raise Refuse("not a kind of tree:", job.order["kind"])
        field(job.order, "version", str, 1, _VERSION_MAX)
        return
    _file(job.order)
    field(job.order, "sha256", str, _HEX, _HEX)
    job.rollback = True  # so it is refused where the boot loader takes nothing back


async def run(job, device):
    """The other slot holds that image, or the other tree is that; its trial is left to the agent.

    raises   Fail with the reason, when it does not
    """
    kind = job.order.get("kind")
    if kind:
        _tree(kind, job, device)
    else:
        await _image(job, device)


async def _image(job, device):
    journal, slots, file = device.journal, device.slots, _file(job.order)
    if journal["home"] != slots.running:
        raise Fail("the other slot does not hold what ran before")
    slot = slots.plain  # as it lies there: what ran has its head in its place
    if file.size > slot.ioctl(_BLOCKS, 0) * _SECTOR:
        raise Fail("image larger than the slot", file.size)
    sha256 = plug_in("sluice.trust.verify", "sha256")
    digest = await sha256(slot, file.size, device.buffer, device.pause)
    if hexlify(digest).decode() != job.order["sha256"].lower():
        raise Fail("the other slot holds another image")
    await plug_in("sluice.trust.proofs", "prove")(file, digest, slot, device)
    journal.take(job, phase=DOWNLOADING, slot=slots.inactive, version=slots.version)


def _tree(kind, job, device):
    if not device.settings["allow_rollback"]:
        raise Fail("rollback is not allowed")
    entry = plug_in("sluice.slots.tree_record", "other")(device.trees, kind)
    if not entry or entry[2] != job.order["version"]:
        raise Fail("no other tree of that version", kind)
    device.work.trees = {kind: entry}
    device.journal.take(job, phase=DOWNLOADING)


def _file(order):
    """The image that the order tells of. Raises Refuse."""
    file = File(field(order, "size", int, 1, _IMAGE_MAX), None)
    signed(order, file)
    return file
