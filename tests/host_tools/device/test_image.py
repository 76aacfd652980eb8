"""Images: exact sizes, what ESP-IDF and esptool accept, and what is refused."""

import json
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from patience import FUSE_S

from sluice.cli import main
from sluice.errors import SluiceError
from sluice.image import archive, make_image, read_image
from sluice.image.appimage import verify
from sluice.image.modules import SELF_TESTS

SLOT = 1_572_864
MODULES = {"main.py": "import agent\n", "agent.py": "print('hello')\n", "sluice/job.py": "x = 1\n"}
GOOD = make_image("1.2.3", 20_000, modules=MODULES)


def changed(offset: int, content: bytes) -> bytes:
    return GOOD[:offset] + content + GOOD[offset + len(content) :]


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
@pytest.mark.parametrize("size", [8191, 8192, 8193, 1_400_000, SLOT - 1, SLOT])
def test_image_of_any_size_has_it_exactly_and_is_whole(size: int, chip: str):
    image = make_image("2.0.0-rc1", size, chip, modules=MODULES)
    assert len(image) == size
    seen = read_image(image)
    assert (seen.chip, seen.version, seen.size) == (chip, "2.0.0-rc1", size)
    assert size - 16 < seen.image_size <= size
    assert sorted(seen.modules) == ["agent.mpy", "main.mpy", "sluice/job.mpy"]


def test_image_of_no_size_is_as_small_as_it_gets():
    least = make_image("1", modules=MODULES)
    assert make_image("1", len(least), modules=MODULES) == least
    with pytest.raises(SluiceError, match=f"these modules take {len(least)}"):
        make_image("1", len(least) - 1, modules=MODULES)


def test_image_made_twice_is_the_same():
    assert make_image("1.2.3", 20_000, modules=MODULES) == GOOD
    assert make_image("1.2.4", 20_000, modules=MODULES) != GOOD


