"""Writing MicroPython itself: what esptool is told, and what it never gets to write.

There is no chip here. docs/getting-started-esp32.md's test has esptool write the model of one.
"""

import contextlib
import sys
from pathlib import Path

import pytest
from merged import merged

from sluice import cli
from sluice.board_port import connect
from sluice.errors import SluiceError
from sluice.flash import boards, micropython
from sluice.image import make_image, partitions

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
    assert words[1:4] == ["-P", "-m", "esptool"]
    assert words[4:] == [
        *("--chip", kind.mcu, "--port", "/dev/ttyUSB0"),
        *("write-flash", "--erase-all", offset, str(image)),
    ]
    assert "--erase-all" not in micropython.command("/dev/ttyUSB0", kind, image, erase=False)


def refused(port: Path, image: Path, capfd: pytest.CaptureFixture) -> str:
    """The line that `sluice flash --firmware` ends with."""
    line = ["flash", "--port", str(port), "--board", OTA.name, "--firmware", str(image)]
    assert cli.main(line) == 1
    complaint = capfd.readouterr().err
    assert complaint.startswith("sluice: ") and complaint.count("\n") == 1, complaint
    return complaint


def test_port_that_does_not_answer_is_told_with_what_to_do(
    image: Path, dead_port, monkeypatch, capfd
):
    monkeypatch.setenv("ESPTOOL_CONNECT_ATTEMPTS", "1")
    said = refused(dead_port[0], image, capfd)
    assert f"{dead_port[0]} does not answer esptool: hold BOOT, press reset, run again" in said


def test_port_that_is_not_there_or_busy_is_told_before_esptool_runs(
    image: Path, dead_port, tmp_path: Path, capfd
):
    assert "no such port: " in refused(tmp_path / "no-port", image, capfd)
    with contextlib.closing(connect(str(dead_port[0]))):
        assert "is busy: another program has it open" in refused(dead_port[0], image, capfd)


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        ("WARNING: x\nERROR: A fatal error occurred: This chip is ESP32-C3, not ESP32. Wrong\n",
         "esptool could not write: This chip is ESP32-C3, not ESP32. Wrong"),
        ("Traceback\nOSError: [Errno 5]\n", "esptool could not write: OSError: [Errno 5]"),
        ("", "esptool could not write: it does not say why"),
    ],
)  # fmt: skip
def test_what_esptool_says_is_told_in_a_line(
    complaint: str, said: str, dead_port: tuple[Path, int]
):
    words = [sys.executable, "-c", f"import sys; sys.exit({complaint!r})"]
    with pytest.raises(SluiceError) as told:
        micropython.write(words, str(dead_port[0]))
    assert str(told.value) == said


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


def test_last_lines_say_what_was_written_and_what_comes_next(image: Path, capsys, monkeypatch):
    monkeypatch.setattr(micropython, "write", lambda words, port: None)
    line = ["flash", "--port", "a port", "--board", OTA.name, "--firmware", str(image)]
    assert cli.main(line) == 0
    written, following = capsys.readouterr().out.splitlines()
    size = image.stat().st_size
    assert written == f"MicroPython is written: {image}, {size:,} bytes at 0x1000 of flash"
    assert "`sluice thing create NAME`" in following
    assert "`sluice flash --port 'a port' --thing NAME`" in following
