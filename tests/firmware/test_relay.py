"""A file passed on to another device: all of it, in order, once; or an error with its name."""

import hashlib
from binascii import hexlify

from doubles import Clock, pattern, raised, run

from sluice.errors import Fail, Refuse, Retry
from sluice.job import Job
from sluice.jobs.relay import check, relay

HEAP = "2m"
SIZE = 150_001


class Device:
    """As much of an agent as relay needs; its source brings `data` in pieces of 1,000 bytes."""

    def __init__(self, data, cut_at=None):
        self.data = data
        self.cut_at = cut_at
        self.clock = Clock()
        self.settings = {"block": 4096, "report_s": 5}
        self.dialect = self
        self.buffer = bytearray(4100)
        self.told, self.watched, self.closed = [], 0, 0

    def source(self, file, block):
        assert (file.source, file.url) == ("http_range", "http://h/f")
        return self

    async def fetch(self, image, watch):
        at = image.missing()
        while at >= 0:
            image.open(at, min(65_536, image.size - at))
            for start in range(at, min(at + 65_536, image.size), 500):
                if self.cut_at is not None and start >= self.cut_at:
                    raise Retry("cut off")
                part = self.data[start : min(start + 500, at + 65_536)]
                room = image.room(len(part))
                room[: len(part)] = part
                image.took(len(part))
                self.clock.now += 50
                await watch()
            assert image.close(True) and not image.has(at, 1)
            at = image.missing()

    async def close(self):
        self.closed += 1

    async def still(self, job):
        self.watched += 1

    async def pause(self):
        pass

    def info(self):
        return {"received": 0, "total": 0, "free": 1}

    def progress(self, job, info):
        self.told.append((info["received"], info["total"]))


def job(data, **changes):
    found = Job("b1", 1, queued=False)
    found.order = {"sn": "s1", "file_url": "http://h/f", "file_size": len(data)}
    found.order["md5"] = hexlify(hashlib.md5(data).digest()).decode()
    found.order.update(changes)
    return found


def test_relay_passes_every_byte_on_in_order():
    data = bytes(pattern(SIZE))
    device, passed = Device(data), bytearray()
    assert run(relay(job(data), device, passed.extend)) == SIZE
    assert passed == data and device.closed == 1
    assert device.watched > 150
    assert len(device.told) == 3 and device.told[0][1] == SIZE
    assert device.told == sorted(device.told)


def test_relay_of_another_file_fails():
    data = bytes(pattern(SIZE))
    passed = bytearray()
    fault = raised(Fail, relay, job(data, md5="0" * 32), Device(data), passed.extend)
    assert str(fault) == "md5 is not the one ordered" and len(passed) == SIZE


def test_relay_that_is_cut_off_closes_and_begins_anew():
    data = bytes(pattern(SIZE))
    device, passed = Device(data, cut_at=70_000), bytearray()
    raised(Retry, relay, job(data), device, passed.extend)
    assert device.closed == 1
    device.cut_at = None
    passed = bytearray()
    run(relay(job(data), device, passed.extend))
    assert passed == data


def test_relay_stops_with_what_the_device_raises():
    data = bytes(pattern(SIZE))

    def full(part):
        raise Fail("its flash is full")

    device = Device(data)
    assert str(raised(Fail, relay, job(data), device, full)) == "its flash is full"
    assert device.closed == 1


def test_check_refuses_an_entry_without_a_file():
    check(job(b"abc"))
    for key in ("file_url", "file_size", "md5"):
        assert key in str(raised(Refuse, check, job(b"abc", **{key: None})))
