"""What esp32.Partition does on a board, asserted on the simulated one. Device code.

Runs with ota_0 running and, in ota_1, an image of version 2.0.0 that is whole.
"""

import struct

import machine
from esp32 import Partition

SECTOR = 4096
OTA_1 = Partition("ota_1")
BLANK = b"\xff" * SECTOR


def fails(code, name, call, *args):
    """`call` raises OSError(code[, name])."""
    try:
        call(*args)
    except OSError as error:
        wanted = (code, name) if name else (code,)
        assert error.args == wanted, error.args
    else:
        raise AssertionError("no error")


def held(n, size, off=0):
    data = bytearray(size)
    OTA_1.readblocks(n, data, off)
    return bytes(data)


def record(sector):
    """(sequence, state, crc) of one of otadata's records."""
    raw = bytearray(32)
    Partition.find(Partition.TYPE_DATA, 0)[0].readblocks(sector, raw)
    sequence, _, state, crc = struct.unpack("<I20sII", raw)
    return sequence, state, crc


def test_constants_are_those_of_the_chip():
    assert (Partition.BOOT, Partition.RUNNING) == (0, 1)
    assert (Partition.TYPE_APP, Partition.TYPE_DATA) == (0, 1)


def test_partition_by_number_is_the_one_that_boots_or_runs():
    assert Partition(Partition.RUNNING).info()[4] == "ota_0"
    assert Partition(Partition.BOOT).info()[4] == "ota_0"


def test_partition_by_another_number_is_a_value_error():
    try:
        Partition(7)
    except ValueError:
        return
    raise AssertionError


def test_partition_by_label_finds_apps_and_data():
    assert OTA_1.info() == (0, 0x11, 0x190000, 0x180000, "ota_1", False)
    assert Partition("nvs").info() == (1, 2, 0x9000, 0x4000, "nvs", False)


def test_partition_of_unknown_label_is_enoent():
    fails(2, None, Partition, "nope")


def test_find_by_default_lists_the_slots():
    assert [part.info()[4] for part in Partition.find()] == ["ota_0", "ota_1"]


def test_find_takes_keywords_and_may_find_nothing():
    assert Partition.find(type=1, subtype=0)[0].info()[4] == "otadata"
    assert Partition.find(Partition.TYPE_DATA, label="vfs")[0].info()[3] == 0xF0000
    assert Partition.find(label="vfs") == []
    assert Partition.find(0, subtype=0) == []


def test_find_passes_the_block_size_on():
    assert Partition.find(label="ota_1", block_size=512)[0].ioctl(5, 0) == 512


def test_next_update_goes_round():
    assert Partition(Partition.RUNNING).get_next_update().info()[4] == "ota_1"
    assert OTA_1.get_next_update().info()[4] == "ota_0"


def test_ioctl_counts_blocks_and_syncs():
    assert OTA_1.ioctl(4, 0) == 384
    assert OTA_1.ioctl(5, 0) == SECTOR
    assert [OTA_1.ioctl(op, 0) for op in (1, 2, 3)] == [0, 0, 0]
    assert OTA_1.ioctl(9, 0) is None
    assert Partition("ota_1", 512).ioctl(4, 0) == 3072


def test_ioctl_erases_one_sector():
    OTA_1.writeblocks(301, b"\x00" * SECTOR)
    OTA_1.writeblocks(302, b"\x00" * SECTOR)
    assert OTA_1.ioctl(6, 301) == 0
    assert held(301, SECTOR) == BLANK
    assert held(302, SECTOR) == b"\x00" * SECTOR


def test_ioctl_erase_with_small_blocks_returns_einval():
    assert Partition("ota_1", 512).ioctl(6, 0) == -22


def test_write_of_whole_blocks_erases_first():
    OTA_1.writeblocks(300, b"\x00" * SECTOR)
    OTA_1.writeblocks(300, b"\xa5" * SECTOR)
    assert held(300, SECTOR) == b"\xa5" * SECTOR


def test_write_of_several_blocks_erases_them_all():
    OTA_1.writeblocks(310, b"\x00" * (2 * SECTOR))
    OTA_1.writeblocks(310, b"\x3c" * (2 * SECTOR))
    assert held(310, 2 * SECTOR) == b"\x3c" * (2 * SECTOR)


