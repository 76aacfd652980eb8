"""`image make --merged` and `--bare`: what `sluice flash --firmware` takes, and what is in it."""

import pytest

from sluice.cli import main
from sluice.flash import boards, micropython
from sluice.image import read_image

BOARD = "ESP32_GENERIC_OTA"
APP = 0x10000 - 0x1000  # where its app begins in the file, which begins at 0x1000 of flash


def make(tmp_path, *words: str) -> tuple[int, bytes]:
    """The exit code, and the file if there is one."""
    out = tmp_path / "out.bin"
    code = main(["image", "make", str(out), *words])
    return code, out.read_bytes() if out.exists() else b""


def test_merged_file_is_one_that_a_board_can_be_flashed_with(tmp_path):
    code, data = make(tmp_path, "--bare", "--merged", "--board", BOARD, "--size", "20000")
    assert code == 0
    micropython.check(tmp_path / "out.bin", boards.named(BOARD))
    image = read_image(data[APP:])
    assert (image.size, image.version, image.modules) == (20_000, "", {})


def test_bare_image_is_for_the_chip_of_its_board(tmp_path):
    code, data = make(tmp_path, "--bare", "--board", "ESP32_GENERIC_C3", "--version", "1.26")
    image = read_image(data)
    assert (code, image.chip, image.version, image.modules) == (0, "esp32c3", "1.26", {})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bare", "--merged"), "--merged needs --board NAME"),
        ((), "--version V is needed"),
        (("--bare", "--merged", "--board", "W800"), "not one that esptool writes"),
        (("--bare", "--board", "NOBODYS"), "no board 'NOBODYS'"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(tmp_path, capsys, words, said):
    assert make(tmp_path, *words) == (1, b"")
    complaint = capsys.readouterr().err
    assert said in complaint and complaint.count("\n") == 1
