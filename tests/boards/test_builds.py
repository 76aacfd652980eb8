"""What MicroPython's build would make of a board's files: its cmake, run."""

import subprocess
import sys
from pathlib import Path

import pytest
from patience import FUSE_S

from sluice import boards
from sluice.image.build import CHIPS

BUILT = sorted(
    file.name
    for file in boards.BOARDS.iterdir()
    if file.is_dir() and not file.name.startswith("SIM_") and boards.chip(file.name) in CHIPS
)
OF_IDF = "boards/sdkconfig.idf52"
SDKCONFIGS = ("base", "ble", "usb", "spiram_sx", "riscv", "c3")


@pytest.fixture
def port(tmp_path: Path) -> Path:
    """As much of ports/esp32 as a board's files refer to."""
    (tmp_path / "port/boards").mkdir(parents=True)
    return tmp_path / "port"


def configured(name: str, port: Path, style: str) -> dict[str, str]:
    """What the board's cmake sets, in a port of that style."""
    chip = boards.chip(name)
    for part in SDKCONFIGS:
        (port / f"boards/sdkconfig.{part}").write_text(f"CONFIG_OF_{part}=y\n")
    if style == "common":
        (port / f"boards/mpconfigboard_{chip}_common.cmake").write_text(
            f"set(IDF_TARGET {chip})\n"
            "set(SDKCONFIG_DEFAULTS boards/sdkconfig.base boards/sdkconfig.ble)\n"
        )
    names = ("IDF_TARGET", "SDKCONFIG_DEFAULTS", "MICROPY_FROZEN_MANIFEST")
    script = port / "configure.cmake"
    script.write_text(
        "include(${MICROPY_BOARD_DIR}/mpconfigboard.cmake)\n"
        + "".join(f'message("{key} ${{{key}}}")\n' for key in names)
    )
    defined = [f"-DMICROPY_BOARD_DIR={boards.folder(name)}"]
    if style == "defaults of an IDF":
        defined.append(f"-DSDKCONFIG_IDF_VERSION_SPECIFIC={OF_IDF}")
        (port / OF_IDF).write_text("CONFIG_OF_idf=y\n")
    done = subprocess.run(
        [sys.executable, "-m", "cmake", *defined, "-P", script],
        cwd=port,
        capture_output=True,
        text=True,
        timeout=FUSE_S,
        check=True,
    )
    return dict(line.split(" ", 1) for line in done.stderr.splitlines() if " " in line)


@pytest.mark.parametrize("style", ["defaults", "defaults of an IDF", "common"])
@pytest.mark.parametrize("name", BUILT)
def test_cmake_of_a_board_runs_in_both_styles_of_the_port(name, style, port):
    found = configured(name, port, style)
    folder = boards.folder(name)
    assert found["IDF_TARGET"] == boards.chip(name)
    assert found["MICROPY_FROZEN_MANIFEST"] == str(folder / "manifest.py")
    parts = found["SDKCONFIG_DEFAULTS"].split(";")
    assert parts[0] == "boards/sdkconfig.base"
    assert (parts.index(OF_IDF) if OF_IDF in parts else 0) == ("IDF" in style)
    assert str(folder / "sdkconfig.board") in parts
    assert ("boards/sdkconfig.ble" in parts) is ("BLE" in boards.facts(name)["features"])
    texts = [Path(port, part).read_text() for part in parts]  # as the port joins them
    table = f'CONFIG_PARTITION_TABLE_CUSTOM_FILENAME="{folder / "partitions.csv"}"'
    assert table in texts[-1].splitlines()
