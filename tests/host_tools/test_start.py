"""What starts a board: a firmware that cannot be imported ends in a reset, after a while."""

import subprocess
from pathlib import Path

import pytest

from host_tools.compile import FIRMWARE
from host_tools.toolchain import micropython

MODULES = {  # in place of the board's
    "machine.py": "def reset():\n    print('reset')\n",
    "time.py": "def sleep(seconds):\n    print('slept', seconds)\n",
}


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ("print('runs')\n", "runs\n"),
        ("import nothing\n", "slept 10\nreset\n"),
        ("x = = 1\n", "slept 10\nreset\n"),
        ("raise SystemExit\n", ""),
    ],
    ids=["runs", "lacks", "broken", "exits"],
)
def test_firmware_that_cannot_be_imported_ends_in_a_reset(
    tmp_path: Path, main: str, said: str, release: str
):
    for name, text in (MODULES | {"main.py": main}).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "root").mkdir()
    command = [micropython("i386"), "-c", (FIRMWARE / "start.py").read_text()]
    words = {"env": {"MICROPYPATH": str(tmp_path)}, "cwd": tmp_path / "root", "timeout": 20}
    done = subprocess.run(command, capture_output=True, text=True, **words)
    assert done.stdout.endswith(said) and ("reset" in done.stdout) == ("reset" in said)
