"""The files of every folder of boards/: layouts that add up, words that MicroPython knows."""

import ast
import re
import shutil
import subprocess

import esptool.targets as targets
import pytest
from patience import FUSE_S

from sluice import boards
from sluice.compile import ROOT
from sluice.device.norflash import SECTOR
from sluice.errors import SluiceError
from sluice.image import partitions, wmtable
from sluice.image.build import CHIPS

SIMULATED = ROOT / "host_tools/device/shims/w800.py"
NAMES = sorted(file.name for file in boards.BOARDS.iterdir() if file.is_dir())
ESP32 = [name for name in NAMES if boards.chip(name) in CHIPS]
BUILT = [name for name in ESP32 if not name.startswith("SIM_")]
MIB = 1024 * 1024
SIZES = {n * MIB for n in (4, 8, 16, 32)}  # bytes of flash, of modules that there are
MCUS = {"esp32", "esp32s2", "esp32s3", "esp32c2", "esp32c3", "esp32c5", "esp32c6", "w800"}
FEATURES = {"BLE", "Dual-core", "Ethernet", "External Flash", "External RAM", "USB-C", "WiFi"}
FILES = (  # that MicroPython's builds look for in a board of the ESP32 port
    *("board.json", "board.md", "mpconfigboard.cmake", "mpconfigboard.h"),
    *("sdkconfig.board", "partitions.csv", "manifest.py"),
)
REQUIRED = {
    "deploy": list,
    "docs": str,
    "features": list,
    "images": list,
    "mcu": str,
    "product": str,
    "thumbnail": str,
    "url": str,
    "vendor": str,
}
OPTIONAL = {"deploy_options": dict, "variants": dict, "features_non_filterable": list}


TWINS = {  # board that is built or to be built → the simulated one that its tests run on
    **dict.fromkeys(("ESP32_GENERIC_OTA", "ESP32_GENERIC_S3", "ESP32_GENERIC_C3"), "SIM_ESP32"),
    "W800": "SIM_W800",
}


def table(name: str) -> partitions.Table:
    """The board's layout; reading it checks alignment and overlap."""
    return partitions.read_csv(boards.folder(name) / "partitions.csv")


@pytest.mark.parametrize("name", NAMES)
def test_board_json_has_the_words_of_micropythons_own(name):
    facts = boards.facts(name)
    known = REQUIRED | OPTIONAL
    assert facts.keys() <= known.keys() and REQUIRED.keys() <= facts.keys()
    for key, value in facts.items():
        assert isinstance(value, known[key]), key
    assert facts["mcu"] in MCUS
    assert set(facts["features"]) <= FEATURES
    assert facts["product"] and facts["vendor"]
    for file in facts["deploy"]:
        assert (boards.folder(name) / file).is_file(), file


@pytest.mark.parametrize("name", BUILT)
def test_flash_offset_is_where_the_chip_looks_for_its_boot_loader(name):
    rom = targets.CHIP_DEFS[boards.chip(name)]
    stated = boards.facts(name)["deploy_options"]["flash_offset"]
    assert int(stated, 0) == rom.BOOTLOADER_FLASH_OFFSET


@pytest.mark.parametrize("name", ESP32)
def test_layout_is_within_the_flash_and_has_two_equal_slots(name):
    layout = table(name)
    assert layout.flash_size in SIZES
    assert max(row.offset + row.size for row in layout.rows) == layout.flash_size
    assert [slot.label for slot in layout.slots] == ["ota_0", "ota_1"]
    assert len({slot.size for slot in layout.slots}) == 1
    for slot in layout.slots:
        assert slot.offset % 0x10000 == slot.size % 0x10000 == 0
    for row in layout.rows:
        assert row.offset % SECTOR == row.size % SECTOR == 0
    assert layout.otadata.size == 0x2000
    assert {"nvs", "vfs"} <= {row.label for row in layout.rows}
    assert layout.rows[0].offset == partitions.TABLE + SECTOR


