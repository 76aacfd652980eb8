"""The serial port: the real mpremote, and a person at the prompt."""

import contextlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import FUSE_S
from person import Person

from sluice.device import interrupt
from sluice.device.supervisor import Board
from sluice.errors import SluiceError

TICKING = """
import time
n = 0
while True:
    n += 1
    print("tick", n)
    time.sleep_ms(50)
"""


@pytest.fixture
def board(new_board, tmp_path: Path, request: pytest.FixtureRequest) -> Board:
    """A board with a serial port, whose main is running. A test may say of which words."""
    arch = getattr(request, "param", "i386")
    board = new_board(TICKING, link=tmp_path / "port", arch=arch).start()
    board.wait_for("tick 2")
    return board


def mpremote(board: Board, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mpremote", "connect", str(board.link), *arguments],
        capture_output=True,
        text=True,
        timeout=FUSE_S,
    )


def test_mpremote_interrupts_main_and_evaluates(board: Board):
    done = mpremote(board, "eval", "6 * 7")
    assert (done.returncode, done.stdout) == (0, "42\n")
    assert "KeyboardInterrupt: " in board.lines


def test_mpremote_runs_after_a_soft_reset_without_main(board: Board):
    ticks = len(board.lines)
    done = mpremote(board, "exec", "import machine; print(machine.reset_cause())")
    assert done.stdout == "5\n"
    assert "reset: soft" in board.lines[ticks:]
    assert "tick 1" not in board.lines[ticks:]


def test_mpremote_shows_a_traceback_and_fails(board: Board):
    done = mpremote(board, "exec", "1/0")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "Traceback (most recent call last):",
        '  File "<stdin>", line 1, in <module>',
        "ZeroDivisionError: divide by zero",
    ]


def test_mpremote_copies_files_both_ways(board: Board, tmp_path: Path):
    sent, back = tmp_path / "sent", tmp_path / "back"
    sent.write_bytes(bytes(range(256)) * 40)
    assert mpremote(board, "fs", "cp", str(sent), ":data.bin").returncode == 0
    listed = mpremote(board, "resume", "fs", "ls")
    assert "10240 data.bin" in listed.stdout
    assert mpremote(board, "resume", "fs", "cp", ":data.bin", str(back)).returncode == 0
    assert back.read_bytes() == sent.read_bytes()
    board.stop()
    assert board.read_file("/data.bin") == sent.read_bytes()


