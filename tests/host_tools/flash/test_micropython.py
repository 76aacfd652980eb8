"""Writing MicroPython itself: what esptool is told, and what it never gets to write.

There is no chip here: esptool's command line is run as far as it goes without a port.
"""

from pathlib import Path

import pytest
from merged import merged

from host_tools import cli
from host_tools.device import partitions
from host_tools.errors import SluiceError
from host_tools.flash import boards, micropython
from host_tools.image import make_image

OTA = boards.named("ESP32_GENERIC_OTA")
C3 = boards.named("ESP32_GENERIC_C3")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    file = tmp_path / "firmware.bin"
    file.write_bytes(merged(OTA))
    return file


@pytest.mark.parametrize("kind, offset", [(OTA, "0x1000"), (C3, "0x0")], ids=lambda x: str(x)[:9])
def test_esptool_is_told_the_offset_of_the_board(image: Path, kind, offset):
    words = micropython.command("/dev/ttyUSB0", kind, image, erase=True)
    assert words[2:] == [
        *("esptool", "--chip", kind.mcu, "--port", "/dev/ttyUSB0"),
        *("write-flash", "--erase-all", offset, str(image)),
    ]
    assert "--erase-all" not in micropython.command("/dev/ttyUSB0", kind, image, erase=False)


def test_esptool_understands_what_it_is_told(image: Path, tmp_path: Path, capfd):
    words = micropython.command(str(tmp_path / "no-port"), OTA, image, erase=True)
    with pytest.raises(SluiceError, match="could not write; its last lines"):
        micropython.write(words)
    said = "".join(capfd.readouterr())
    assert "no-port" in said
    assert "Usage" not in said and "Invalid" not in said


def test_merged_image_with_slots_is_taken(image: Path, tmp_path: Path):
    micropython.check(image, OTA)
    other = tmp_path / "c3.bin"
    other.write_bytes(merged(C3))
    micropython.check(other, C3)


def one_slot() -> partitions.Table:
    app = partitions.Partition("factory", partitions.APP, 0, 0x10000, 0x1F0000)
    return partitions.Table((app,))


# fmt: off
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (make_image("1.0.0", modules={}),            "is an app image, for `sluice deploy`"),
        (merged(OTA, one_slot()),                    "has no OTA partitions"),
        (merged(OTA, chip=9),                        "is for chip id 9, ESP32_GENERIC_OTA has 0"),
        (merged(OTA)[:0x6000],                       "holds no partition table"),
        (b"",                                        "is not MicroPython's firmware.bin"),
        (b"\xe9",                                    "is not MicroPython's firmware.bin"),
        (b"PK\x03\x04" * 100,                        "is not MicroPython's firmware.bin"),
        (merged(OTA).replace(b"ota_0", b"\xff" * 5), "is damaged"),
    ],
)
# fmt: on
def test_file_that_is_not_for_this_is_refused(tmp_path: Path, content: bytes, said: str):
    file = tmp_path / "firmware.bin"
    file.write_bytes(content)
    with pytest.raises(SluiceError, match=said):
        micropython.check(file, OTA)


def test_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(SluiceError, match="cannot read"):
        micropython.check(tmp_path / "none.bin", OTA)


def test_board_that_esptool_does_not_write_is_refused(image: Path):
    with pytest.raises(SluiceError, match="SIM_ESP32 is not one that esptool writes"):
        micropython.command("/dev/ttyUSB0", boards.named("SIM_ESP32"), image, erase=False)


def test_rehearsal_prints_the_line_and_runs_nothing(image: Path, capsys):
    line = ["flash", "--port", "/dev/ttyUSB0", "--board", OTA.name, "--firmware", str(image)]
    assert cli.main([*line, "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        f"esptool --chip esp32 --port /dev/ttyUSB0 write-flash 0x1000 {image}\n"
    )
