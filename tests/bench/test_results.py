"""What bench/results.json says is what comes out: of each kind that is repeatable, some rows."""

import json
from collections import Counter

import pytest

from bench import callgrind, flash, heap, numbers, p256, session, size, smaller, way, wire
from bench.__main__ import TABLES
from bench.far import LEAST_S
from bench.numbers import BETWEEN, Effort, Number
from bench.roundtrip import Line, copy
from sluice.errors import SluiceError

NEAR = 0.05  # by which instructions may differ
ABOUT = 0.15  # by which a heap may: the collector takes for live what only looks so
SPARE = 3  # KiB by which the smallest heap may: where something lies differs from run to run
RESULTS = {number.name: number for number in numbers.load()}
AGAIN = "run: .venv/bin/python -m bench"
counting = pytest.mark.skipif(not callgrind.available(), reason=callgrind.MISSING)


def stated(table: str, row: str, column: str) -> float:
    """What results.json says."""
    return RESULTS[BETWEEN.join((table, row, column))].value


@pytest.fixture(scope="module")
def folder(measured, tmp_path_factory):
    """The device code and the scripts."""
    made = tmp_path_factory.mktemp("way")
    way.prepare(made)
    return made


def test_results_have_numbers_of_every_table_with_all_that_is_to_be_said():
    tables = {table.name for table in TABLES}
    about = json.loads(numbers.RESULTS.read_text())["numbers"]
    assert not [name for name, count in Counter(n["name"] for n in about).items() if count > 1]
    assert {n["name"].split(BETWEEN)[0] for n in about} == tables
    for number in about:
        assert {"name", "value", "unit", "command", "repeatable"} <= number.keys()
        assert number["command"].split()[-1] in tables
        assert number["value"] is not None or number["note"], number["name"]


@counting
@pytest.mark.parametrize("case", way.QUICK, ids=str)
def test_instructions_of_a_byte_are_those_of_the_results(folder, case):
    """By HTTP, one collection more or less in the whole download is a tenth of it."""
    counted, near = (
        way.instructions(folder, way.OURS, case),
        3 * NEAR if case[1] == "http" else NEAR,
    )
    assert counted == pytest.approx(stated("way", way.named(case), "Sluice"), rel=near), AGAIN


@pytest.mark.parametrize("case", way.CASES, ids=str)
def test_allocations_of_a_byte_are_those_of_the_results(folder, case):
    counted = way.counted(folder, way.OURS, case, "allocated")
    wanted = stated("way", way.named(case), "allocated, Sluice")
    assert counted == pytest.approx(wanted, rel=NEAR, abs=0.03), AGAIN


@pytest.mark.parametrize("client", [way.NAIVE, way.FLOOR], ids=lambda client: client.name)
def test_clients_beside_ours_bring_a_whole_image(folder, client):
    size, heap_bytes = 8 * 4_096, way.HEAP
    script = client.script(folder, (4_096, "json"), size, "")
    micropython = callgrind.for_valgrind("i386", folder)
    done = callgrind.run([*micropython, "-X", f"heapsize={heap_bytes}", script], folder)
    assert done.returncode == 0, done.stderr


def test_size_is_that_of_the_results(tmp_path):
    *_, (name, weight, lines), _ = size.rows(tmp_path)
    assert weight == pytest.approx(stated("size", name, ".mpy"), rel=NEAR), AGAIN
    assert lines == pytest.approx(stated("size", name, "lines"), rel=NEAR), AGAIN


@counting
def test_cost_of_a_signature_is_that_of_the_results(measured, tmp_path):
    p256.compile_all(tmp_path)
    for number in p256.row("P-256", "i386", tmp_path):
        wanted = stated("p256", number.row, number.column)
        near = NEAR if number.column == "instructions" else ABOUT
        assert number.value == pytest.approx(wanted, rel=near), AGAIN


def test_flash_operations_are_those_of_the_results(measured):
    with session.opened() as cloud:
        for column, count in flash.update(cloud, 4_096, there=True).items():
            wanted = stated("flash", flash.AGAIN, column)
            assert count == pytest.approx(wanted, rel=NEAR, abs=1), column


def test_update_completes_in_the_smallest_heap_of_the_results(measured):
    with session.opened() as cloud:
        for frozen in heap.PLACES:
            least = stated("heap", heap.named(4_096, frozen), "smallest heap")
            update = heap.completes(cloud, 4_096, least + SPARE, frozen)
            assert update.succeeded, update.reason


def test_bytes_on_the_wire_are_those_of_the_results(measured):
    found = next(iter(wire.measure(Effort.QUICK)))
    assert found.value == pytest.approx(stated("wire", found.row, found.column), rel=0.01), AGAIN


def test_new_numbers_take_the_place_of_old_ones():
    old = [
        Number("a", "1", "x", 1, ""),
        Number("a", "2", "x", 2, ""),
        Number("b", "1", "x", 3, ""),
    ]
    new = [Number("a", "1", "x", 4, "")]
    assert [n.value for n in numbers.merged(old, new, whole=False)] == [4, 2, 3]
    assert [n.value for n in numbers.merged(old, new, whole=True)] == [3, 4]


def test_relay_delays_by_a_round_trip_and_loses_what_it_is_told():
    trip_s, size = 0.05, 100_000  # seven times what TCP sends before it hears: three trips
    assert copy(Line(50, "large"), size) > 2 * trip_s
    assert copy(Line(50, "large", 0.2), size) > 8 * trip_s + LEAST_S


def test_smaller_images_are_as_small_as_the_results_say():
    try:
        pairs = smaller.pairs()
    except SluiceError as error:
        pytest.skip(f"{error}")
    for name, (old, new) in pairs.items():
        for number in smaller.row(name, old, new):
            if number.repeatable:
                wanted = stated(number.table, number.row, number.column)
                assert number.value == pytest.approx(wanted, rel=0.02), AGAIN
