"""What boards/README.md asks of a board.py, asserted on the simulated chip. Device code."""

import sys
from time import time

import board
from sluice.errors import Fail
from sluice.loading import plug_in

UNIX_S = 1_900_000_000  # a time that is not now


def told(name, value):
    """A line for the test that reads along."""
    print("@BOARD", name, value)


def pending(coroutine):
    """Runs a coroutine to its first wait; whether it waits or ends, it was one."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()


class Clock:
    def ticks_ms(self):
        return 0

    def ticks_diff(self, end, start):
        return end - start

    async def sleep_ms(self, wait_ms):
        raise AssertionError("the simulated network is joined at once")


def slots():
    found = board.slots()
    for word in ("running", "inactive", "version"):
        assert isinstance(getattr(found, word), str), word
    assert found.running and found.inactive and found.running != found.inactive
    assert found.version == "1.0.0"
    assert found.trial in (False, None)
    target, last = found.target(), found.size // 4096 - 1
    assert found.size % 4096 == 0
    for sector in (0, last):
        target.writeblocks(sector, bytes(4096))
        assert target.ioctl(6, sector) == 0
        target.writeblocks(sector, b"\x5a" * 256, 256)
        held = bytearray(b"\0" * 512)
        target.readblocks(sector, held, 128)
        assert held == b"\xff" * 128 + b"\x5a" * 256 + b"\xff" * 128, (sector, held)
    for head in (bytes(80), b"\xff" * 80):
        assert plug_in(found.image, "version_in")(head) is None
        try:
            found.check(head, 1_000)
        except Fail:
            continue
        raise AssertionError("took it for an image")
    found.confirm()
    assert found.trial in (False, None)
    told("trial", found.trial)
    told("size", found.size)


def journal():
    """Records as long as the journal's outlive one another, and are whole."""
    if not hasattr(board, "cells"):
        return
    first, second = board.cells()
    assert first.load() == second.load() == b""
    for size in (10, 1_024, 0, 600):
        first.save(bytes([size % 251]) * size)
        second.save(b"second")
        assert first.load() == bytes([size % 251]) * size and second.load() == b"second"
    told("cells", 2)


def rest():
    assert board.watchdog(0) is None
    watchdog = board.watchdog(60_000)
    watchdog.feed()
    board.rest(watchdog)
    assert board.wifi({}, None) is None
    pending(board.wifi({"ssid": "net", "password": "word"}, Clock()).join())
    import machine

    before = time()
    board.set_time(UNIX_S)
    date = machine.RTC().datetime()
    assert date[:3] == (2030, 3, 17) and date[4:6] == (17, 46), date
    board.set_time(int(before))


told("name", board.NAME)
assert not {"socket", "tls", "asyncio"} & set(sys.modules)
slots()
journal()
rest()
told("end", "reset follows")
board.reset()
raise AssertionError("reset returned")
