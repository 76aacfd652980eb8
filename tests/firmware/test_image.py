"""The image: any order of blocks, one sector of RAM, and flash that is written by its rules."""

import gc
from random import getrandbits, seed

from doubles import ERASED, SECTOR, Flash, pattern, raised

from sluice.errors import Fail, Refuse
from sluice.transfer.image import Image

HEAP = "1m"


def give(image, data, index, block, piece=768, good=True):
    """Bring one block; returns what `close` says."""
    part = data[index * block : (index + 1) * block]
    image.open(index * block, len(part))
    for at in range(0, len(part), piece):
        assert image.write(part[at : at + piece])
    return image.close(good)


def shuffled(count, again=1):
    """Every number below `count`, `again` times, in an order that is the same every run."""
    order = list(range(count)) * again
    for at in range(len(order) - 1, 0, -1):
        other = getrandbits(16) % (at + 1)
        order[at], order[other] = order[other], order[at]
    return order


def assert_holds(flash, data):
    assert bytes(flash.data[: len(data)]) == bytes(data)


def sectors_of(size):
    return -(-size // SECTOR)


def filled(size, block, order=None, sectors=None):
    """(image, flash, data) after all blocks came in that order."""
    data = pattern(size)
    flash = Flash(sectors or sectors_of(size))
    image = Image(flash, size, block)
    for index in order or range(-(-size // block)):
        assert give(image, data, index, block)
    return image, flash, data


def test_image_blocks_in_order_arrive_byte_for_byte():
    for block in (256, 512, 1_024, 2_048, 4_096, 8_192, 12_288, 131_072):
        for size in (1, 60, 256, 4_095, 4_096, 4_097, 3 * SECTOR - 1, 3 * SECTOR, 20_000):
            image, flash, data = filled(size, block)
            assert_holds(flash, data)
            assert image.missing() == -1 and image.received == size, (block, size)
            assert max(flash.erases) == 1, (block, size)


def test_image_full_slot_is_written_to_its_last_byte():
    image, flash, data = filled(8 * SECTOR, 3 * SECTOR)
    assert_holds(flash, data)
    image, flash, data = filled(8 * SECTOR - 1, 256)
    assert_holds(flash, data)
    assert flash.data[len(data)] == 0xFF


def test_image_slot_beyond_the_image_is_left_alone():
    for block in (256, 4_096, 16_384):
        flash = filled(SECTOR + 60, block, sectors=4)[1]
        assert flash.erases == [1, 1, 0, 0]
        assert bytes(flash.data[2 * SECTOR :]) == b"\xa5" * 2 * SECTOR
        assert bytes(flash.data[SECTOR + 60 : 2 * SECTOR]) == ERASED * (SECTOR - 60)


def test_image_any_order_and_duplicates_give_the_same_and_erase_once():
    seed(7)
    for block in (256, 1_024, 4_096, 8_192):
        for size in (5 * SECTOR - 1, 5 * SECTOR, 5 * SECTOR + 60):
            order = [0] + shuffled(-(-size // block), 2)
            image, flash, data = filled(size, block, order)
            assert_holds(flash, data)
            assert max(flash.erases) == 1 and image.received == size
            assert sectors_of(size) <= flash.programs <= -(-size // min(block, SECTOR))


def test_image_small_blocks_interleaved_across_sectors_are_programmed_in_place():
    size, block = 4 * SECTOR, 1_024
    order = [0] + [sector * 4 + piece for piece in range(4) for sector in (3, 1, 2, 0)][1:]
    order.append(3 * 4)
    image, flash, data = filled(size, block, [0] + order)
    assert_holds(flash, data)
    assert flash.erases == [1, 1, 1, 1]


def test_image_block_cut_off_counts_nothing_and_comes_again():
    data = pattern(4 * SECTOR)
    for block in (512, 4_096, 8_192):
        flash = Flash(4)
        image = Image(flash, len(data), block)
        for size in (0, 1, block - 1):
            image.open(0, block)
            assert image.write(data[:size])
            assert not image.close(True)
            assert image.received == 0 and image.missing() == 0
        for index in range(len(data) // block):
            assert give(image, data, index, block)
        assert_holds(flash, data)


def test_image_block_that_is_not_good_counts_nothing():
    data, wrong = pattern(4 * SECTOR), pattern(4 * SECTOR, 99)
    for block in (256, 4_096, 16_384):
        flash = Flash(4)
        image = Image(flash, len(data), block)
        assert not give(image, wrong, 0, block, good=False)
        assert image.received == 0 and not any(image.sectors())
        for index in range(len(data) // block):
            assert give(image, data, index, block)
            assert give(image, wrong, index, block)  # a second time: skipped
        assert_holds(flash, data)


def test_image_bad_block_after_good_ones_spoils_none_of_them():
    data, wrong = pattern(3 * SECTOR), pattern(3 * SECTOR, 50)
    flash = Flash(3)
    image = Image(flash, len(data), 2 * SECTOR, written=b"\x01")
    flash.data[:SECTOR] = data[:SECTOR]
    assert not give(image, wrong, 0, 2 * SECTOR, good=False)
    assert bytes(flash.data[:SECTOR]) == bytes(data[:SECTOR]) and flash.erases[0] == 0
    assert give(image, data, 0, 2 * SECTOR) and give(image, data, 1, 2 * SECTOR)
    assert_holds(flash, data)
    assert flash.erases == [0, 1, 1]


def test_image_bytes_past_the_block_are_refused():
    image = Image(Flash(2), 2 * SECTOR)
    image.open(0, SECTOR)
    assert image.write(bytes(4_000))
    assert not image.write(bytes(97))
    assert image.write(bytes(96)) and not image.write(b"x")
    assert image.close(True) and image.received == SECTOR
    assert not image.write(b"x") and not image.close(True)


def test_image_write_without_an_open_block_is_refused():
    image = Image(Flash(1), SECTOR)
    assert not image.write(b"x") and not image.close(True)


def test_image_check_sees_the_head_before_its_sector_is_written():
    for block in (256, 2_048, 4_096, 8_192):
        data, flash, seen = pattern(3 * SECTOR), Flash(3), []

        def check(head, seen=seen, flash=flash, block=block):
            assert flash.erases[0] == 0 and not image.has(0, 1)
            seen.append(bytes(head))

        image = Image(flash, len(data), block, check)
        if block < SECTOR:
            assert not give(image, data, 1, block) and flash.erases[0] == 0
        order = [2] if block == SECTOR else []
        for index in order + list(range(3 * SECTOR // block + 1)):
            give(image, data, index, block)
        assert image.missing() == -1
        assert_holds(flash, data)
        assert seen == [bytes(data[: Image.HEAD])]


def test_image_wrong_head_is_final_only_in_a_good_block():
    data, wrong = pattern(4 * SECTOR), pattern(4 * SECTOR, 99)

    def check(head):
        if head != data[: Image.HEAD]:
            raise Refuse("not our image")

    for block in (256, 4_096, 8_192, 16_384):
        flash = Flash(4)
        image = Image(flash, len(data), block, check)
        assert not give(image, wrong, 0, block, good=False)
        image.open(0, block)
        assert image.write(wrong[: block - 1]) and not image.close(True)
        assert raised(Refuse, give, image, wrong, 0, block)
        assert flash.erases[0] == 0 and image.received == 0
        for index in range(len(data) // block):
            assert give(image, data, index, block)
        assert_holds(flash, data)


def test_image_check_that_fails_leaves_the_sector_as_it_was():
    def check(head):
        raise Fail("wrong chip", head[12])

    for block in (256, 4_096, 16_384):
        flash = Flash(4)
        image = Image(flash, 4 * SECTOR, block, check)
        error = raised(Fail, give, image, pattern(4 * SECTOR), 0, block)
        assert error.reason == "wrong chip"
        assert image.received == 0 and not any(image.sectors())
        if block <= SECTOR:
            assert flash.erases[0] == 0 and flash.data[0] == 0xA5


def test_image_recalled_from_a_map_asks_only_for_the_rest():
    data = pattern(5 * SECTOR + 60)
    for before in (256, 4_096, 8_192):
        flash = Flash(6)
        image = Image(flash, len(data), before)
        for index in range(3 * SECTOR // before + 1):
            give(image, data, index, before)
        written = image.sectors()
        for after in (512, 4_096, 16_384):
            again = Flash(6)
            again.data[:] = flash.data
            second = Image(again, len(data), after, written=written)
            first = second.missing()
            assert first == (3 * SECTOR // before + 1) * before // SECTOR * SECTOR, first
            assert second.received == first
            for index in range(first // after, -(-len(data) // after)):
                assert give(second, data, index, after)
            assert_holds(again, data)
            assert max(again.erases) == 1 and not any(again.erases[: first // SECTOR])


def test_image_map_of_sectors_leaves_out_sectors_in_part():
    data = pattern(2 * SECTOR)
    image = Image(Flash(2), len(data), 1_024)
    for index in (0, 1, 2, 4, 5, 6, 7):
        give(image, data, index, 1_024)
    assert image.sectors() == b"\x02"
    give(image, data, 3, 1_024)
    assert image.sectors() == b"\x03"


def test_image_map_of_another_length_is_no_fault():
    for written in (b"", b"\xff", b"\xff" * 100):
        image = Image(Flash(20), 20 * SECTOR, written=written)
        assert image.received == min(8 * len(written), 20) * SECTOR


def test_image_last_sector_of_a_map_counts_its_own_bytes_only():
    image = Image(Flash(2), SECTOR + 60, written=b"\x03")
    assert image.missing() == -1 and image.received == SECTOR + 60


def test_image_missing_starts_where_it_is_told():
    image = Image(Flash(4), 4 * SECTOR, written=b"\x05")
    assert image.missing() == SECTOR and image.missing(SECTOR + 7) == SECTOR + 7
    assert image.missing(2 * SECTOR) == 3 * SECTOR
    assert image.has(0, SECTOR) and not image.has(0, SECTOR + 1) and image.has(2 * SECTOR, 1)


def test_image_flash_error_fails_by_name():
    for block in (256, 4_096):
        flash = Flash(2)
        flash.broken = 5
        image, last = Image(flash, 2 * SECTOR, block), SECTOR // block - 1
        for index in range(last):
            assert give(image, pattern(SECTOR), index, block)
        error = raised(Fail, give, image, pattern(SECTOR), last, block)
        assert error.reason == "flash"
        assert not any(image.sectors())


def test_image_block_size_that_fits_no_sector_fails_by_name():
    for block in (0, 1, 255, 300, 6_000, 4_097, -4_096):
        assert raised(Fail, Image, None, SECTOR, block).reason == "block size"


def test_image_of_1536_kib_takes_a_sector_and_its_map():
    for block, most in ((4_096, 5_000), (98_304, 5_000), (256, 6_000)):
        gc.collect()
        before = gc.mem_alloc()
        image = Image(None, 1_536 * 1_024, block)
        gc.collect()
        assert gc.mem_alloc() - before < most, (block, gc.mem_alloc() - before)
        assert image.missing() == 0


def test_image_works_in_the_buffer_it_is_lent():
    buffer = bytearray(SECTOR)
    data = pattern(SECTOR)
    flash = Flash(1)
    image = Image(flash, SECTOR, buffer=buffer)
    give(image, data, 0, SECTOR)
    assert buffer == data
    assert_holds(flash, data)


# -- what is not written -------------------------------------------------------------------------


def test_image_that_is_there_already_costs_one_erase_that_of_its_head():
    for block in (256, 1_024, 4_096, 16_384):
        data = pattern(9 * SECTOR)
        flash = Flash(9)
        flash.data[:] = data
        image = Image(flash, len(data), block)
        for index in range(-(-len(data) // block)):
            assert give(image, data, index, block)
        assert_holds(flash, data)
        assert flash.erases == [1] + [0] * 8 and flash.programs == 1, (block, flash.erases)
        assert image.sectors() == b"\xff\x01" and image.missing() == -1


def test_image_sector_that_differs_in_one_byte_is_written_wherever_that_lies():
    data = pattern(3 * SECTOR)
    for place in (SECTOR, SECTOR + 17, SECTOR + 256, 2 * SECTOR - 1):
        flash = Flash(3)
        flash.data[:] = data
        flash.data[place] ^= 1
        image = Image(flash, len(data), SECTOR)
        for index in range(3):
            assert give(image, data, index, SECTOR)
        assert_holds(flash, data)
        assert flash.erases == [1, 1, 0], (place, flash.erases)


def test_image_last_sector_that_is_there_with_other_bytes_behind_it_is_written():
    data = pattern(SECTOR + 100)
    flash = Flash(2)
    flash.data[: len(data)] = data
    image = Image(flash, len(data), SECTOR)
    assert give(image, data, 0, SECTOR) and give(image, data, 1, SECTOR)
    assert flash.erases == [1, 1] and bytes(flash.data[len(data) :]) == b"\xff" * (SECTOR - 100)


def test_image_slot_that_cannot_be_read_fails_by_name():
    flash = Flash(2)

    def broken(sector, buf, offset=0):
        raise OSError(5)

    flash.readblocks = broken
    image = Image(flash, 2 * SECTOR, SECTOR)
    assert give(image, pattern(2 * SECTOR), 0, SECTOR)
    error = raised(Fail, give, image, pattern(2 * SECTOR), 1, SECTOR)
    assert str(error) == "flash 5"


def test_image_small_blocks_in_order_cost_one_program_a_sector():
    for block in (256, 512, 1_024, 2_048):
        for size in (6 * SECTOR, 6 * SECTOR - 300):
            image, flash, data = filled(size, block)
            assert_holds(flash, data)
            assert flash.programs == 6 and flash.erases == [1] * 6, (block, size)


def test_image_small_blocks_that_gather_count_in_the_map_of_sectors_once_flash_has_them():
    data, flash = pattern(2 * SECTOR), Flash(2)
    image = Image(flash, len(data), 1_024)
    for index in range(3):
        assert give(image, data, index, 1_024)
    assert image.received == 3 * 1_024 and image.sectors() == b"\x00" and not flash.programs
    assert give(image, data, 3, 1_024)
    assert image.sectors() == b"\x01" and flash.programs == 1


def test_image_whose_buffer_had_other_uses_asks_again_for_what_gathered():
    data, flash, buffer = pattern(3 * SECTOR), Flash(3), bytearray(SECTOR + 4)
    image = Image(flash, len(data), 512, buffer=buffer)
    for index in range(8 + 3):
        assert give(image, data, index, 512)
    for at in range(len(buffer)):
        buffer[at] = 0x5A
    image.forget()
    assert image.received == SECTOR == image.missing()
    for index in range(8, 24):
        assert give(image, data, index, 512)
    assert_holds(flash, data)
    assert max(flash.erases) == 1 and image.missing() == -1


# -- room that is lent ---------------------------------------------------------------------------


def lent(image, data, index, block, read):
    """Bring one block into the room that the image lends, so many bytes a read."""
    begin = index * block
    end = min(begin + block, len(data))
    image.open(begin, end - begin)
    while begin < end:
        room = image.room(end - begin)
        size = min(len(room), read, end - begin)
        room[:size] = data[begin : begin + size]
        image.took(size)
        begin += size
    return image.close(True)


def test_image_read_into_its_own_room_is_the_image_that_is_written():
    for block in (256, 1_024, 4_096, 12_288):
        for size in (1, 4_097, 5 * SECTOR, 5 * SECTOR + 60):
            for read in (1_448, 4_100):
                data, flash = pattern(size), Flash(sectors_of(size))
                image = Image(flash, size, block)
                for index in range(-(-size // block)):
                    assert lent(image, data, index, block, read)
                assert_holds(flash, data)
                assert max(flash.erases) == 1 and image.received == size


def test_image_lends_no_room_beyond_the_block_and_the_rest_of_its_message():
    image = Image(Flash(3), 3 * SECTOR, 2 * SECTOR)
    image.open(0, 2 * SECTOR)
    assert len(image.room(2 * SECTOR)) == SECTOR  # the next sector's bytes have other room
    image.took(1_000)
    assert len(image.room(2 * SECTOR - 1_000)) == SECTOR - 1_000
    image.took(SECTOR - 1_000)
    assert len(image.room(SECTOR)) == SECTOR + 4  # all of it, and what follows it
    assert image.room(SECTOR + 1) is None and image.room(0) is None
