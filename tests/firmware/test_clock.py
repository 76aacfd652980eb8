"""The clock's rules on MicroPython, with doubles for the board and for `time`."""

import os
import time

from sluice import log
from sluice.errors import Retry
from sluice.net.clock import Clock
from sluice.net.ntp import read_answer

HEAP = "96k"

WRITTEN_S = 1_788_220_800  # 2026-09-01
DAY_S = 86_400
YEAR_S = 365 * DAY_S
PATH = "clock_floor.%d" % time.ticks_us()


class Board:
    """A board whose clock is a number; its port counts from 1970 or from 2000."""

    ticks_ms = time.ticks_ms
    ticks_diff = time.ticks_diff
    ticks_add = time.ticks_add

    def __init__(self, unix_s, epoch=1970):
        self._offset_s = 946_684_800 if epoch == 2000 else 0
        self.unix_s = unix_s
        self.epoch = epoch
        self.times_set = 0

    def set_time(self, unix_s):
        self.unix_s = unix_s
        self.times_set += 1

    def time(self):
        return self.unix_s - self._offset_s

    def gmtime(self, seconds):
        assert seconds == 0
        return (self.epoch, 1, 1, 0, 0, 0, 0, 1)


def clock_at(unix_s, epoch=1970, path=None):
    board = Board(unix_s, epoch)
    return board, Clock(board, path, board)


def quietly(work, *arguments):
    log.to(lambda line: None)
    try:
        return work(*arguments)
    finally:
        log.to(print)


def test_clock_counts_from_1970_whatever_the_port_counts_from():
    for epoch in (1970, 2000):
        board, clock = clock_at(WRITTEN_S + 5, epoch)
        assert clock.now_s() == WRITTEN_S + 5
    assert abs(Clock(None).now_s() - int(time.time())) <= 1  # the unix port: 1970, a float


def test_clock_never_set_is_not_plausible():
    for unix_s, epoch in ((0, 1970), (946_684_800, 2000), (WRITTEN_S - 1, 1970)):
        assert not clock_at(unix_s, epoch)[1].plausible()
    assert clock_at(WRITTEN_S)[1].plausible()
    assert clock_at(WRITTEN_S + 19 * YEAR_S)[1].plausible()
    assert not clock_at(WRITTEN_S + 21 * YEAR_S)[1].plausible()


def test_clock_of_a_board_that_starts_in_2000_jumps_forward():
    board, clock = clock_at(946_684_800, 2000)
    quietly(clock._advance, WRITTEN_S + 100)
    assert board.unix_s == clock.now_s() == WRITTEN_S + 100
    assert clock.plausible()


def test_clock_that_is_plausible_never_goes_back():
    board, clock = clock_at(WRITTEN_S + 1000)
    for earlier_s in (0, 1, 1000):
        quietly(clock._advance, WRITTEN_S + 1000 - earlier_s)
    assert board.times_set == 0
    quietly(clock._advance, WRITTEN_S + 1001)
    assert board.unix_s == WRITTEN_S + 1001


def test_clock_that_a_certificate_contradicts_goes_back():
    board, clock = clock_at(WRITTEN_S + 15 * YEAR_S)
    quietly(clock._advance, WRITTEN_S + 9, True)
    assert board.unix_s == WRITTEN_S + 9


def test_clock_that_is_absurd_may_go_back():
    board, clock = clock_at(WRITTEN_S + 50 * YEAR_S)
    quietly(clock._advance, WRITTEN_S + 7)
    assert board.unix_s == WRITTEN_S + 7


