"""The model's own modules, as they are linked: small, and the same to those who use them."""

import ast
import re
import subprocess

import pytest
from patience import FUSE_S

from sluice import toolchain
from sluice.device import linker
from sluice.device.endings import PANIC, POWER_CUT
from sluice.device.spare_names import SPARE, new_names


def interned(arch: str, names: list[str]) -> int:
    """How many strings MicroPython interns when it compiles code that uses those names."""
    code = "def self():\n" + "".join(f"    self.{name}\n" for name in names)
    first = "def self():\n    self.append\n"  # what exec itself interns
    source = (
        f"import micropython\nexec({first!r})\nmicropython.qstr_info()\n"
        f"exec({code!r})\nmicropython.qstr_info()\n"
    )
    done = subprocess.run(
        [str(toolchain.micropython(arch)), "-c", source],
        capture_output=True,
        text=True,
        check=True,
        timeout=FUSE_S,
    )
    before, after = re.findall(r"n_qstr=(\d+)", done.stdout)
    return int(after) - int(before)


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_spare_names_are_built_in(arch: str, release: str):
    assert interned(arch, SPARE.split()) == 0
    assert interned(arch, ["append", "not_built_in", "nor_is_this"]) == 2


def test_spare_names_are_each_given_once():
    assert len(set(SPARE.split())) == len(SPARE.split())


def test_names_that_follow_when_the_spare_ones_are_used_up_are_short(tmp_path):
    many = len(SPARE.split()) + 2
    source = "".join(f"_name{number} = {number}\n" for number in range(many))
    given = new_names({tmp_path: ast.parse(source)}, {tmp_path: set()}, set(), set())
    assert list(given.values()) == [*SPARE.split(), "_a", "_b"]


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_model_takes_little_of_the_heap_and_few_names(arch: str, new_board):
    board = new_board(
        "import esp32, gc, machine, micropython\nmicropython.qstr_info()\n"
        "gc.collect()\nprint('taken', gc.mem_alloc())\n",
        arch=arch,
    )
    board.start()
    assert int(board.wait_for(r"n_qstr=(\d+)")[1]) < 70
    assert int(board.wait_for(r"taken (\d+)")[1]) < (9_500 if arch == "i386" else 16_500)


def test_modules_keep_what_programs_say_of_them(new_board):
    board = new_board(
        "import machine, network\nfrom esp32 import Partition\n"
        "found = Partition.find(type=Partition.TYPE_DATA, subtype=0, label='otadata')\n"
        "print('found', len(found), found[0].info()[4])\n"
        "print('causes', machine.PWRON_RESET, machine.HARD_RESET, machine.WDT_RESET,\n"
        "    machine.DEEPSLEEP_RESET, machine.SOFT_RESET)\n"
        "print('radio', network.STA_IF, network.AP_IF, network.WLAN.IF_AP, network.STAT_GOT_IP)\n"
        "machine.WDT(id=0, timeout=9000).feed()\n"
        "print('methods', sorted(n for n in dir(Partition) if n[0] in 'bfgimrsw'))\n"
        "machine.reset()\n"
    )
    board.start().wait_for("reset: machine.reset")
    board.stop()
    assert "found 1 otadata" in board.lines
    assert "causes 1 2 3 4 5" in board.lines
    assert "radio 0 1 1 1010" in board.lines
    methods = ast.literal_eval(board.wait_for(r"methods (.*)")[1])
    assert {"find", "get_next_update", "info", "ioctl"} < set(methods)
    assert {"mark_app_valid_cancel_rollback", "readblocks", "set_boot"} < set(methods)


def test_linked_constants_are_numbers_of_their_own_module():
    linked = linker.link()
    assert f"({PANIC})" in linked["sim_chip"]
    assert f"({POWER_CUT})" in linked["sim_chip"]
    assert "(32)" in linked["machine"]  # of sim_chip, which calls it HARD_RESET too


@pytest.mark.parametrize("module", linker.PARTS)
def test_linked_module_has_no_private_name_left(module: str):
    native = next((chip for chip, names in linker.NATIVE.items() if module in names), "esp32")
    tree = ast.parse(linker.link(native)[module])
    left = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
        and node.name.startswith("_")
        and not node.name.startswith("__")
    }
    assert left == set()
    assert not any(node.posonlyargs for node in ast.walk(tree) if isinstance(node, ast.arguments))


def test_linking_twice_gives_the_same():
    assert linker.link() == linker.link()