@pytest.mark.parametrize("chip", ["esp32", "esp32s3", "esp32c3"])
@pytest.mark.parametrize("size", [None, 99_999, SLOT])
def test_image_is_accepted_by_esptool(size: int | None, chip: str, tmp_path: Path):
    file = tmp_path / "image.bin"
    file.write_bytes(make_image("9.8.7", size, chip, modules=MODULES))
    done = subprocess.run(
        [sys.executable, "-m", "esptool", "image-info", file],
        capture_output=True,
        text=True,
        timeout=FUSE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("App version: 9.8.7", "Project name: sluice", "(ESP32"):
        assert text in done.stdout
    assert done.stdout.count("(valid)") == 2  # checksum and hash
    assert "warning" not in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize("self_test", SELF_TESTS)
def test_image_with_a_self_test_carries_it_as_app(self_test: str):
    image = read_image(make_image("1", modules=MODULES, app=SELF_TESTS[self_test]))
    assert "app.mpy" in image.modules


# fmt: off
BAD = {
    "empty":               (b"", "only 0 bytes"),
    "text":                (b"hello" * 100, "first byte is 0x68"),
    "unknown_chip":        (changed(12, b"\x63\x00"), "chip id 99"),
    "no_segments":         (changed(1, b"\x00"), "segment count"),
    "too_many_segments":   (changed(1, b"\x11"), "segment count"),
    "odd_segment":         (changed(28, b"\x01"), "segment length"),
    "huge_segment":        (changed(28, b"\x00\x00\x00\x02"), "segment length"),
    "segment_past_end":    (changed(28, b"\x00\x00\x02\x00"), "truncated"),
    "misaligned_segment":  (changed(24, b"\x24"), "wrong offset"),
    "no_descriptor":       (changed(32, b"\x00"), "no app descriptor"),
    "truncated":           (GOOD[:-40], "truncated"),
    "truncated_to_header": (GOOD[:24], "truncated"),
    "flipped_checksum":    (changed(20_000 - 33, b"\x00"), "checksum"),
    "flipped_hash":        (changed(20_000 - 1, b"\x00"), "SHA-256"),
}
# fmt: on


@pytest.mark.parametrize("name", BAD)
def test_image_that_is_bad_is_refused(name: str):
    data, reason = BAD[name]
    with pytest.raises(SluiceError, match=reason):
        read_image(data)


def test_image_with_any_bit_flipped_is_refused():
    dice = random.Random(5)
    for _ in range(300):
        at = dice.randrange(len(GOOD))
        with pytest.raises(SluiceError):
            read_image(changed(at, bytes([GOOD[at] ^ 1 << dice.randrange(8)])))


def test_image_cut_short_anywhere_is_refused():
    dice = random.Random(6)
    for size in [dice.randrange(len(GOOD)) for _ in range(100)]:
        with pytest.raises(SluiceError):
            read_image(GOOD[:size])


def test_boot_loader_without_descriptor_is_named_as_such():
    segment = bytes(268)
    body = bytearray(GOOD[:24]) + struct.pack("<II", 0x3FFF0000, len(segment)) + segment
    body[1], body[23] = 1, 0  # one segment, no hash
    body += bytes(15 - len(body) % 16) + b"\xef"
    with pytest.raises(SluiceError, match="whole firmware.bin"):
        read_image(bytes(body))


def test_verify_on_another_chip_is_refused():
    def read(offset: int, view: memoryview) -> None:
        view[:] = GOOD[offset : offset + len(view)]

    with pytest.raises(ValueError, match="another chip"):
        verify(read, len(GOOD), 9)


def test_verify_ignores_what_follows_the_image():
    assert read_image(GOOD + b"\x00" * 5000).image_size == 20_000


@pytest.mark.parametrize("path", ["/main.mpy", "../main.mpy", "a/../../b.mpy", ""])
def test_archive_with_a_path_outside_is_refused(path: str):
    with pytest.raises(SluiceError):
        archive.pack({path: b""})
    name = path.encode()
    forged = archive.MAGIC + b"\x01\x00" + bytes([len(name)]) + name + bytes(4)
    with pytest.raises(SluiceError, match="outside"):
        archive.unpack(forged)


def test_archive_cut_short_is_refused():
    packed = archive.pack({"main.mpy": b"abc", "sluice/job.mpy": b"defg"})
    assert archive.unpack(packed) == {"main.mpy": b"abc", "sluice/job.mpy": b"defg"}
    for size in range(len(archive.MAGIC), len(packed)):
        with pytest.raises(SluiceError, match="cut short"):
            archive.unpack(packed[:size])
    assert archive.unpack(b"another thing") is None


@pytest.mark.parametrize("version", ["", "x" * 32, "1.0\n"])
def test_version_that_does_not_fit_is_refused(version: str):
    with pytest.raises(SluiceError, match="a version has"):
        make_image(version, modules=MODULES)


def test_source_that_does_not_compile_is_one_line_about_it(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(SluiceError, match=r"main\.py"):
        make_image("1", modules={"main.py": "def :\n"})
    monkeypatch.setattr("sluice.compile.COMPILE_S", 0)
    with pytest.raises(SluiceError, match=r"mpy-cross: main\.py: did not end within 0 s"):
        make_image("1", modules={"main.py": "pass\n"})


def test_show_as_json_tells_all(tmp_path: Path, capsys: pytest.CaptureFixture):
    file = tmp_path / "image.bin"
    file.write_bytes(GOOD)
    assert main(["image", "show", str(file), "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert (seen["chip"], seen["version"], seen["size"]) == ("esp32", "1.2.3", 20_000)
    assert seen["hash"] == "ok"
    assert len(seen["segments"]) == 2
    assert set(seen["modules"]) == {"main.mpy", "agent.mpy", "sluice/job.mpy"}


def test_show_of_a_wrong_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    file = tmp_path / "notes.txt"
    file.write_text("hello, this is not an image at all")
    for path in (file, tmp_path / "missing"):
        assert main(["image", "show", str(path)]) == 1
        seen = capsys.readouterr()
        assert seen.out == ""
        assert seen.err.count("\n") == 1
        assert seen.err.startswith("sluice: ")
        assert path.name in seen.err


def test_make_with_a_missing_application_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    app = tmp_path / "nope.py"
    arguments = ["image", "make", str(tmp_path / "o"), "--version", "1", "--app", str(app)]
    assert main(arguments) == 1
    assert capsys.readouterr().err == f"sluice: no such file: {app}\n"