def test_clock_floor_is_raised_by_the_cloud_survives_and_is_written_once_a_day():
    try:
        board, clock = clock_at(WRITTEN_S + 10 * DAY_S, path=PATH)
        clock.cloud_says(WRITTEN_S + 10 * DAY_S)
        assert open(PATH).read() == "proven %d" % (WRITTEN_S + 10 * DAY_S)
        os.remove(PATH)  # a second write would bring it back
        quietly(clock.cloud_says, WRITTEN_S + 11 * DAY_S - 1)
        quietly(clock.cloud_says, WRITTEN_S + 10 * DAY_S - 299)
        assert Clock(board, PATH)._floor_s == WRITTEN_S
        quietly(clock.cloud_says, WRITTEN_S + 11 * DAY_S)
        assert Clock(board, PATH)._floor_s == WRITTEN_S + 11 * DAY_S
        assert not clock_at(WRITTEN_S + 11 * DAY_S - 1, path=PATH)[1].plausible()
        assert clock_at(WRITTEN_S + 11 * DAY_S, path=PATH)[1].plausible()
    finally:
        os.remove(PATH)


def test_clock_floor_is_not_raised_by_a_time_server():
    for forged_s in (300 * DAY_S, 19 * YEAR_S):
        board, clock = clock_at(0, path=PATH)
        quietly(clock._advance, WRITTEN_S + forged_s)
        assert clock.plausible() and clock._floor_s == WRITTEN_S
        assert PATH not in os.listdir()
        assert clock.possible(WRITTEN_S + DAY_S), "an honest time is still one"


def test_clock_is_set_by_the_cloud_where_they_differ_by_more_than_minutes():
    for off_s in (-300, -1, 0, 1, 300):
        board, clock = clock_at(WRITTEN_S + DAY_S + off_s)
        clock.cloud_says(WRITTEN_S + DAY_S)
        assert not board.times_set, off_s
    for off_s in (-DAY_S, -301, 301, 300 * DAY_S, 30 * YEAR_S):
        board, clock = clock_at(WRITTEN_S + DAY_S + off_s)
        quietly(clock.cloud_says, WRITTEN_S + DAY_S)
        assert board.unix_s == WRITTEN_S + DAY_S, off_s


def test_clock_floor_comes_down_by_word_of_the_cloud():
    try:
        board, clock = clock_at(WRITTEN_S + 300 * DAY_S, path=PATH)
        clock.cloud_says(WRITTEN_S + 300 * DAY_S)  # of a cloud whose own clock was wrong
        quietly(clock.cloud_says, WRITTEN_S + 2 * DAY_S)
        assert board.unix_s == WRITTEN_S + 2 * DAY_S
        assert Clock(board, PATH)._floor_s == WRITTEN_S + 2 * DAY_S
    finally:
        os.remove(PATH)


def test_clock_believes_no_nonsense_of_the_cloud():
    late_s = WRITTEN_S + 21 * YEAR_S
    for unix_s in (None, "1800000000", 1.8e9, True, [], 0, -1, WRITTEN_S - 1, late_s):
        board, clock = clock_at(WRITTEN_S + 5)
        clock.cloud_says(unix_s)
        assert not board.times_set and clock._floor_s == WRITTEN_S, unix_s


def test_clock_takes_the_day_of_a_certificate_forwards_only():
    board, clock = clock_at(0)
    assert quietly(clock.vouched, WRITTEN_S + 40 * DAY_S)
    assert board.unix_s == clock._floor_s == WRITTEN_S + 40 * DAY_S and clock.guessed
    for unix_s in (0, WRITTEN_S, WRITTEN_S + 40 * DAY_S, WRITTEN_S + 30 * YEAR_S):
        assert not clock.vouched(unix_s)
    assert board.times_set == 1


def test_clock_guesses_the_floor_and_no_less_and_knows_that_it_did():
    for start_s, back, then_s in (
        (0, False, WRITTEN_S),
        (WRITTEN_S + DAY_S, False, WRITTEN_S + DAY_S),
        (WRITTEN_S + DAY_S, True, WRITTEN_S),
        (WRITTEN_S + 50 * YEAR_S, False, WRITTEN_S),
    ):
        board, clock = clock_at(start_s)
        assert not clock.guessed
        quietly(clock.guess, back)
        assert board.unix_s == then_s and clock.plausible() and clock.guessed
        quietly(clock._advance, WRITTEN_S + 9)  # an honest server, at last
        assert board.unix_s == WRITTEN_S + 9 and not clock.guessed
        clock.guess()
        clock.cloud_says(WRITTEN_S + 9)
        assert not clock.guessed


