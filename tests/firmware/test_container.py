"""Containers: sectors made of a delta, or of a compressed image, in whatever pieces it comes."""

import sys
from random import getrandbits, seed

from doubles import SECTOR, Flash, raised, run

from sluice.errors import Fail
from sluice.job import File
from sluice.transfer.container import Container
from sluice.transfer.image import Image

HEAP = "4m"
NAMES = ("delta", "compressed", "same", "short")


def sample(name):
    """A file of made_containers.py."""
    for path in sys.path:
        try:
            with open(path + "/containers/" + name, "rb") as file:
                return file.read()
        except OSError:
            continue
    raise AssertionError("no such container: " + name)


class Made:
    """A container for a slot of flash, on a board that runs OLD."""

    def __init__(self, name, data=None, block=SECTOR, written=None, flash=None, check=None):
        self.data = data or sample(name)
        self.new = sample(name + ".new")
        self.old = sample("OLD")
        self.size = len(self.new)
        self.flash = flash or Flash(-(-self.size // SECTOR))
        buffer = bytearray(SECTOR + 4)
        self.image = Image(self.flash, self.size, block, check, written, buffer)
        base = 0 if name == "compressed" else len(self.old)
        form = File(len(self.data), "mqtt_stream")
        if base:
            form.base = (base, hexdigest(self.old))
        self.container = Container(self.image, buffer, form, self.read)
        self.pauses = 0

    def read(self, offset, buf):
        assert offset + len(buf) <= len(self.old)
        buf[:] = self.old[offset : offset + len(buf)]

    async def pause(self):
        self.pauses += 1

    def settle(self):
        run(self.container.settle(self.pause))

    def bring(self, offset, size, piece=700, good=True, lent=False):
        """One block, settled whenever it is held, as a link does; what `close` says."""
        part = self.data[offset : offset + size]
        if not self.container.open(offset, len(part)):
            return None
        at = 0
        while at < len(part):
            room = self.container.room(len(part) - at) if lent else None
            if room:
                size = min(len(room), len(part) - at, piece)
                room[:size] = part[at : at + size]
                self.container.took(size)
            else:
                size = min(piece, len(part) - at)
                assert self.container.write(part[at : at + size])
            at += size
            if at < len(part):
                self.settle()
        closed = self.container.close(good)
        self.settle()
        return closed

    def bring_all(self, size, **ways):
        """What is missing, block by block."""
        while self.container.missing() >= 0:
            at = self.container.missing() // size * size
            assert self.bring(at, size, **ways)
        return self

    def holds(self):
        return bytes(self.flash.data[: self.size]) == self.new and self.image.missing() == -1


def test_block_that_is_all_there_is_not_done_before_its_end():
    """Its message may go on behind its payload, and may turn out to be of others."""
    made = Made("delta")
    first = made.data[:2_048]
    made.container.open(0, len(first))
    for at in range(0, len(first), 1_024):
        assert made.container.write(first[at : at + 1_024])
        made.settle()
    assert not made.container.has(0, len(first)) and made.container.missing() == 0
    assert made.container.close(True) and made.container.has(0, len(first))
    assert made.container.missing() == len(first) and made.container.held()
    made.settle()
    assert made.container.missing() == len(first) and not made.container.held()


def test_blocks_that_are_bad_or_cut_off_or_early_cost_no_sector_that_counts():
    seed(5)
    for name in ("delta", "compressed"):
        made = Made(name)
        count = 0
        while made.container.missing() >= 0:
            at = made.container.missing() // 512 * 512
            received, lot = made.image.received, getrandbits(8)
            if lot < 60:
                assert not made.bring(at, 512, good=False)
            elif lot < 90:  # cut off
                made.container.open(at, 512)
                made.container.write(made.data[at : at + 100])
            elif lot < 110:
                assert made.bring(at + 512, 512) is None or at + 512 >= len(made.data)
            elif lot < 140:
                made.container.open(at, min(512, len(made.data) - at))
                made.container.write(bytes(min(512, len(made.data) - at)))  # of somebody else
                made.settle()
                assert not made.container.close(False)
            elif lot < 160:
                made.container.forget()
            else:  # the one after a block that was cut off may be early
                assert made.bring(at, 512) or made.container.missing() < at
            assert made.image.received >= received
            count += 1
        assert made.holds() and count > 20, name


def test_download_goes_on_at_the_sector_and_asks_for_no_more_than_the_index_before():
    for name in ("delta", "compressed"):
        for stop in (1, 5, 11):
            made = Made(name)
            while made.image.received < stop * SECTOR:
                made.bring(made.container.missing() // 256 * 256, 256)
            again = Made(name, written=made.image.sectors(), flash=made.flash)
            index = len(again.container._index)
            assert again.container.missing() == 0 and again.container.missing(index) == -1
            assert again.container.has(index + 256, 256) and not again.container.has(0, 256)
            erased, had = sum(made.flash.erases), again.image.received // SECTOR
            again.bring_all(256)
            assert again.holds() and sum(again.flash.erases) - erased == 15 - had, (name, stop)
            assert again.container.came < len(again.data)


def test_sector_that_is_there_already_is_left_alone_but_not_the_first():
    made = Made("same")
    made.flash.data[:] = made.new + b"\xff" * (-made.size % SECTOR)
    made.bring_all(4_096)
    assert made.holds() and sum(made.flash.erases) == 1


def test_head_of_an_image_that_is_refused_ends_it_before_anything_is_written():
    def check(head):
        assert bytes(head) == made.new[:80]
        raise Fail("same version")

    made = Made("delta", check=check)
    assert str(raised(Fail, made.bring, 0, 4_096)) == "same version"
    assert not sum(made.flash.erases)


def changed(data, at, value):
    """The same with other bytes there."""
    made = bytearray(data)
    made[at : at + len(value)] = value
    return bytes(made)


def test_container_that_contradicts_itself_is_refused_before_anything_is_written():
    data = sample("delta")
    for at, value, reason in (
        (0, b"X", "not a container of this version"),
        (3, b"\x02", "not a container of this version"),
        (4, b"\x08", "not a container of this version"),
        (4, b"\x0b", "not a container of this version"),
        (6, b"\0\x20", "not a container of this version"),
        (8, b"\x01", "container for another image"),
        (12, b"\x01", "container for another image"),
        (50, b"\0\0", "container for another image"),
        (80, b"\0\0", "the container's index is damaged"),
        (80, b"\xff\xff", "the container's index is damaged"),
        (82, b"\x01", "the container's index is damaged"),
    ):
        made = Made("delta", changed(data, at, value))
        assert str(raised(Fail, made.bring, 0, 4_096)) == reason, at
        assert not sum(made.flash.erases), at
    for wrong in (data[:-1], data + b"\0", data[:80], data[:81], data[:110]):
        made = Made("delta", wrong)
        assert str(raised(Fail, made.bring, 0, 4_096)) == "the container's index is damaged"
    for size in (1, 79):  # so short that it has no whole head
        made = Made("delta", data[:size])
        assert raised(Fail, made.bring, 0, 4_096) and not sum(made.flash.erases)


def test_piece_that_is_damaged_anywhere_ends_in_a_reason_or_another_image():
    """What the reason does not say, the digest of the image does."""
    seed(9)
    data, refused = sample("delta"), 0
    begin = len(Made("delta").container._index)
    for _ in range(150):
        at = begin + getrandbits(20) % (len(data) - begin)
        value = bytes([data[at] ^ 1 << getrandbits(3)])
        made = Made("delta", changed(data, at, value))
        try:
            made.bring_all(4_096)
        except Fail as error:
            refused += 1
            assert str(error) == "the container is damaged"
    assert refused > 20, refused


def hexdigest(data):
    from binascii import hexlify
    from hashlib import sha256

    return hexlify(sha256(data).digest()).decode()


def test_container_in_blocks_and_pieces_of_any_size_makes_the_image():
    for name in NAMES:
        for block in (256, 1_024, 4_096, 16_384, 131_072):
            for piece in (1, 7, 300, 768, 1_024):
                if piece * 300 < block:
                    continue
                for lent in (False, True):
                    made = Made(name, block=min(block, 4_096)).bring_all(
                        block, piece=piece, lent=lent
                    )
                    assert made.holds(), (name, block, piece, lent)
                    assert made.container.came == len(made.data)
                    assert max(made.flash.erases) == 1
