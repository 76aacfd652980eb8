"""The last failures in a file: bounded, and not written again for what is repeated."""

from medium import Board, fill, read, write

from sluice.failures import note

DIFFERS = True  # LittleFS

HEAP = "4m"


def texts():
    """What is kept, without its times."""
    return [line.partition(b" ")[2] for line in read("/failures").split(b"\n")]


def test_failures_that_are_kept_are_the_last_four_each_in_a_line_of_its_own():
    with Board():
        for number in range(6):
            note("job", number, "failed", None, "it\nbroke")
        assert texts() == [b"job %d failed None it broke" % number for number in (2, 3, 4, 5)]
        assert all(int(line.split(b" ")[0]) >= 0 for line in read("/failures").split(b"\n"))


def test_failure_that_is_repeated_is_written_once():
    with Board():
        note("stopped", "OSError")
        before = read("/failures")
        write("/failures", b"1" + before)  # of another time
        note("stopped", "OSError")
        assert read("/failures") == b"1" + before


def test_failures_that_take_turns_wear_out_no_flash_and_push_out_no_other():
    with Board():
        note("job", "1", "failed")
        for number in range(3):
            note("application failed", "OSError", number % 2)
            note("stopped", "MemoryError")
        before = read("/failures")
        assert texts()[0] == b"job 1 failed" and len(texts()) == 4
        write("/failures", b"1" + before)  # of another time
        note("application failed", "OSError", 1)
        assert read("/failures") == b"1" + before


def test_failures_take_no_more_than_their_bound_whatever_they_say():
    with Board():
        for number in range(9):
            note(number, "é" * 500)
        assert len(read("/failures")) < 800 and len(texts()) == 4


def test_failures_are_kept_though_the_file_was_damaged():
    with Board(files={"failures": b"\xff" * 3_000 + b"\n\n"}):
        for _ in range(2):
            note("job", "failed")
            assert texts()[-1] == b"job failed"
        assert len(read("/failures")) < 800


def test_failure_without_room_for_it_is_passed_over_and_the_others_stay():
    with Board():
        for number in range(4):
            note(number, "x" * 500)
        before = read("/failures")
        fill()
        note("y" * 500)
        assert read("/failures") == before


def test_failures_are_lines_of_printable_ascii():
    with Board():
        note("job", 1, "failed", "a\x1b[2J\r\n1 stopped forged\x7f \u202e")
        (line,) = texts()
        assert line == rb"job 1 failed a\x1b[2J\x0d 1 stopped forged\x7f \xe2\x80\xae"


def test_failures_in_a_file_of_one_long_line_are_kept_and_not_written_in_a_loop():
    with Board(files={"failures": b"x" * 100_000}):
        note("job", "failed")
        before = read("/failures")
        note("job", "failed")
        assert read("/failures") == before and texts()[-1] == b"job failed"
        assert len(before) < 800
