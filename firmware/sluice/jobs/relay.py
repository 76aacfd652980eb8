"""Passes the file of an order on to another device, byte by byte: for operations that update one.

    from sluice.jobs.relay import check, relay

    async def run(job, device):
        await relay(job, device, uart.write)

`job.order` is the device's entry, as jobs.documents.devices has it. Nothing is kept here: an
operation that is cut off begins anew, and so does the file. Its MD5 is compared when the last byte
was passed on. It does not show who made the file, so the device must prove that.

memory   that of the HTTP connection, and the sector buffer, which is lent
"""

import hashlib
from binascii import hexlify

from sluice.errors import Fail
from sluice.jobs.documents.devices import file_of
from sluice.loading import Scope


def check(job):
    """Before the job is started. Raises Refuse for an entry that names no file."""
    job.fetched = (file_of(job.order),)


async def relay(job, device, write):
    """Fetch the file and give it to `write(data)`, in order; returns its size.

    write    data is a memoryview, good until it returns; what it raises ends the operation
    raises   Retry when the server is silent, Fail when the file is another or the order is late
    """
    file = file_of(job.order)
    pipe = _Pipe(file.size, write, device.buffer)
    source = device.source(file, device.settings["block"])
    clock = device.clock
    told = clock.ticks_ms()

    async def watch():
        nonlocal told
        await device.dialect.still(job)
        await device.pause()
        if clock.ticks_diff(clock.ticks_ms(), told) >= device.settings["report_s"] * 1000:
            told = clock.ticks_ms()
            info = device.info()
            info["received"], info["total"] = pipe.received, pipe.size
            device.dialect.progress(job, info)

    try:
        with Scope():  # to close takes room, which a heap that was full has without this code
            await source.fetch(pipe, watch)
    finally:
        await source.close()
    if hexlify(pipe.md5.digest()).decode() != file.md5:
        raise Fail("md5 is not the one ordered")
    return file.size


class _Pipe:
    """What a source fills instead of an Image: bytes go through, from first to last."""

    writes = 0  # to flash
    held = bool  # a source may go on at once

    def __init__(self, size, write, buffer):
        self.size = size
        self.received = 0
        self._view = memoryview(buffer)
        self.md5 = hashlib.md5()
        self._write = write

    def missing(self, offset=0):
        """The first byte that did not come yet; -1 at the end."""
        return self.received if self.received < self.size else -1

    def has(self, offset, length):
        """Nothing is kept."""
        return False

    def open(self, offset, length):
        """The source asks for what is missing, and nothing else."""
        return True

    def write(self, data):
        """Pass it on."""
        self.md5.update(data)
        self._write(data)
        self.received += len(data)

    def room(self, size):
        """Where the next bytes are read to; they are passed on from there."""
        return self._view

    def took(self, size):
        """So many stand there."""
        self.write(self._view[:size])

    def close(self, good):
        """Count what came: all of it, in order."""
        return good
