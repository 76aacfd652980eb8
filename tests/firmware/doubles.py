"""Doubles for the device's tests: as small as they can be, and as strict as the real thing."""

SECTOR = 4096
ERASED = b"\xff"


def run(coroutine):
    """Run a coroutine whose awaits all return at once; gives its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the coroutine waited for something")


def raised(kind, function, *words):
    """The error of this kind that the call, or the coroutine it gives, raises."""
    try:
        result = function(*words)
        if hasattr(result, "send"):
            result = run(result)
    except kind as error:
        return error
    raise AssertionError("nothing raised but %r returned" % (result,))


def pattern(size, seed=1):
    """Bytes that differ from sector to sector."""
    data = bytearray(size)
    for at in range(size):
        data[at] = (at * 7 + (at >> 8) * 3 + seed) % 251
    return data


class Flash:
    """A slot with the rules of NOR flash: a sector is erased whole, a byte programmed once."""

    def __init__(self, sectors):
        self.data = bytearray(b"\xa5" * sectors * SECTOR)
        self.erases = [0] * sectors
        self.programs = 0
        self.broken = None  # errno that every operation ends in

    def _erase(self, sector):
        self.erases[sector] += 1
        self.data[sector * SECTOR : (sector + 1) * SECTOR] = ERASED * SECTOR

    def writeblocks(self, sector, buf, offset=None):
        if self.broken:
            raise OSError(self.broken)
        if offset is None:
            self._erase(sector)
        at = sector * SECTOR + (offset or 0)
        place = bytes(self.data[at : at + len(buf)])
        assert place == ERASED * len(buf), "programmed without erasing"
        self.data[at : at + len(buf)] = buf
        self.programs += 1

    def readblocks(self, sector, buf, offset=0):
        at = sector * SECTOR + offset
        buf[:] = self.data[at : at + len(buf)]

    def ioctl(self, operation, sector):
        assert operation == 6
        if self.broken:
            return -22
        self._erase(sector)
        return 0


class Clock:
    """Time that passes only when someone sleeps."""

    def __init__(self, now=1_000):
        self.now = now
        self.slept = []

    def ticks_ms(self):
        return self.now

    def ticks_add(self, ticks, delta):
        return ticks + delta

    def ticks_diff(self, end, start):
        return end - start

    async def sleep_ms(self, ms):
        self.slept.append(ms)
        self.now += ms
