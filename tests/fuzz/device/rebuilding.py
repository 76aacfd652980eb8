"""A container on its way into a slot in RAM, by a link that is good and by one that is not.

An input is a byte that is 1 where all of it is right and 2 where it must be refused, the sizes of
image and source that the job says, in three bytes each, and the container. How the bytes come
depends on them, so the same input is judged alike each time.
"""

import gc
from binascii import crc32, hexlify
from hashlib import sha256
from random import getrandbits, seed

from doubles import SECTOR, Flash, run

from sluice.errors import Fail
from sluice.job import File
from sluice.transfer.container import Container
from sluice.transfer.image import Image

HEAD = 7  # bytes before the container
RIGHT, WRONG = 1, 2
SOURCE = bytes([n * 7 + n // 256 & 255 for n in range(9_000)])
SECTORS = 9  # of the slot: one more than the largest image has
BLOCKS = (256, 1_024, 4_096, 16_384)  # bytes that a message has
PIECES = (64, 300, 1_024), (1, 7, 300)  # bytes that a read brings: the first time, and again
OFTEN = 500  # inputs from one look at the memory to the next
LOOKS = 4  # in a row that find too much: two inputs, before and after
FULL = 25_000  # bytes in use at the end of two downloads, with windows of 4 KiB


class Slot(Flash):
    """A slot that is used again and again; nothing but sectors of the image may be written."""

    def __init__(self):
        super().__init__(SECTORS)
        self._before = bytes(self.data)

    def begin(self, size):
        self.size, self.sectors = size, -(-size // SECTOR)
        self.data[:] = self._before
        for sector in range(SECTORS):
            self.erases[sector] = 0

    def _erase(self, sector):
        assert 0 <= sector < self.sectors, "erased outside the image"
        super()._erase(sector)

    def writeblocks(self, sector, buf, offset=None):
        end = sector * SECTOR + (offset or 0) + len(buf)
        assert sector >= 0 and end <= self.sectors * SECTOR, "written outside the image"
        super().writeblocks(sector, buf, offset)

    def untouched(self):
        """Whether there is nothing behind the image but what was there, or 0xFF."""
        end, last = self.sectors * SECTOR, self.sectors - 1
        behind = self.data[self.size : end]
        blank = self._before[self.size : end] if not self.erases[last] else b"\xff" * len(behind)
        return behind == blank and self.data[end:] == self._before[end:]


slot = Slot()
buffer = bytearray(SECTOR + 4)


class Download:
    """The download of one input, `at` which byte of it the link is."""

    def __init__(self, data):
        self.size = int.from_bytes(data[1:4], "big")
        self.base = int.from_bytes(data[4:7], "big")
        self.data = memoryview(data)[HEAD:]
        self._form = File(len(self.data), "mqtt_stream")
        if self.base:
            digest = hexlify(sha256(SOURCE[: self.base]).digest()).decode()
            self._form.base = self.base, digest
        slot.begin(self.size)

    def begin(self, block, written=None):
        self.block = block
        self.image = Image(slot, self.size, min(block, SECTOR), _head, written, buffer)
        self.container = Container(self.image, buffer, self._form, self._read)

    def _read(self, offset, buf):
        assert offset >= 0 and offset + len(buf) <= self.base, "read outside the source"
        buf[:] = SOURCE[offset : offset + len(buf)]

    async def _pause(self):
        pass

    def settle(self):
        run(self.container.settle(self._pause))

    def bring(self, at, piece, good=True, lent=False, stop=None):
        """A block from that offset on, or what comes of it until the link is cut at `stop`."""
        container, part = self.container, self.data[at : at + self.block]
        if not container.open(at, len(part)):
            return False
        done, stop = 0, min(stop or len(part), len(part))
        while done < stop:
            size = min(piece, stop - done)
            room = container.room(len(part) - done) if lent else None
            if room:
                size = min(size, len(room))
                room[:size] = part[done : done + size]
                container.took(size)
            else:
                assert container.write(part[done : done + size]), "no room for what is to come"
            done += size
            if done < len(part):
                self.settle()
        if stop < len(part):
            return False
        closed = container.close(good)
        self.settle()
        return closed

    def made(self):
        """The digest of the image that is there now."""
        assert self.image.missing() < 0, "all came, and the image is not there"
        assert slot.untouched(), "written behind the image"
        return hexlify(sha256(slot.data[: self.size]).digest()).decode()


def _head(head):
    assert len(head) == 80


def smoothly(data, turn=0):
    """The download by a good link, block after block. Raises Fail."""
    lot = crc32(data)
    download = Download(data)
    download.begin(BLOCKS[(lot >> turn) % len(BLOCKS)])
    piece = PIECES[turn][lot % len(PIECES[turn])]
    missing = download.container.missing
    while missing() >= 0:
        at = missing()
        at -= at % download.block
        assert download.bring(at, piece, lent=lot & 64), "not taken, and no reason given"
        assert not 0 <= missing() <= at, "no way forward"
    return download


def roughly(data):
    """By a link that is cut, brings what is not ours, and begins anew. Raises Fail."""
    seed(crc32(data))
    download = Download(data)
    download.begin(BLOCKS[getrandbits(2)])
    for turn in range(400):
        container, at = download.container, download.container.missing()
        if at < 0:
            return download.made()
        at -= at % download.block
        lot, piece, received = getrandbits(8), getrandbits(9) + 32, download.image.received
        if turn > 60 or lot < 130:
            download.bring(at, piece, lent=lot & 1)
        elif lot < 160:
            download.bring(at, piece, good=False)
        elif lot < 190:
            download.bring(at, piece, stop=getrandbits(10) + 1)
        elif lot < 210:
            download.bring(at + download.block, piece)
        elif lot < 225:
            for byte in range(len(buffer)):  # somebody else works in the buffer
                buffer[byte] = lot
            container.forget()
        else:
            download.begin(download.block, download.image.sectors())
        assert download.image.received >= received, "a sector that counted does not"
    raise AssertionError("no end")


def found(data, way):
    try:
        return way(data)
    except Fail:
        return "Fail"


class Judge:
    """What is found of an input: the digest of what it makes. Raises Fail."""

    def __init__(self):
        self._inputs = self._used = self._over = 0

    def first(self, data):
        """By a good link."""
        self._inputs += 1
        self._weigh(data)
        download = smoothly(data)
        self._weigh(data)
        return download.made()

    def again(self, data, verdict):
        """By a good link in other pieces it is the same. So it is by a bad one, where it is right:
        what breaks a rule is met by who goes on with the same inflater, and not by who begins
        anew, or the other way round."""
        other = found(data, lambda data: smoothly(data, 1).made())
        assert other == verdict, "in other pieces %s" % other
        rough = found(data, roughly)
        if data[0] == RIGHT:
            assert rough == verdict != "Fail", "%s, and by a bad link %s" % (verdict, rough)
        if data[0] == WRONG:
            assert rough == verdict == "Fail", "%s, and by a bad link %s" % (verdict, rough)

    def _weigh(self, data):
        """What is in use does not grow from input to input. The collector may still see what an
        input before left on the stack: that is gone at the next look, and a leak is not."""
        if self._inputs % OFTEN == 1:
            gc.collect()
            self._used = self._used or gc.mem_alloc()
            grown = gc.mem_alloc() - self._used
            self._over = self._over + 1 if grown >= FULL + len(data) else 0
            assert self._over < LOOKS, "%d bytes more are in use" % grown
