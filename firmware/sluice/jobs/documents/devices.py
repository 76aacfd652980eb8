"""A device's part of an order: `{"devices": [entry], "gateway": SN, "known": {SN: operation}}`.

The gateway is this board: its entry is an image, by HTTP. Another device is updated by the
operation that stands beside its serial number, with the entry as its order.

The entry tells the file's MD5, which is compared with what flash holds. That proves nothing about
who made it. So the image must carry its signature itself (trust.seal), unless the entry has one.

source   document 004; sluice.clouds.product makes such documents
"""

import hashlib

from sluice.errors import Refuse
from sluice.fields import address, field, hexadecimal, signed
from sluice.job import File

_IMAGE_MAX = 24 * 1024 * 1024  # bytes; a slot is smaller
_NAME = 64  # characters of a serial number or a version
_CONSISTENT = 2  # the version has to be that of the order


def read(document, job):
    """Fill in the job. Raises Refuse."""
    (entry,) = field(document, "devices", list, 1, 1)
    if not isinstance(entry, dict):
        raise Refuse("job document lacks or misstates", "devices")
    sn = field(entry, "sn", str, 1, _NAME)
    if sn == field(document, "gateway", str, 1, 128):
        job.kind = "image"
        job.rollback = bool(document.get("rollback"))
        job.files = [file_of(entry)]
        return
    known = field(document, "known", dict, default={})
    if sn not in known:
        raise Refuse("unknown device")
    from sluice.jobs.documents.operation import read as read_operation

    entry["operation"] = known[sn]
    read_operation(entry, job)


def file_of(entry):
    """The sluice.job.File of an entry. Raises Refuse."""
    file = File(field(entry, "file_size", int, 1, _IMAGE_MAX), "http_range")
    file.url = address(entry, "file_url")
    file.md5 = field(entry, "md5", str, 32, 32).lower()
    if not hexadecimal(file.md5):
        raise Refuse("job document lacks or misstates", "md5")
    if not hasattr(hashlib, "md5"):
        raise Refuse("no md5 on this board")
    if field(entry, "firmware_upgrade_type", int, 0, 255, default=0) == _CONSISTENT:
        file.version = field(entry, "product_version", str, 1, _NAME)
    signed(entry, file)
    file.sealed = not file.signature
    return file
