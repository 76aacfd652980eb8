"""The power fails at every flash operation of an update, in each way; the board still boots."""

import pytest

from sluice.device.meter import PARTS
from sluice.image import make_image

# Copies the running image to the other slot, makes it boot, and confirms it; notes what it did.
UPDATING = """
import machine, os
from esp32 import Partition
here = Partition(Partition.RUNNING)
print("running", here.info()[4])
if here.info()[4] == "ota_0":
    there = here.get_next_update()
    buf = bytearray(4096)
    for n in range(3):
        here.readblocks(n, buf)
        there.writeblocks(n, buf)
    there.set_boot()
    with open("/note", "w") as file:
        file.write("switched")
    machine.reset()
Partition.mark_app_valid_cancel_rollback()
with open("/note", "w") as file:
    file.write("confirmed")
print("finished")
"""
IMAGE = make_image("1.0.0", 10_000, modules={"main.py": UPDATING})


@pytest.mark.parametrize("part", PARTS)
def test_update_with_the_power_cut_at_every_operation_ends_confirmed(part: str, new_board, state):
    board = new_board(factory=IMAGE)
    board.start().join()
    assert board.lines.count("finished") == 1
    total = board.operations
    assert total > 12
    for operation in range(1, total + 1):
        board = _renewed(new_board, state, operation, part)
        board.start().join()
        said = "\n".join(board.lines)
        assert "power: cut" in said, f"operation {operation}: {said}"
        assert "finished" in said, f"operation {operation}: {said}"
        assert board.versions["ota_0"] == "1.0.0"
        assert board.read_file("/note") == b"confirmed"
        if "running ota_1" in said:
            assert board.slot_bytes("ota_1", 10_000) == IMAGE


def _renewed(new_board, state, operation: int, part: str):
    for name in ("flash.bin", "meter.bin", "provisioned.json"):
        (state / "devices/lamp" / name).unlink()
    return new_board(factory=IMAGE, cut_at=operation, cut_part=part)


def test_meter_shows_each_sector_erased_once_and_nothing_lossy(new_board):
    board = new_board(factory=IMAGE)
    board.start().join()
    slot = board.table.labelled("ota_1")
    made = [board.meter.erases(slot.offset + n * 4096) for n in range(4)]
    assert made == [1, 1, 1, 0]
    assert board.meter.programs(slot.offset) == 1
    assert board.meter.lossy == 0
