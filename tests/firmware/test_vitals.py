"""How the board does: what led to its start, its radio, its failures, its log."""

import json
import sys

from medium import Board, fill, read, write  # noqa: F401

from sluice import log
from sluice.failures import kept, note

HEAP = "4m"


class Chip:
    """machine, and the board, as far as they are asked."""

    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5

    NAME = "SIM_ESP32"

    def __init__(self):
        self.last = 1
        self.reset_cause = lambda: self.last
        self.rssi = lambda: -61


chip = Chip()
sys.modules["machine"] = sys.modules["board"] = chip
from sluice import vitals  # noqa: E402


def logged(*texts):
    """The log's lines in RAM after these, and none before."""
    log.recent[:] = bytes(len(log.recent))
    log.to(lambda line: None)
    try:
        for text in texts:
            log.Log("tag").w(text)
    finally:
        log.to(print)
    return vitals.moving()["log"]


def test_cause_of_the_start_is_a_word():
    words = ("power-on", "hard", "watchdog", "deep-sleep", "soft")
    for chip.last, word in enumerate(words, 1):
        assert vitals.cause() == word
    chip.last = 99
    assert vitals.cause() is None


def test_signal_is_told_where_the_board_has_one():
    assert vitals.moving()["rssi"] == -61
    for none in (None, "-61", 5.0, True):
        chip.rssi = lambda: none
        assert vitals.moving()["rssi"] is None, none
    for error in (OSError(5), RuntimeError("driver"), ValueError("unknown"), AttributeError("it")):

        def fails():
            raise error

        chip.rssi = fails
        assert vitals.moving()["rssi"] is None


def test_release_is_that_of_the_interpreter_and_the_board_is_named():
    assert vitals.steady()["board"] == vitals.NAME == "SIM_ESP32"
    told = vitals.steady()["micropython"].split(".")
    assert [int(word) for word in told] == list(sys.implementation[1][:3])


def test_failures_are_told_with_their_date_oldest_first():
    with Board():
        assert vitals.steady()["failures"] is None
        note("job", 1, "failed")
        note("job", 2, "failed")
        first, second = vitals.steady()["failures"]
        assert first.endswith(" job 1 failed") and second.endswith(" job 2 failed")
        date, clock, zone, _ = first.split(" ", 3)
        assert len(date.split("-")) == len(clock.split(":")) == 3 and zone == "UTC:"


def test_failures_date_is_of_the_boards_own_epoch():
    with Board(files={"failures": b"86400 stopped"}):
        (line,) = kept()
        assert line[4:] == "-01-02 00:00:00 UTC: stopped" and line[:4] in ("1970", "2000")


def test_failures_that_are_not_ours_are_passed_over_or_escaped():
    strange = b"\xff\xfe", b"", b"x", b"1" * 400 + b" late", b"12 caf\xc3\xa9\x1b[2J", b"-1 early"
    with Board(files={"failures": b"\n".join(strange)}):
        found = vitals.steady()["failures"]
        assert any(text.endswith(rb"caf\xc3\xa9\x1b[2J".decode()) for text in found), found
        for text in found:
            assert all(32 <= c < 127 for c in text.encode())
    with Board(files={"failures": b"\xff" * 3_000}):
        assert vitals.steady()["failures"] is None


def test_failures_that_are_long_and_full_of_quotes_are_bounded_in_json():
    with Board():
        for number in range(4):
            note(number, '"\\' * 200)
        found = vitals.steady()["failures"]
        assert len(found) == 4
        assert all(len(json.dumps(text)) <= 160 for text in found)


def test_log_is_told_line_by_line_and_only_whole_ones():
    assert logged() is None
    assert [line.split(" ", 2)[2] for line in logged("one", "two")] == ["tag one", "tag two"]
    lines = logged(*["number %d %s" % (number, "x" * 40) for number in range(20)])
    assert 3 <= len(lines) <= 6
    assert all(line.startswith("W ") for line in lines) and "number 19" in lines[-1]


def test_log_of_one_line_that_is_too_long_is_cut():
    (line,) = logged("y" * 1_000)
    assert line.startswith("W ") and len(json.dumps(line)) <= 160


def test_log_of_quotes_and_no_ascii_is_bounded_in_json():
    for text in ('"' * 400, "\\" * 400, "é\x00\n" * 100, "\x7f\u202e"):
        for line in logged("first", text):
            assert len(json.dumps(line)) <= 160
            assert all(32 <= c < 127 for c in line.encode())


def test_query_of_an_address_is_never_told():
    address = "https://b.s3.amazonaws.com/app.bin?X-Amz-Credential=AK&X-Amz-Signature=5ec2e7"
    for text in (address, "OSError('%s')" % address, "at " + address + " after 3 tries?"):
        (line,) = logged(text)
        assert "X-Amz" not in line and "app.bin" in line
    assert line.endswith("after 3 tries?")
    with Board():
        note("job 1 failed", address)
        (line,) = vitals.steady()["failures"]
        assert line.endswith("https://b.s3.amazonaws.com/app.bin")


def test_text_is_shown_whole_where_it_fits():
    for text in ("", "é" * 40, "a b  c ", "x" * 158):
        assert vitals.shown(text) == text
    for text in ("\x00" * 500, "\u20ac" * 500, '"' * 500):
        short = vitals.shown(text)
        assert text.startswith(short) and 150 <= len(json.dumps(short).encode()) <= 160
