"""`sluice device run` while another program talks to the board's raw REPL."""

import signal
import subprocess
import sys

import pytest
from patience import FUSE_S

from sluice.board_port import board_at
from sluice.device.raw_repl import BEGUN, Screen

AGENT = "I 12 agent idle"
RAW = "raw REPL; CTRL-B to exit"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ([AGENT, RAW, ">OK{'a': 1}", ">"], [AGENT, BEGUN]),
        ([RAW, "x", "MPY: soft reboot", "reset: soft", RAW, ">Rx"], [BEGUN]),
        ([RAW, "x", "MicroPython on a simulated ESP32; Ctrl-D", ">>> "], [BEGUN, 1, 2]),
        ([RAW, "MicroPython v1.25.0 on 2025-04-15; ESP32", AGENT], [BEGUN, 0, 1]),
        ([RAW, "MicroPython is what I print", AGENT], [BEGUN]),
        ([RAW, "x", "reset: machine.reset", "boot: ota_0 1.0.0 valid", AGENT], [BEGUN, 1, 2, 3]),
        ([RAW, "x", "power: cut", "end: exit 2"], [BEGUN, 1, 2]),
        ([RAW, "MicroPython on x", RAW, "x"], [BEGUN, 0, BEGUN]),
        ([f">>> {RAW}", "x"], [BEGUN]),
    ],
)
def test_what_is_said_to_a_program_is_one_line(said, shown):
    """A number stands for a line after the first of the raw REPL, as it was said."""
    screen, first = Screen(), next(at for at, line in enumerate(said) if line.endswith(RAW))
    lines = [line for line in map(screen.shown, said) if line is not None]
    assert lines == [said[first + 1 + one] if isinstance(one, int) else one for one in shown]


def test_board_that_a_program_works_at_shows_neither_code_nor_answers(tmp_path, release):
    port = tmp_path / "port"
    line = ["device", "run", "lamp", "--state", str(tmp_path), "--blank", "--pty", str(port)]
    words = [sys.executable, "-m", "sluice.cli", *line]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline() for _ in range(2)]
        assert said[1].startswith("boot: ")
        with board_at(str(port)) as board:
            assert board.run("print('an answer')") == "an answer\n"
            board.reset()
        while not said[-1].startswith("reset: machine.reset"):
            said.append(process.stdout.readline())
            assert said[-1], said
        process.send_signal(signal.SIGTERM)
        process.wait(FUSE_S)
    assert f"{BEGUN}\n" in said and said.count(f"{BEGUN}\n") == 1
    assert "an answer" not in "".join(said)