def test_mpremote_runs_a_script_larger_than_the_paste_window(board: Board, tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text("total = 0\n" + "total += 1\n" * 500 + "print(total)\n")
    assert mpremote(board, "run", str(script)).stdout == "500\n"


def test_mpremote_mounts_a_folder_of_the_host(board: Board, tmp_path: Path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "data.bin").write_bytes(bytes(range(256)))  # Ctrl-C and line ends among them
    code = "print(open('/remote/data.bin', 'rb').read() == bytes(range(256)))"
    done = mpremote(board, "mount", str(shared), "exec", code)
    assert done.stdout.splitlines()[-1] == "True"


def test_mpremote_reset_goes_through_the_boot_loader(board: Board):
    ticks = len(board.lines)
    assert mpremote(board, "reset").returncode == 0
    board.wait_for("boot: ota_0 1.0.0 valid", after=ticks)
    board.wait_for("tick 2", after=ticks)


@pytest.fixture
def person(board: Board):
    person = Person(board.link)
    person.type(b"\x03")
    person.read_until(b">>> ")
    yield person
    person.close()


def test_person_gets_results_with_line_ends_of_a_terminal(person: Person):
    person.type(b"print('a'); 2 + 3\r")
    assert person.read_until(b"5\r\n>>> ").endswith(b"a\r\n5\r\n>>> ")


def test_person_can_correct_a_line(person: Person):
    person.type(b"1 + 8\x7f1\r")
    person.read_until(b"\r\n2\r\n>>> ")


def test_person_can_type_a_block(person: Person):
    person.type(b"for i in range(3):\r    print(i * 11)\r\r")
    assert b"0\r\n11\r\n22\r\n" in person.read_until(b"22\r\n>>> ")


def test_person_sees_a_traceback_and_goes_on(person: Person):
    person.type(b"nonsense\r")
    person.read_until(b"NameError: name 'nonsense' isn't defined\r\n>>> ")
    person.type(b")\r")
    person.read_until(b"SyntaxError: invalid syntax\r\n>>> ")


def test_person_interrupts_what_runs(person: Person):
    person.type(b"exec(\"print('run' + 'ning')\\nwhile True: pass\")\r")
    person.read_until(b"running\r\n")
    person.type(b"\x03")
    person.read_until(b"KeyboardInterrupt: \r\n>>> ")


@pytest.mark.parametrize("board", ["i386", "amd64"], indirect=True)
def test_person_interrupts_whatever_waits(person: Person, monkeypatch: pytest.MonkeyPatch):
    """In the system calls that MicroPython waits in, whose numbers depend on its words."""
    monkeypatch.setattr(interrupt, "_PATIENCE_S", float("inf"))  # in no other
    here = "bind(socket.getaddrinfo('127.0.0.1', 0)[0][-1])"
    person.say("import _thread, asyncio, select, socket, sys, time")
    for setting_up, waiting in (
        ("pass", "time.sleep(99)"),
        ("pass", "sys.stdin.read(1)"),
        ("keys = select.poll(); keys.register(sys.stdin, select.POLLIN)", "keys.poll()"),
        (f"s = socket.socket(); s.{here}; s.listen(1)", "s.accept()"),
        (f"s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.{here}", "s.recvfrom(9)"),
        ("lock = _thread.allocate_lock(); locked = lock.acquire()", "lock.acquire()"),
        ("event = asyncio.Event()", "asyncio.run(asyncio.wait_for(event.wait(), 99))"),
    ):
        person.say(setting_up)
        person.type(f"print('wait' + 'ing'); {waiting}\r".encode())
        person.read_until(b"waiting\r\n")
        assert "KeyboardInterrupt" in person.interrupt(), waiting


def test_person_presses_keys_that_end_a_program_of_the_host_and_not_of_a_board(person: Person):
    person.type(b"import time; print('run' + 'ning'); time.sleep(0.3); print('sl' + 'ept')\r")
    person.read_until(b"running\r\n")
    person.type(b"\x1c\x1a")  # Ctrl-\\, Ctrl-Z
    person.read_until(b"slept\r\n>>> ")


def test_person_soft_resets_and_main_runs_again(person: Person, board: Board):
    person.type(b"\x04")
    person.read_until(b"MPY: soft reboot\r\n")
    person.read_until(b"tick 2\r\n")


@pytest.mark.parametrize("typed", [b"\x04", b"0\r" * 10], ids=["resets", "code"])
def test_ctrl_c_at_any_moment_ends_no_board(new_board, tmp_path: Path, typed: bytes):
    """Over resets, and while code begins and ends."""
    board = new_board("", link=tmp_path / "port").start()
    board.wait_for("simulated ESP32")
    person = Person(board.link)
    for number in range(3000):
        with contextlib.suppress(OSError):  # it may be behind; or ended, see below
            person.type(b"\x03" if number % 2 else typed)
            person.ignore()
        time.sleep(number % 13 / 8000)  # s: at another moment each time
    person.close()
    assert board.alive, board.lines[-8:]


def test_port_with_nobody_attached_does_not_block_the_board(new_board, tmp_path: Path):
    board = new_board(
        "for i in range(3000):\n    print('line', i, 'x' * 60)\n", link=tmp_path / "p"
    ).start()
    board.wait_for("line 2999 x")


def test_port_is_gone_when_the_board_is_off(board: Board, tmp_path: Path):
    assert (tmp_path / "port").is_symlink()
    board.stop()
    assert not (tmp_path / "port").is_symlink()


def test_port_over_a_file_of_that_name_is_refused(new_board, tmp_path: Path):
    (tmp_path / "port").write_text("mine")
    with pytest.raises(SluiceError, match="cannot make"):
        new_board(TICKING, link=tmp_path / "port").start()
    assert (tmp_path / "port").read_text() == "mine"