def test_clock_floor_file_that_is_broken_absurd_or_of_an_earlier_release_is_ignored():
    later = str(WRITTEN_S + 300 * DAY_S)
    try:
        for text in ("", "soon", "-5", "17", "99999999999", "1e10", "\0" * 9, later, "proven",
                     "proven ", "proven -5", "proven 17", "proven 99999999999", "proven  x",
                     "Proven " + later, " proven " + later, "proved " + later,
                     "proven 1e10"):  # fmt: skip
            with open(PATH, "w") as file:
                file.write(text)
            assert clock_at(0, path=PATH)[1]._floor_s == WRITTEN_S, text
        with open(PATH, "wb") as file:
            file.write(b"proven \xff\xfe")
        assert clock_at(0, path=PATH)[1]._floor_s == WRITTEN_S
    finally:
        os.remove(PATH)


def test_clock_floor_that_cannot_be_written_is_only_a_warning():
    board, clock = clock_at(WRITTEN_S + 10 * DAY_S, path="/no/such/folder/floor")
    quietly(clock.cloud_says, WRITTEN_S + 10 * DAY_S)
    assert clock._floor_s == WRITTEN_S + 10 * DAY_S


NONCE = b"12345678"


def packet(seconds=0xEE000000, first=0x24, stratum=2, nonce=NONCE, fraction=1):
    head = bytes((first, stratum)) + bytes(22) + nonce + bytes(8)
    return head + seconds.to_bytes(4, "big") + fraction.to_bytes(4, "big")


def test_ntp_answer_gives_seconds_since_1970():
    assert read_answer(packet(), NONCE) == 0xEE000000 - 2_208_988_800
    assert read_answer(packet(fraction=0x7FFFFFFF), NONCE) == 0xEE000000 - 2_208_988_800
    assert read_answer(packet(fraction=0x80000000), NONCE) == 0xEE000000 - 2_208_988_799
    assert read_answer(packet() + bytes(20), NONCE) == 0xEE000000 - 2_208_988_800


def test_ntp_answer_after_2036_is_of_the_next_era():
    assert read_answer(packet(0xFFFFFFFF), NONCE) == 2_085_978_495  # 2036-02-07 06:28:15
    assert read_answer(packet(0), NONCE) == 2_085_978_496
    assert read_answer(packet(0x10000000), NONCE) == 2_085_978_496 + 0x10000000


def test_ntp_answer_that_says_nothing_is_none():
    for answer in (
        b"",
        packet()[:47],
        packet(nonce=b"12345679"),
        packet(nonce=bytes(8)),
        packet(first=0x23),  # a client's
        packet(first=0x25),  # a broadcast
        packet(first=0x04),  # version 0
        packet(first=0x2C),  # version 5
        packet(first=0xE4),  # its clock is not set
        packet(stratum=16),
        packet(0, fraction=0),
    ):
        assert read_answer(answer, NONCE) is None, answer


def test_ntp_kiss_of_death_is_zero():
    assert read_answer(packet(stratum=0), NONCE) == 0
    assert read_answer(packet(stratum=0, nonce=bytes(8)), NONCE) is None  # from someone else


def test_synchronise_without_servers_or_time_raises_no_time():
    import asyncio

    for servers, deadline_ms in (
        ([], 1000),
        (["127.0.0.1:9"], 0),
        (["127.0.0.1:9"], 30),
        (["127.0.0.1:ntp"], 30),
    ):
        board, clock = clock_at(0)
        try:
            quietly(asyncio.run, clock.synchronise(servers, deadline_ms))
        except Retry as error:
            assert error.reason == "no time"
        else:
            raise AssertionError("a time from nowhere")
        assert board.times_set == 0
