"""A board's life: trial, rollback, confirmation, resets, watchdog, panic, refusals, power."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from patience import FUSE_S

from sluice import boards, toolchain
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.image import make_image

# The application under test. A board on trial is told by its file "orders" what to do.
SWITCHING = """
import machine, os
from esp32 import Partition
here = Partition(Partition.RUNNING)
print("running", here.info()[4], "cause", machine.reset_cause())
if "switch" in os.listdir("/"):
    os.remove("/switch")
    try:
        here.get_next_update().set_boot()
    except OSError as error:
        print("refused", error.args)
    machine.reset()
if "confirm" in os.listdir("/"):
    Partition.mark_app_valid_cancel_rollback()
if "again" in os.listdir("/"):
    os.remove("/again")
    machine.reset()
"""
FRESH = make_image("2.0.0", 300_000, modules={"main.py": SWITCHING})


def boots(board: Board) -> list[str]:
    return [line for line in board.lines if line.startswith("boot: ")]


def switching(new_board, *files: str, image: bytes = FRESH) -> Board:
    """A board with `image` in ota_1 that will set_boot it and reset; `files` are orders."""
    board = new_board(SWITCHING)
    board.make()
    board.put_image("ota_1", image)
    for name in ("switch", *files):
        board.write_file(f"/{name}", b"")
    return board


def test_new_board_boots_the_factory_image(new_board):
    board = new_board("print('hello')\n")
    assert board.start().join() == 0
    assert board.lines == [
        "boot: ota_0 1.0.0 new-board",
        "hello",
        "end: main returned",
        "flash: 2 operations",
    ]
    assert board.versions == {"ota_0": "1.0.0", "ota_1": None}
    assert stat.S_IMODE((board.home / "flash.bin").stat().st_mode) == 0o600


def test_board_switched_on_again_is_not_new(new_board):
    board = new_board("")
    board.start().join()
    board.start().join()
    assert boots(board) == ["boot: ota_0 1.0.0 new-board", "boot: ota_0 1.0.0 valid"]


def test_image_unconfirmed_is_rolled_back_at_the_next_reset(new_board):
    board = switching(new_board, "again")
    board.start().join()
    assert boots(board) == [
        "boot: ota_0 1.0.0 new-board",
        "boot: ota_1 2.0.0 trial",
        "boot: rolled back ota_1",
        "boot: ota_0 1.0.0 valid",
    ]
    assert board.lines.count("reset: machine.reset") == 2
    assert "running ota_1 cause 2" in board.lines


def test_image_confirmed_stays(new_board):
    board = switching(new_board, "confirm", "again")
    board.start().join()
    assert boots(board)[1:] == ["boot: ota_1 2.0.0 trial", "boot: ota_1 2.0.0 valid"]
    board.start().join()
    assert boots(board)[-1] == "boot: ota_1 2.0.0 valid"


def test_image_unconfirmed_is_rolled_back_by_a_power_cycle(new_board):
    board = switching(new_board)
    board.start().join()
    board.start().join()
    assert boots(board)[-2:] == ["boot: rolled back ota_1", "boot: ota_0 1.0.0 valid"]


def test_old_slot_chosen_again_must_be_confirmed_again(new_board):
    board = switching(new_board, "confirm")
    board.start().join()
    board.write_file("/switch", b"")
    board.start().join()
    assert boots(board)[-1] == "boot: ota_0 1.0.0 trial"


# fmt: off
REFUSED = {
    "wrong_chip":  make_image("2.0.0", 50_000, "esp32c3", modules={"main.py": ""}),
    "flipped_bit": FRESH[:200_000] + bytes([FRESH[200_000] ^ 8]) + FRESH[200_001:],
    "truncated":   FRESH[:200_000],
    "no_image":    b"\xe9 but nothing else" * 100,
    "empty":       b"",
}
# fmt: on


@pytest.mark.parametrize("name", REFUSED)
def test_set_boot_of_a_bad_image_is_refused_and_changes_nothing(name: str, new_board):
    board = switching(new_board, image=REFUSED[name])
    board.start().join()
    assert "refused (-5379, 'ESP_ERR_OTA_VALIDATE_FAILED')" in board.lines
    assert boots(board) == ["boot: ota_0 1.0.0 new-board", "boot: ota_0 1.0.0 valid"]


def test_image_damaged_after_set_boot_is_skipped(new_board):
    board = new_board(
        "import machine\nfrom esp32 import Partition\np = Partition('ota_1')\n"
        "if machine.reset_cause() == 1:\n"
        "    p.set_boot()\n    p.writeblocks(40, b'\\0' * 64, 0)\n    machine.reset()\n"
    )
    board.make()
    board.put_image("ota_1", FRESH)
    board.start().join()
    assert boots(board)[1].startswith("boot: skipped ota_1: the image is bad")
    assert boots(board)[2] == "boot: ota_0 1.0.0 valid"


def test_image_without_modules_panics_on_trial_and_is_rolled_back(new_board):
    foreign = FRESH.replace(b"SLUICE\x00\x01", b"another!")
    board = switching(new_board, image=_resealed(foreign))
    board.start().join()
    assert boots(board)[1:] == [
        "boot: ota_1 2.0.0 trial",
        "boot: rolled back ota_1",
        "boot: ota_0 1.0.0 valid",
    ]
    assert "reset: panic" in board.lines


def _resealed(image: bytes) -> bytes:
    """The image with its checksum and its digest made right."""
    import hashlib
    from functools import reduce

    size = 300_000 // 16 * 16
    body = bytearray(image[: size - 32])
    first, second = body[32 : 32 + int.from_bytes(body[28:32], "little")], body[-20:-4]
    del second
    data = bytes(first) + bytes(body[32 + len(first) + 8 : 32 + len(first) + 24])
    body[-1] = reduce(lambda seed, byte: seed ^ byte, data, 0xEF)
    return bytes(body) + hashlib.sha256(body).digest()


def test_watchdog_unfed_bites(new_board):
    board = new_board(
        "import machine\nif machine.reset_cause() == 3:\n    print('bitten')\nelse:\n"
        "    machine.WDT(timeout=150)\n    while True:\n        pass\n"
    )
    board.start().join()
    assert board.lines[1:4] == ["reset: watchdog", "boot: ota_0 1.0.0 valid", "bitten"]


def test_watchdog_fed_does_not_bite(new_board):
    board = new_board(
        "import machine, time\nw = machine.WDT(timeout=3000)\n"
        "for _ in range(12):\n    time.sleep_ms(300)\n    w.feed()\n"
        "print('alive')\nmachine.reset()\n"
    )
    board.start().wait_for("alive")
    board.wait_for("reset: machine.reset")
    assert "reset: watchdog" not in board.lines


def test_watchdog_bites_after_main_ended(new_board):
    board = new_board(
        "import machine\nif machine.reset_cause() != 3:\n"
        "    machine.WDT(timeout=100)\n    raise ValueError('main is no more')\n"
    )
    board.start().join()
    assert "ValueError: main is no more" in board.lines
    assert "reset: watchdog" in board.lines
    assert board.lines[-2] == "end: main returned"


def test_watchdog_outlives_a_soft_reset(new_board):
    board = new_board(
        "import machine, time\ncause = machine.reset_cause()\nprint('cause', cause)\n"
        "if cause == 1:\n    machine.WDT(timeout=3000)\n    machine.soft_reset()\n"
        "if cause == 5:\n    time.sleep(60)\n"
    )
    board.start().join()
    assert [line for line in board.lines if "cause" in line] == ["cause 1", "cause 5", "cause 3"]
    assert "reset: watchdog" in board.lines


def test_watchdog_is_not_fed_by_soft_resets(new_board):
    board = new_board(
        "import machine, time\ncause = machine.reset_cause()\n"
        "if cause == 1:\n    machine.WDT(timeout=3000)\n"
        "if cause != 3:\n    time.sleep_ms(500)\n    machine.soft_reset()\n"
    )
    board.start().join()
    assert 1 <= board.lines.count("reset: soft") <= 6
    assert board.lines[-4:-1] == [
        "reset: watchdog",
        "boot: ota_0 1.0.0 valid",
        "end: main returned",
    ]


def test_soft_reset_does_not_pass_the_boot_loader(new_board):
    board = new_board(
        "import machine, sys\nif machine.reset_cause() == 1:\n    sys.exit()\nprint('soft')\n"
    )
    board.start().join()
    assert board.lines[:3] == ["boot: ota_0 1.0.0 new-board", "reset: soft", "soft"]


@pytest.mark.parametrize("target", ["Partition(Partition.RUNNING)", "Low()"])
def test_write_to_what_runs_is_a_panic(target: str, new_board):
    board = new_board(
        "import machine\nfrom esp32 import Partition\n"
        "Low = lambda: Partition(0, 4096, (1, 2, 0x8000, 0x1000, 'x', False))\n"
        f"if machine.reset_cause() == 1:\n    {target}.ioctl(6, 0)\n"
    )
    before = board.make() or bytes(board.flash)
    board.start().join()
    assert "reset: panic" in board.lines
    assert any("protected region" in line for line in board.lines)
    otadata = board.table.otadata
    assert board.flash[: otadata.offset] == before[: otadata.offset]


def test_main_that_raises_ends_the_board_with_its_traceback(new_board):
    board = new_board("raise ValueError('nonsense')\n")
    assert board.start().join() == 1
    assert "ValueError: nonsense" in board.lines
    assert "end: main raised" in board.lines


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    ("main", "modules", "said"),
    [
        ("print('frozen main')\n", {}, ["boot.py", "frozen main"]),
        ("print('frozen main')\n", {"boot.py": "print('frozen boot')\n"},
         ["frozen boot", "frozen main"]),
        (None, {"other.py": ""}, ["boot.py", "main.py"]),
    ],
    ids=["main", "both", "neither"],
)  # fmt: skip
def test_what_the_image_has_frozen_comes_before_the_files_of_the_device(
    new_board, frozen, main, modules, said
):
    """As in the port, which looks for each as a frozen module first; and never by `import`."""
    board = new_board(main, modules, frozen=frozen)
    board.make()
    board.write_file("/boot.py", b"print('boot.py')\n")
    board.write_file("/main.py", b"print('main.py')\n")
    board.start().join()
    assert board.lines[1:4] == [*said, "end: main returned"]


def test_boot_that_raises_does_not_keep_main_from_running(new_board):
    board = new_board("print('main')\n", {"boot.py": "raise ValueError('boot')\n"})
    assert board.start().join() == 0
    assert board.lines.index("ValueError: boot") < board.lines.index("main")


def test_power_cut_comes_back_as_a_power_on(new_board):
    board = new_board(
        "import machine, time\nprint('cause', machine.reset_cause())\ntime.sleep(60)\n"
    )
    board.start().wait_for("cause 1")
    seen = len(board.lines)
    board.cut_power()
    board.wait_for("cause 1", after=seen)
    assert "power: cut" in board.lines
    board.stop()
    assert not board.alive


def test_stop_ends_the_process_at_once(new_board):
    board = new_board("while True:\n    pass\n")
    board.start().wait_for("boot: ota_0")
    board.stop()
    assert not board.alive
    assert not any(line.startswith("end:") for line in board.lines)


def test_second_supervisor_on_the_same_flash_is_refused(new_board):
    board = new_board("import time\ntime.sleep(60)\n")
    board.start().wait_for("boot: ota_0")
    other = new_board("")
    with pytest.raises(SluiceError, match="running already"):
        other.start()
    with pytest.raises(SluiceError, match="running already"):
        board.start()
    (board.home / "shims/mark").touch()
    held = new_board(link=board.home / "port", download=True)
    with pytest.raises(SluiceError, match="running already"):
        held.start()
    assert (board.home / "shims/mark").exists() and not held.link.is_symlink()


def test_wait_for_a_line_that_never_comes_shows_the_last_ones(new_board):
    board = new_board("print('something else')\n")
    with pytest.raises(TimeoutError, match="something else"):
        board.start().wait_for("never")


def test_wait_for_looks_only_after_the_given_line(new_board):
    board = new_board("print('one')\n")
    board.start().join()
    assert isinstance(board.wait_for("one"), re.Match)
    with pytest.raises(TimeoutError):
        board.wait_for("one", after=len(board.lines))


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_heap_after_the_start_leaves_room_for_the_agent(arch: str, new_board):
    board = new_board("import gc\ngc.collect()\nprint('free', gc.mem_free())\n", arch=arch)
    free = int(board.start().wait_for(r"free (\d+)")[1])
    assert free > (60_000 if arch == "i386" else 50_000)


def test_modules_frozen_take_less_heap_and_do_the_same(new_board):
    main = "import gc, ota.work\ngc.collect()\nprint('free', gc.mem_free())\n"
    lists = ", ".join("a" * 60)  # 60 bytes of bytecode or more in each function
    work = "".join(f"def f{n}(a):\n    return [a + {n}] * {n} + [{lists}]\n" for n in range(60))
    modules = {"ota/__init__.py": "", "ota/work.py": work + "print(len(f59(1)))\n"}
    free = []
    for frozen in (False, True):
        board = new_board(main, modules, frozen=frozen)
        board.start().join()
        assert "119" in board.lines
        free.append(int(board.wait_for(r"free (\d+)")[1]))
    assert free[1] > free[0] + 2000


# The largest pieces first: each is kept, so the next is of the other area.
PIECES = """import gc
gc.collect()
print("free", gc.mem_free())
kept = []
for _ in range(2):
    size = gc.mem_free()
    while True:
        try:
            kept.append(bytearray(size))
            break
        except MemoryError:
            size -= 32
    print("piece", size)
