"""NOR flash: erasing sets a sector, programming only clears bits, and the power may fail.

Runs on this Python (over an `mmap`) and on the simulated device (over the same file, mapped). So
the work of either is in the file at once, and outlives a SIGKILL. An operation is one sector
erased, or one program of bytes within one sector. The fuse cuts the power at the n-th operation,
before it, half-way through it, after any number of its bytes, or right after it.

The meter, little endian, lies in a file of its own that the supervisor maps too:

    0      u32  operations so far
    4      u32  the operation at which the power is cut; 0 is never
    8      u32  how much of that operation is done: NOTHING, FRONT, BACK (a half) or WHOLE; from
                TORN on its first or its last bytes: TORN + 2 x bytes, and 1 more for the last
    12     u32  lossy programs: bytes that needed a 1 where flash held a 0
    16     u32  the watchdog's timeout in ms; 0 when it is not armed
    64     u8   programs of each 256-byte page since its last erase, at most 255
    then   u16  erases of each sector, at most 65,535
"""

import struct

SECTOR = 4096  # bytes, the erase unit
PAGE = 256  # bytes, the program unit; a longer program is several pages
METER_HEAD = 64  # bytes before the counters of wear

OPERATIONS, CUT_AT, CUT_PART, LOSSY, WATCHDOG_MS = 0, 4, 8, 12, 16  # offsets in the meter
NOTHING, FRONT, BACK, WHOLE, TORN = 0, 1, 2, 3, 4

_BLANK = b"\xff" * PAGE


def meter_size(flash_size: int) -> int:
    """Bytes of the meter of a chip of `flash_size` bytes."""
    return METER_HEAD + flash_size // PAGE + 2 * (flash_size // SECTOR)


class NORFlash:
    """One chip.

    memory  memoryview of the whole chip
    meter   memoryview of meter_size(len(memory)) bytes
    cut     called when the power fails; it must not return
    """

    def __init__(self, memory, meter, cut):
        self._memory = memory
        self._meter = meter
        self._cut = cut

    def read(self, offset: int, into) -> None:
        """Fill the memoryview `into` from `offset`; IndexError past the end."""
        end = self._bounds(offset, len(into))
        into[:] = self._memory[offset:end]

    def erase(self, offset: int, size: int = SECTOR) -> None:
        """Set whole sectors to 0xFF; ValueError unless `offset` and `size` are aligned."""
        end = self._bounds(offset, size)
        if offset % SECTOR or size % SECTOR:
            raise ValueError("an erase covers whole sectors")
        for sector in range(offset, end, SECTOR):
            self._erase_sector(sector)

    def program(self, offset: int, data) -> None:
        """Clear the bits that are 0 in `data`; one operation for each sector touched."""
        end = self._bounds(offset, len(data))
        data = memoryview(data)
        at = offset
        while at < end:
            stop = min(end, at - at % SECTOR + SECTOR)
            self._program_piece(at, data[at - offset : stop - offset])
            at = stop

    def _bounds(self, offset, size):
        if offset < 0 or offset + size > len(self._memory):
            raise IndexError("outside the flash")
        return offset + size

    def _erase_sector(self, sector):
        first, end, last = self._begin(SECTOR)
        for at in range(sector + first, sector + end, PAGE):
            stop = min(at + PAGE, sector + end)
            self._memory[at:stop] = _BLANK[: stop - at]
            self._meter[METER_HEAD + at // PAGE] = 0
        worn = METER_HEAD + len(self._memory) // PAGE + 2 * (sector // SECTOR)
        erases = struct.unpack_from("<H", self._meter, worn)[0]
        struct.pack_into("<H", self._meter, worn, min(erases + 1, 65535))
        if last:
            self._cut()

    def _program_piece(self, offset, data):
        first, end, last = self._begin(len(data))
        at = first
        while at < end:
            stop = min(end, at + PAGE - (offset + at) % PAGE)
            self._program_page(offset + at, data[at:stop])
            at = stop
        if last:
            self._cut()

    def _program_page(self, offset, data):
        count = len(data)
        page = METER_HEAD + offset // PAGE
        self._meter[page] = min(self._meter[page] + 1, 255)
        cells = self._memory[offset : offset + count]
        if cells == _BLANK or cells == _BLANK[:count]:
            cells[:] = data
            return
        lossy = 0
        for i in range(count):
            kept = cells[i] & data[i]
            lossy += kept != data[i]
            cells[i] = kept
        if lossy:
            self._put(LOSSY, self._get(LOSSY) + lossy)

    def _begin(self, size):
        """Count an operation; which of its bytes get done, and whether the power then fails."""
        count = self._get(OPERATIONS) + 1
        self._put(OPERATIONS, count)
        if count != self._get(CUT_AT):
            return 0, size, False
        part = self._get(CUT_PART)
        if part >= TORN:
            done = min((part - TORN) // 2, size)
            return (size - done, size, True) if part & 1 else (0, done, True)
        half = size // 2
        first = half if part == BACK else 0
        end = 0 if part == NOTHING else half if part == FRONT else size
        return first, end, True

    def _get(self, word):
        return struct.unpack_from("<I", self._meter, word)[0]

    def _put(self, word, value):
        struct.pack_into("<I", self._meter, word, value)
