"""The rules of the flash, its meter, and the fuse."""

import pytest

from sluice.device.meter import Meter, PowerCut, raise_power_cut
from sluice.device.norflash import SECTOR, NORFlash, meter_size

SIZE = 8 * SECTOR


class Bench:
    """A chip of eight sectors in memory."""

    def __init__(self, fill: int = 0xFF):
        self.memory = bytearray([fill]) * SIZE
        counters = memoryview(bytearray(meter_size(SIZE)))
        self.meter = Meter(counters)
        self.flash = NORFlash(memoryview(self.memory), counters, raise_power_cut)


def test_erase_sets_one_sector_and_no_other():
    bench = Bench(0)
    bench.flash.erase(SECTOR)
    assert bench.memory[SECTOR : 2 * SECTOR] == b"\xff" * SECTOR
    assert bench.memory.count(0xFF) == SECTOR


@pytest.mark.parametrize(("offset", "size"), [(1, SECTOR), (256, SECTOR), (0, 100), (0, 4097)])
def test_erase_unaligned_is_refused_and_erases_nothing(offset: int, size: int):
    bench = Bench(0)
    with pytest.raises(ValueError, match="whole sectors"):
        bench.flash.erase(offset, size)
    assert bench.memory.count(0) == SIZE


@pytest.mark.parametrize("part", [0, 1, 255, 256, 300, 4095, 4096, 9999, -1, -300, -4096])
def test_operation_can_be_torn_at_any_byte(part: int):
    done = min(abs(part), SECTOR)
    front = list(range(done)) if part >= 0 else list(range(SECTOR - done, SECTOR))
    for fill, act in (
        (0x00, lambda flash: flash.erase(SECTOR)),
        (0xFF, lambda flash: flash.program(SECTOR, bytes(SECTOR))),
    ):
        bench = Bench(fill)
        bench.meter.cut_after(1, part)
        with pytest.raises(PowerCut):
            act(bench.flash)
        changed = [at for at in range(SIZE) if bench.memory[at] != fill]
        assert changed == [SECTOR + at for at in front]


def test_program_only_clears_bits():
    bench = Bench()
    bench.flash.program(100, b"\xf0\xf0")
    bench.flash.program(100, b"\x3c\xff")
    assert bench.memory[99:103] == b"\xff\x30\xf0\xff"


def test_program_across_pages_and_sectors_lands_where_it_should():
    bench = Bench()
    data = bytes(i % 251 for i in range(SECTOR + 700))
    bench.flash.program(SECTOR - 300, data)
    assert bench.memory[SECTOR - 300 : 2 * SECTOR + 400] == data
    assert bench.memory[: SECTOR - 300].count(0xFF) == SECTOR - 300
    assert bench.meter.operations == 3


def test_program_of_a_one_over_a_zero_is_counted_as_lossy():
    bench = Bench()
    bench.flash.program(0, b"\x00\x0f")
    assert bench.meter.lossy == 0
    bench.flash.program(0, b"\x01\x0f")
    assert bench.meter.lossy == 1


def test_read_gives_what_was_programmed():
    bench = Bench()
    bench.flash.program(1000, b"abcdef")
    into = bytearray(4)
    bench.flash.read(1001, memoryview(into))
    assert into == b"bcde"


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2)])
def test_access_outside_the_chip_is_refused(offset: int, size: int):
    flash = Bench().flash
    with pytest.raises(IndexError):
        flash.read(offset, memoryview(bytearray(size)))
    with pytest.raises(IndexError):
        flash.program(offset, bytes(size))
    with pytest.raises(IndexError):
        flash.erase(SIZE, SECTOR)


def test_meter_counts_programs_of_a_page_since_its_erase():
    bench = Bench()
    for _ in range(3):
        bench.flash.program(SECTOR + 256, b"\x00")
    bench.flash.program(SECTOR, b"\x00")
    assert [bench.meter.programs(SECTOR + page) for page in (0, 256, 512)] == [1, 3, 0]
    bench.flash.erase(SECTOR)
    assert bench.meter.programs(SECTOR + 256) == 0


def test_meter_counts_erases_of_a_sector():
    bench = Bench()
    bench.flash.erase(0, 2 * SECTOR)
    bench.flash.erase(SECTOR)
    assert [bench.meter.erases(n * SECTOR) for n in range(3)] == [1, 2, 0]
    assert bench.meter.operations == 3


@pytest.mark.parametrize(
    ("part", "done"), [("nothing", (0, 0)), ("front", (0, 2)), ("back", (2, 4)), ("whole", (0, 4))]
)
def test_fuse_in_a_program_leaves_that_part_of_it(part: str, done: tuple[int, int]):
    bench = Bench()
    bench.meter.cut_after(2, part)
    bench.flash.program(0, b"one")
    with pytest.raises(PowerCut):
        bench.flash.program(512, b"data")
    wanted = bytearray(b"\xff" * 4)
    wanted[slice(*done)] = b"data"[slice(*done)]
    assert bench.memory[512:516] == wanted
    assert bench.memory[:3] == b"one"


@pytest.mark.parametrize(
    ("part", "erased"), [("nothing", 0), ("front", 2048), ("back", 2048), ("whole", 4096)]
)
def test_fuse_in_an_erase_leaves_that_part_of_it(part: str, erased: int):
    bench = Bench(0)
    bench.meter.cut_after(1, part)
    with pytest.raises(PowerCut):
        bench.flash.erase(0, 2 * SECTOR)
    assert bench.memory.count(0xFF) == erased
    assert bench.memory[4095] == (0xFF if part in ("back", "whole") else 0)


def test_fuse_in_the_second_sector_of_a_program_keeps_the_first():
    bench = Bench()
    bench.meter.cut_after(2, "nothing")
    with pytest.raises(PowerCut):
        bench.flash.program(SECTOR - 2, b"abcd")
    assert bench.memory[SECTOR - 2 : SECTOR + 2] == b"ab\xff\xff"


def test_fuse_disarmed_lets_everything_through():
    bench = Bench()
    bench.meter.cut_after(1)
    bench.meter.disarm()
    bench.flash.erase(0)
    assert bench.meter.operations == 1


def test_power_cut_is_not_swallowed_by_a_handler_of_exceptions():
    assert not issubclass(PowerCut, Exception)


def test_fuse_before_the_first_operation_is_refused():
    with pytest.raises(ValueError, match="counts from 1"):
        Bench().meter.cut_after(0)