def test_write_of_part_of_a_block_is_invalid_size_and_writes_nothing():
    OTA_1.writeblocks(300, b"\xa5" * SECTOR)
    fails(-260, "ESP_ERR_INVALID_SIZE", OTA_1.writeblocks, 300, b"\x00" * 100)
    assert held(300, SECTOR) == b"\xa5" * SECTOR


def test_write_at_an_offset_only_clears_bits():
    OTA_1.ioctl(6, 300)
    OTA_1.writeblocks(300, b"\xf0" * 10, 250)
    OTA_1.writeblocks(300, b"\x3c" * 10, 255)
    assert (
        held(300, 20, 248) == b"\xff\xff" + b"\xf0" * 5 + b"\x30" * 5 + b"\x3c" * 5 + b"\xff" * 3
    )


def test_write_at_offset_zero_does_not_erase():
    OTA_1.writeblocks(300, b"\xf0" * SECTOR)
    OTA_1.writeblocks(300, b"\x0f" * 16, 0)
    assert held(300, 17) == b"\x00" * 16 + b"\xf0"


def test_write_at_an_offset_may_cross_blocks():
    OTA_1.ioctl(6, 300)
    OTA_1.ioctl(6, 301)
    data = bytes(i % 251 for i in range(600))
    OTA_1.writeblocks(300, data, SECTOR - 300)
    assert held(300, 600, SECTOR - 300) == data


def test_write_of_small_blocks_keeps_the_neighbours():
    OTA_1.writeblocks(300, bytes(i % 251 for i in range(SECTOR)))
    Partition("ota_1", 512).writeblocks(300 * 8 + 3, b"\x77" * 512)
    wanted = bytearray(i % 251 for i in range(SECTOR))
    wanted[1536:2048] = b"\x77" * 512
    assert held(300, SECTOR) == wanted


def test_read_takes_any_length_and_offset():
    OTA_1.writeblocks(300, bytes(i % 251 for i in range(SECTOR)))
    assert held(300, 3, 1000) == bytes(i % 251 for i in range(1000, 1003))
    assert held(299, 5, SECTOR + 7) == bytes(range(7, 12))


def test_read_past_the_end_is_refused():
    fails(-258, "ESP_ERR_INVALID_ARG", OTA_1.readblocks, 385, bytearray(1))
    fails(-260, "ESP_ERR_INVALID_SIZE", OTA_1.readblocks, 383, bytearray(SECTOR + 1))


def test_write_past_the_end_is_refused():
    fails(-260, "ESP_ERR_INVALID_SIZE", OTA_1.writeblocks, 384, b"\x00" * SECTOR)
    fails(-258, "ESP_ERR_INVALID_ARG", OTA_1.writeblocks, 385, b"\x00" * SECTOR)
    fails(-260, "ESP_ERR_INVALID_SIZE", OTA_1.writeblocks, 383, b"\x00" * 8, SECTOR - 4)
    fails(-258, "ESP_ERR_INVALID_ARG", OTA_1.ioctl, 6, 400)


def test_mark_valid_on_a_new_board_writes_nothing():
    assert record(0) == (1, 2, 0x4743989A)
    Partition.mark_app_valid_cancel_rollback()
    assert record(0) == (1, 2, 0x4743989A)
    assert record(1) == (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def test_set_boot_of_a_data_partition_is_refused():
    fails(-258, "ESP_ERR_INVALID_ARG", Partition("vfs").set_boot)


def test_set_boot_of_a_good_image_writes_the_other_record_as_new():
    part = Partition.find(1, 0)[0]
    OTA_1.set_boot()
    assert record(1) == (2, 0, 0x55F63774)
    assert Partition(Partition.BOOT).info()[4] == "ota_1"
    part.ioctl(6, 1)
    assert Partition(Partition.BOOT).info()[4] == "ota_0"


def test_set_boot_of_the_running_slot_repeats_its_sequence():
    part = Partition.find(1, 0)[0]
    Partition(Partition.RUNNING).set_boot()
    assert record(1) == (1, 0, 0x4743989A)
    assert Partition(Partition.BOOT).info()[4] == "ota_0"
    part.ioctl(6, 1)


def test_reset_cause_after_power_on_is_pwron():
    assert machine.reset_cause() == machine.PWRON_RESET == 1


def test_clock_can_be_set_and_read():
    clock = machine.RTC()
    clock.datetime((2031, 5, 4, 6, 3, 2, 1, 0))
    assert clock.datetime()[:6] == (2031, 5, 4, 6, 3, 2)
