"""`sluice console`: driven as a person would, on a terminal, against a simulated board."""

import os
import pty
import re
import signal
import subprocess
import sys
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import FUSE_S
from seat import GREEN, PLAIN, RED

from sluice.board_port import connect
from sluice.compile import agreed_names, firmware_sources, renamed
from sluice.device.supervisor import Board
from sluice.image import make_image
from sluice.serial_console import LineEnds, Prompt, Tint
from sluice.traceback_names import readable

SAYING = """
import time
n = 0
while True:
    n += 1
    print("E", n, "main worst")
    print("I", n, "main all well")
    print("nothing of the log")
    time.sleep_ms(50)
"""
CODES = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.fixture
def board(tmp_path: Path, release: str):
    thing = tmp_path / "things" / "lamp"
    thing.mkdir(parents=True)
    (thing / "config.json").write_text("{}")
    factory = make_image("1.0.0", None, modules={"main.py": SAYING})
    board = Board(tmp_path, "lamp", factory=factory, link=tmp_path / "port").start()
    board.wait_for("nothing of the log")
    yield board
    board.stop()


def test_console_colours_the_log_and_passes_every_key(board: Board, seat):
    person = seat(board.link)
    assert b"Ctrl-] or Ctrl-x leaves" in person.read_until(b"leaves")
    seen = person.read_until(b"main worst") + person.read_until(b"nothing of the log\r\n")
    assert re.search(re.escape(RED) + rb"E \d+ main worst" + re.escape(PLAIN), seen)
    assert re.search(re.escape(GREEN) + rb"I \d+ main all well" + re.escape(PLAIN), seen)
    assert PLAIN + b"\r\nnothing of the log\r\n" in seen
    person.type(b"\x03")
    stopped = person.read_until(b"KeyboardInterrupt") + person.read_until(b">>> ")
    assert b"Traceback" in stopped and not re.search(rb"(?<!\r)\n", stopped), "a staircase"
    person.type(b"6 * 8\x7f7\r")
    assert b"42\r\n>>> " in person.read_until(b"42\r\n>>> ")
    person.type(b"\x1d")
    person.read_until(b"\r\nThe agent is stopped, and takes no job. Start it? y/N ")
    person.type(b"\n")
    person.read_until(b"aws_job.start() at the prompt starts it, and so does a reset.")
    assert person.end() == 0
    assert board.alive


@pytest.mark.parametrize(
    "keys", [b"", b"\x01", b"if True:\r", b"half a li"], ids=["prompt", "raw", "block", "line"]
)
def test_console_starts_the_agent_where_the_person_wants_that(board: Board, seat, keys):
    person = seat(board.link)
    person.read_until(b"all well")
    person.type(b"\x03")
    person.read_until(b">>> ")
    person.type(keys)
    if keys:
        person.read_until({b"\x01": b"exit\r\n>", b"if True:\r": b"... "}.get(keys, keys))
    seen = len(board.lines)
    person.type(b"\x1d")
    person.read_until(b"Start it? y/N ")
    person.type(b"y\n")
    person.read_until(b"It starts.")
    assert person.end() == 0
    board.wait_for("main all well", after=seen)


@pytest.mark.parametrize(("flag", "starts"), [("--start", True), ("--no-start", False)])
def test_flag_answers_what_a_person_would_be_asked(board: Board, seat, flag, starts):
    person = seat(board.link, flag)
    person.read_until(b"all well")
    person.type(b"\x03")
    person.read_until(b">>> ")
    seen = len(board.lines)
    person.type(b"\x1d")
    said = person.read_until(b"It starts." if starts else b"so does a reset.")
    assert b"The agent is stopped, and takes no job.\r\n" in said and b"y/N" not in said
    assert person.end() == 0
    if starts:
        board.wait_for("main all well", after=seen)


def test_nobody_is_asked_while_the_agent_runs(board: Board, seat):
    person = seat(board.link)
    person.read_until(b"all well")
    person.type(b"\x03")
    person.read_until(b">>> ")
    person.type(b"\x04")
    person.read_until(b"all well")
    person.type(b"\x1d")
    assert b"stopped" not in person.rest()
    assert person.end() == 0