"""


def test_heap_of_a_chip_is_in_two_areas(new_board):
    board = new_board(PIECES)
    board.start().join()
    free = int(board.wait_for(r"free (\d+)")[1])
    pieces = [int(line.split()[1]) for line in board.lines if line[:5] == "piece"]
    assert 105_000 < free < 112 * 1024 and sum(pieces) > free - 10_000
    assert all(40_000 < size <= 56 * 1024 for size in pieces), pieces


def test_heap_of_another_size_is_in_one(new_board):
    board = new_board(PIECES, heap="113k")
    board.start().join()
    pieces = [int(line.split()[1]) for line in board.lines if line[:5] == "piece"]
    assert pieces[0] > 90_000


# What a board has of these is C on a chip.
MODEL = """import machine, network
try:
    import esp32
except ImportError:
    import w800
del machine, network
import gc
gc.collect()
print("taken", gc.mem_alloc(), "of", gc.mem_alloc() + gc.mem_free())
"""
FILE_SYSTEM = 1_024  # bytes that a chip's takes of the heap, too, and what this program takes


@pytest.mark.parametrize("name", ["SIM_ESP32", "SIM_W800"])
def test_model_gets_the_heap_that_it_takes_and_no_more(name, new_board):
    image = make_image("1.0.0", chip=boards.chip(name), modules={"main.py": MODEL})
    board = new_board(board=name, factory=image)
    board.start().join()
    taken, size = map(int, board.wait_for(r"taken (\d+) of (\d+)").groups())
    script = "import gc; gc.collect(); print(gc.mem_alloc(), gc.mem_alloc() + gc.mem_free())"
    words = [toolchain.micropython("i386"), "-X", "heapsize=112k", "-c", script]
    bare, chip = map(int, subprocess.run(words, capture_output=True, text=True).stdout.split())
    given = size - chip
    assert given > 6_000
    assert given <= taken - bare - FILE_SYSTEM


def test_heap_is_limited(new_board):
    board = new_board("bytearray(112 * 1024)\n")  # all there is
    assert board.start().join() == 1
    assert any("MemoryError" in line for line in board.lines)


def test_radio_and_clock_are_there(new_board):
    board = new_board(
        "import network, ntptime, machine, time\n"
        "w = network.WLAN(network.STA_IF)\n"
        "try:\n    w.connect('a', 'b')\nexcept OSError:\n    print('off')\n"
        "w.active(True)\nw.connect('a', 'b')\n"
        "ntptime.settime()\n"
        "print(w.isconnected(), w.status() == network.STAT_GOT_IP, time.time() > 1_700_000_000)\n"
        "print('id', machine.unique_id().hex())\n"
    )
    board.start().join()
    assert board.lines[1:3] == ["off", "True True True"]
    assert re.fullmatch(r"id [0-9a-f]{12}", board.lines[3])


def run_command(state: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "sluice.cli", "device", "run", "lamp", "--state", state]
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_command_ended_by_a_signal_leaves_no_process(number: int, new_board, state: Path):
    new_board(
        "import ffi\nprint('pid', ffi.open(None).func('i', 'getpid', '')())\n"
        "while True:\n    pass\n"
    ).make()
    with run_command(state) as command:
        try:
            for line in command.stdout:
                if line.startswith("pid "):
                    break
            child = int(line.split()[1])
            command.send_signal(number)
            command.wait(timeout=FUSE_S)
        finally:
            command.kill()
    limit = time.monotonic() + FUSE_S
    while _running(child):
        assert time.monotonic() < limit, "the device outlived its supervisor"
        time.sleep(0.01)
    assert command.returncode == (-number if number == signal.SIGKILL else 0)


def _running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


def test_command_for_an_unknown_thing_is_one_line(tmp_path: Path):
    (tmp_path / "things").mkdir()
    with run_command(tmp_path) as command:
        out, err = command.communicate(timeout=FUSE_S)
    assert command.returncode == 1
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("sluice: no thing lamp")


def test_heap_is_told_in_words(new_board):
    board = new_board("", heap="90k", frozen=True)
    assert board.heap_words == "heap 90k, code in flash"


def test_command_says_every_line_and_its_exit_code_is_the_boards(new_board, state: Path):
    board = new_board("print('hello')\n")
    board.make()
    with run_command(state, "--cut-at", "1") as command:
        out, err = command.communicate(timeout=FUSE_S)
    assert (command.returncode, err) == (0, "")
    assert out.splitlines() == [
        f"MicroPython {board.micropython}; heap 112k in two areas, code in the heap",
        "power: cut",
        "boot: ota_0 1.0.0 new-board",
        "hello",
        "end: main returned",
        "flash: 3 operations",
    ]


def test_thing_file_changed_is_rewritten_and_the_rest_stays(new_board, state: Path):
    board = new_board(
        "import os, json\nprint(sorted(os.listdir('/')))\n"
        "print(json.load(open('/config.json')).get('port'))\n"
        "for name in ('/kept', '/certificate.pem.crt'):\n"
        "    with open(name, 'w') as file:\n        file.write('by the device')\n"
    )
    board.start().join()
    assert board.lines[1:3] == [
        "['certificate.pem.crt', 'config.json', 'rom', 'shims']",
        "None",
    ]
    (state / "cloud.json").write_text(json.dumps({"endpoint": "localhost", "mqtt_port": 4711}))
    board.start().join()
    assert "4711" in board.lines
    assert board.read_file("/kept") == b"by the device"
    assert board.read_file("/certificate.pem.crt") == b"by the device"


@pytest.mark.parametrize("text", ["not json", "[1, 2]", ""])
def test_thing_with_a_bad_config_is_one_clear_error(text: str, new_board, state: Path):
    (state / "things/lamp/config.json").write_text(text)
    with pytest.raises(SluiceError, match=r"config\.json is not"):
        new_board("").start()


def test_thing_with_a_file_that_does_not_fit_is_one_clear_error(new_board, state: Path):
    (state / "things/lamp/movie").write_bytes(bytes(2_000_000))
    with pytest.raises(SluiceError, match=r"lamp's movie \(2,000,000 bytes\) .*NOSPC"):
        new_board("").make()


def test_damaged_record_of_the_files_is_one_clear_error(new_board, state: Path):
    board = new_board("")
    board.make()
    (board.home / "provisioned.json").write_text("[")
    with pytest.raises(SluiceError, match=r"lamp/provisioned\.json is not JSON"):
        board.make()


def test_factory_image_larger_than_the_slot_is_refused(new_board):
    board = new_board("", size=1_600_000)
    with pytest.raises(SluiceError, match="the slot 1572864"):
        board.start()


def test_flash_of_another_size_is_refused(new_board, state: Path):
    home = state / "devices/lamp"
    home.mkdir(parents=True)
    (home / "flash.bin").write_bytes(b"\xff" * 1000)
    with pytest.raises(SluiceError, match="belongs to another board"):
        new_board("").start()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"name": "../lamp"}, "not a thing's name"),
        ({"name": ""}, "not a thing's name"),
        ({"board": "NONESUCH"}, "no board 'NONESUCH'"),
        ({"heap": "much"}, "not a heap size"),
        ({"cut_at": 0}, "counted from 1"),
    ],
)
def test_board_with_a_wrong_option_is_refused(options: dict, reason: str, state: Path):
    with pytest.raises(SluiceError, match=reason):
        Board(state, **{"name": "lamp"} | options)
