"""The log: one line an event, and nothing formatted that is not printed."""

from doubles import raised

from ota import log
from ota.log import Log


class Unprintable:
    def __str__(self):
        raise AssertionError("formatted in vain")


def lines(level, act):
    """What was printed at that level."""
    found = []
    log.to(found.append)
    log.level(level)
    try:
        act(Log("tag"))
    finally:
        log.level("I")
        log.to(print)
    return found


def everything(logger):
    logger.e("one", 1)
    logger.w("two", None)
    logger.i("three", b"x")
    logger.d("four")


def test_log_levels_print_themselves_and_all_above():
    for level, marks in (("E", "E"), ("W", "EW"), ("I", "EWI"), ("D", "EWID")):
        assert "".join(line[0] for line in lines(level, everything)) == marks


def test_log_line_is_level_uptime_tag_and_values():
    (line,) = lines("I", lambda logger: logger.i("event", 21_000, "KiB"))
    mark, uptime, tag, rest = line.split(" ", 3)
    assert (mark, tag, rest) == ("I", "tag", "event 21000 KiB") and int(uptime) >= 0


def test_log_values_below_the_level_are_not_formatted():
    assert lines("I", lambda logger: logger.d(Unprintable())) == []


def test_log_level_that_is_none_of_the_four_is_an_error():
    for name in ("", "X", "EW", "i"):
        raised(ValueError, log.level, name)
    assert log.level() == "I"


def test_log_keeps_its_last_warnings_and_errors_in_ram_that_does_not_grow():
    size = len(log.recent)

    def act(logger):
        logger.w("of long ago")
        for number in range(50):
            logger.i("idle")
            logger.e("failure", number)

    lines("I", act)
    assert len(log.recent) == size
    kept = bytes(log.recent).decode().split("\n")
    assert [line[line.find("tag") :] for line in kept[-4:]] == [
        "tag failure 47", "tag failure 48", "tag failure 49", ""
    ]  # fmt: skip
    assert b"of long ago" not in log.recent and b"idle" not in log.recent


def test_log_keeps_the_head_of_a_line_that_is_too_long():
    lines("I", lambda logger: logger.w("x" * 1000))
    assert bytes(log.recent[:2]) == b"W " and log.recent[-1:] == b"x"
