"""Sluice's making of an image out of a smaller form, fed from a file: nothing else is counted."""

import asyncio

from gauge import Slot

from sluice.job import File
from sluice.transfer.container import Container
from sluice.transfer.image import SECTOR, Image


def run(name, image_size, base, sectors):
    """Make so many sectors, by blocks of 4,096 as a source that lends its place brings them.

    name   the file of the container; the older image is in "older"
    base   (size, digest) of that; None for a compressed image
    """
    with open(name, "rb") as file, open("older", "rb") as older:
        form = File(file.seek(0, 2), "http_range")
        form.base = base

        def read(offset, view):
            older.seek(offset)
            older.readinto(view)

        buffer = bytearray(SECTOR + 4)
        image = Image(Slot(), image_size, SECTOR, None, None, buffer)
        container = Container(image, buffer, form, read)
        asyncio.run(_made(container, image, file, sectors * SECTOR))


async def _made(container, image, file, size):
    while image.received < size:
        at = container.missing() // SECTOR * SECTOR
        length = min(SECTOR, container.size - at)
        file.seek(at)
        container.open(at, length)
        while length:
            came = file.readinto(container.room(length))
            container.took(came)
            length -= came
            await container.settle(_pause)
        container.close(True)
        await container.settle(_pause)


async def _pause():
    pass