@pytest.mark.parametrize("name", ["W800", "SIM_W800"])
def test_layout_of_a_w800_has_a_slot_and_a_staging_area_of_one_size(name):
    layout = wmtable.read_csv(boards.folder(name) / "partitions.csv")
    assert layout.flash_size == 2 * MIB
    assert max(row.offset + row.size for row in layout.rows) <= 2 * MIB
    app, staging = layout.slots
    assert (app.label, staging.label) == ("app", "app_ota") and app.size == staging.size
    for before, after in zip(layout.rows, layout.rows[1:], strict=False):
        assert before.offset + before.size <= after.offset
    assert all(row.offset % SECTOR == row.size % SECTOR == 0 for row in layout.rows)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("late, 0x1F800, 0x1000", "late is not aligned"),
        ("none, 0x1FB000, 0x0", "none is not aligned"),
        ("over, 0x1EF000, 0x2000", "over begins before"),
        ("odd, 0x1FB000", "bad row"),
        ("odd, here, 0x1000", "bad row"),
    ],
)
def test_layout_of_a_w800_that_does_not_add_up_is_refused(tmp_path, row, fault):
    text = (boards.folder("W800") / "partitions.csv").read_text()
    file = tmp_path / "partitions.csv"
    file.write_text(f"{text}{row}\n")
    with pytest.raises(SluiceError, match=fault):
        wmtable.read_csv(file)
    for label in ("bootloader", "app_ota"):
        file.write_text("".join(line for line in text.splitlines(True) if label not in line))
        with pytest.raises(SluiceError, match=label):
            wmtable.read_csv(file)


@pytest.mark.parametrize("name", BUILT)
def test_folder_holds_what_micropython_asks_of_a_board_and_a_word_about_it(name):
    folder = boards.folder(name)
    for file in FILES:
        assert (folder / file).is_file(), file
    assert "two slots" in (folder / "board.md").read_text()


@pytest.mark.parametrize("name", BUILT)
def test_sdkconfig_has_the_flash_of_the_layout_and_rollback(name):
    text = (boards.folder(name) / "sdkconfig.board").read_text()
    rows = dict(
        line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#")
    )
    sizes = [key for key, value in rows.items() if "FLASHSIZE" in key and value == "y"]
    assert sizes == [f"CONFIG_ESPTOOLPY_FLASHSIZE_{table(name).flash_size // MIB}MB"]
    assert rows["CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE"] == "y"
    assert all(key.startswith("CONFIG_") and value in ("", "y") for key, value in rows.items())


@pytest.mark.parametrize("name", BUILT)
def test_board_without_bluetooth_is_so_for_the_compiler_too(name):
    off = "set(BLUETOOTH OFF)" in (boards.folder(name) / "mpconfigboard.cmake").read_text()
    header = (boards.folder(name) / "mpconfigboard.h").read_text()
    assert ("MICROPY_PY_BLUETOOTH        (0)" in header) is off
    assert ("BLE" in boards.facts(name)["features"]) is not off
    for word in ("MICROPY_HW_BOARD_NAME", "MICROPY_HW_MCU_NAME"):
        assert f"#define {word} " in header


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("app2, app, ota_2, 0x28000, 0x10000", "app2 is not aligned"),
        ("late, data, fat, 0x30800, 0x1000", "late is not aligned"),
        ("thick, data, fat, 0x30000, 0x1001", "thick is not aligned"),
        ("over, data, fat, 0x1f000, 0x1000", "over begins before|app begins before"),
        ("early, data, fat, 0x8000, 0x1000", "early begins before"),
        ("odd, data, what, 0x30000, 0x1000", "bad row"),
    ],
)
def test_layout_that_does_not_add_up_is_refused(tmp_path, row, fault):
    file = tmp_path / "partitions.csv"
    file.write_text(f"app, app, ota_0, 0x10000, 0x10000\n{row}\n")
    with pytest.raises(Exception, match=fault):
        partitions.read_csv(file)


W800 = boards.folder("W800")


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_interface_of_a_w800_port_is_c():
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c"]
    done = subprocess.run(
        [*command, W800 / "w800.h"], capture_output=True, text=True, timeout=FUSE_S
    )
    assert done.returncode == 0, done.stderr


def test_interface_of_a_w800_port_is_the_same_in_words_in_c_and_in_the_simulation():
    words = re.findall(r"^\| `(\w+)\(", (W800 / "README.md").read_text(), re.M)
    in_c = re.findall(r"sluice_w800_(\w+)\(", (W800 / "w800.h").read_text())
    simulated = re.findall(r"^def ([a-z]\w+)\(", SIMULATED.read_text(), re.M)
    assert sorted(words) == sorted(in_c) == sorted(simulated)


@pytest.mark.parametrize("name", TWINS)
def test_board_runs_what_its_simulated_twin_was_tested_with(name):
    """Folders are dropped in one by one, so nothing of a board.py is shared."""

    def code(board: str) -> list[str]:
        docstring, *lines = ast.parse((boards.folder(board) / "board.py").read_text()).body
        return [ast.unparse(line).replace(f"'{board}'", "NAME") for line in lines]

    assert code(name) == code(TWINS[name])