@pytest.mark.parametrize("how", ["end of file", "interrupt"])
def test_what_is_no_answer_to_the_question_is_a_no(board: Board, seat, how):
    person = seat(board.link)
    person.read_until(b"all well")
    person.type(b"\x03")
    person.read_until(b">>> ")
    person.type(b"\x1d")
    person.read_until(b"y/N ")
    if how == "interrupt":  # the seat is nobody's terminal, so its Ctrl-C is no signal
        person.process.send_signal(signal.SIGINT)
    else:
        person.type(b"\x04")
    person.read_until(b"so does a reset.")
    assert person.end() == 0


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (b"I 12 agent idle\r\n", False),
        (b"KeyboardInterrupt: \r\n>>> ", True),
        (b">>> status()\r\nthing    pump\r\n", True),
        (b">>> aws_job.start()\r\nthe agent starts\r\nMPY: soft reboot\r\n", False),
        (b">>> print('soft reboot')\r\n", True),
        (b">>> aws_job.pending()\r\nI 99 mqtt linked x\r\nnothing pending\r\n>>> ", True),
        (b"MPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>", True),
        (b"x" * 5000 + b">>> \r\n", False),
    ],
)
def test_prompt_is_seen_in_whatever_pieces_it_comes(said: bytes, shown: bool):
    whole, bytewise = Prompt(), Prompt()
    whole.feed(said)
    for number in said:
        bytewise.feed(bytes((number,)))
    assert (whole.shown, bytewise.shown) == (shown, shown)


def test_console_without_colours_shows_what_came(board: Board, seat):
    person = seat(board.link, "--plain")
    person.read_until(b"leaves")
    assert b"\x1b" not in person.read_until(b"all well")
    person.type(b"\x18")
    assert person.end() == 0


def test_console_on_a_port_that_is_open_elsewhere_says_so(board: Board, seat):
    other = connect(str(board.link))
    person = seat(board.link)
    person.read_until(b"is busy: another program has it open")
    assert person.end() == 1
    other.close()


def test_console_whose_board_goes_away_says_so_and_restores_the_terminal(board: Board, seat):
    person = seat(board.link)
    person.read_until(b"all well")
    board.stop()
    person.read_until(b"is lost: unplugged, or switched off")
    assert person.end() == 1


def test_console_on_a_port_that_never_answers_says_so_once(tmp_path: Path, seat):
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    (tmp_path / "dead").symlink_to(os.ttyname(theirs))
    person = seat(tmp_path / "dead")
    person.read_until(b"leaves")
    person.type(b"a")
    person.read_until(b"nothing heard: is this the board's port")
    assert os.read(ours, 10) == b"a"
    person.type(b"\x1d")
    assert person.end() == 0
    os.close(ours)
    os.close(theirs)


def test_console_without_a_terminal_refuses(board: Board):
    command = [sys.executable, "-m", "sluice.cli", "console", "--port", str(board.link)]
    done = subprocess.run(command, capture_output=True, text=True, input="", timeout=FUSE_S)
    assert done.returncode == 1
    assert done.stderr == ("sluice: sluice console needs a terminal; for scripts: mpremote exec\n")


LINES = st.lists(
    st.sampled_from(
        [
            b"I 12 agent idle",
            b"E 1 x",
            b"I",
            b"I x",
            b"W 5",
            b"",
            b"  File",
            b'  File "x", line 1, in y',
            b">>> I 5",
            b"\xffD 1",
        ]
    )
).map(b"\r\n".join)


@given(LINES, st.lists(st.integers(0, 80)))
def test_tint_changes_nothing_but_colours_however_the_bytes_come(text, cuts):
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    tint = Tint()
    shown = b"".join(tint.feed(text[a:b]) for a, b in zip(places, places[1:], strict=False))
    assert CODES.sub(b"", shown + tint.rest()) == text
    assert shown.count(RED) == sum(line == b"E 1 x" for line in text.split(b"\r\n"))


@given(st.text("a\r\n\x1b"), st.lists(st.integers(0, 80)))
def test_every_line_ends_with_a_carriage_return_however_the_bytes_come(text, cuts):
    raw, ends = text.encode(), LineEnds()
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    shown = b"".join(ends.feed(raw[a:b]) for a, b in zip(places, places[1:], strict=False))
    assert shown == re.sub(rb"(?<!\r)\n", b"\r\n", raw)
    assert ends.feed(b"") == b""


def test_calls_of_a_traceback_have_the_names_of_the_source():
    module = firmware_sources()["sluice/run.py"]
    name, short = next(iter(renamed(module).items()))
    line = f'  File "run", line 1, in {short}'
    assert readable(line) == f'  File "run", line 1, in {name}'
    agreed, short = next(iter(agreed_names().items()))
    assert agreed in readable(f'  File "run", line 1, in {short}')
    for other in ('  File "app", line 3, in acos', "I 12 run acos", f"  {short}", line[1:]):
        assert readable(other) == other
    tint = Tint()
    text = f"Traceback:\r\n{line}\r\n  in \r\n".encode()
    assert tint.feed(text[:25]) + tint.feed(text[25:]) == text.replace(
        line.encode(), readable(line).encode()
    )


def test_call_that_never_ends_is_shown_as_it_comes():
    tint = Tint()
    line = b'  File "' + b"x" * 300
    assert tint.feed(line) + tint.rest() == line


def test_tint_that_waited_in_vain_gives_what_it_held():
    tint = Tint()
    assert tint.feed(b"I ") == b""
    assert tint.rest() == b"I "
    assert tint.feed(b"1 is not a log line") == b"1 is not a log line"
