"""The log: one line an event, and nothing formatted that is not printed."""

from doubles import raised

from sluice import failures, log
from sluice.log import Log


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


def test_log_line_of_any_text_is_one_line_of_printable_ascii():
    text = "a\x1b[2J\r\nE 1 main forged\x00\x7f\x9b31m \u202egnp.exe \u2028 \u00e9\t|"
    for said in (text, Exception(text), {"text": text}):
        (line,) = lines("I", lambda logger: logger.i("says", said))
        assert all(32 <= c < 127 for c in line.encode()), line
    (line,) = lines("I", lambda logger: logger.i("says", text))
    assert line.split(" ", 2)[2] == (
        "tag says a\\x1b[2J\\x0d\\x0aE 1 main forged\\x00\\x7f\\xc2\\x9b31m "
        "\\xe2\\x80\\xaegnp.exe \\xe2\\x80\\xa8 \\xc3\\xa9\\x09|"
    )
    lines("I", lambda logger: logger.e("two", text))
    assert bytes(log.recent).endswith(line.split("says ")[1].encode() + b"\n")


def test_log_line_that_is_plain_is_not_copied_byte_by_byte():
    text = "I 1 agent DOWNLOADING complete 21000 %r ~ /lib/a.py"
    assert log.plain(text) is text


def test_log_of_a_tag_or_a_key_that_is_no_text_is_escaped_too():
    (line,) = lines("I", lambda logger: logger.i(b"\xff\n", ["\n"], None))
    assert "\n" not in line


def test_trace_of_an_exception_forges_no_line():
    shown = printed_trace("bad\nE 1 main forged \x1b[2J")
    assert shown[0].startswith("Traceback") and shown[-1].startswith(
        "ValueError: bad\\x0aE 1 main"
    )
    assert shown[1].startswith("  File ")
    for line in shown:
        assert all(32 <= c < 127 for c in line.encode()), line
        assert not line.startswith("E ")


def printed_trace(text):
    """What the console shows of a ValueError that says this."""
    found = []
    failures.print = found.append
    try:
        raise ValueError(text)
    except ValueError as error:
        failures.trace(error)
    finally:
        del failures.print
    return found
