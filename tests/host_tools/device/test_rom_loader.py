"""A board held in its ROM loader: esptool itself writes it, and it starts what was written."""

import hashlib
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from merged import APP, merged
from patience import FUSE_S

from sluice.device import rom_loader
from sluice.device.norflash import NORFlash, meter_size
from sluice.device.rom_loader import ROMS, RomLoader, slip, unslip
from sluice.device.supervisor import Board
from sluice.errors import SluiceError
from sluice.flash import boards
from sluice.image import pack_image, partitions

SIZE = 0x40000  # bytes of a small flash
KINDS = {kind.mcu: kind for kind in boards.kinds() if kind.offset is not None}


def esptool(port: Path, *words: str) -> subprocess.CompletedProcess:
    line = [sys.executable, "-m", "esptool", "--port", str(port), *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=FUSE_S)


@pytest.fixture
def held(tmp_path: Path, release: str):
    """A function: board's name → one that waits for esptool; all are switched off at the end."""
    made: list[Board] = []

    def make(name: str) -> Board:
        made.append(
            Board(tmp_path, f"lamp{len(made)}", board=name, link=tmp_path / "port", download=True)
        )
        made[-1].start().wait_for("download: waits")
        return made[-1]

    yield make
    for board in made:
        board.stop()


@pytest.mark.parametrize("mcu", KINDS)
def test_esptool_writes_every_chip_and_the_board_starts_what_it_wrote(held, mcu, tmp_path):
    kind = KINDS[mcu]
    content = merged(kind, app=pack_image("3.1.4", {}, chip=mcu))
    file = tmp_path / "firmware.bin"
    file.write_bytes(content)
    board = held(kind.name)
    done = esptool(board.link, "--chip", mcu, "write-flash", hex(kind.offset), str(file))
    assert done.returncode == 0, done.stderr
    assert "Stub flasher running" in done.stdout and "Hash of data verified" in done.stdout
    board.wait_for(rf"^download: {len(content)} bytes at {kind.offset:#x}$")
    board.wait_for(r"^boot: ota_0 3.1.4 new-board$")
    for begin, end in (
        (kind.offset, board.table.otadata.offset),
        (APP, kind.offset + len(content)),
    ):
        held_there = bytes(board.flash[begin:end])
        assert held_there == content[begin - kind.offset : end - kind.offset]


def test_command_holds_a_board_and_esptool_without_its_stub_writes_it_too(tmp_path):
    port = tmp_path / "port"
    line = ["device", "run", "lamp", "--state", str(tmp_path), "--download", "--pty", str(port)]
    command = [sys.executable, "-m", "sluice.cli", *line]
    (tmp_path / "app.bin").write_bytes(pack_image("", {}, 70_001))
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as board:
        try:
            assert board.stdout.readline().startswith("MicroPython ")
            assert board.stdout.readline() == "download: waits for esptool\n"
            done = esptool(port, "--no-stub", "write-flash", hex(APP), str(tmp_path / "app.bin"))
            assert done.returncode == 0, done.stderr
            assert "Detecting chip type... ESP32" in done.stdout
            _, complaint = board.communicate(timeout=FUSE_S)
        finally:
            board.kill()
    assert board.returncode == 1
    assert complaint == "sluice: no boot loader at 0x1000 of flash: this board resets for ever\n"


def test_board_whose_file_has_other_partitions_does_not_pretend_to_start(held, tmp_path):
    one = partitions.Partition("factory", partitions.APP, 0, APP, 0x1F0000)
    (tmp_path / "firmware.bin").write_bytes(merged(KINDS["esp32"], partitions.Table((one,))))
    board = held("SIM_ESP32")
    esptool(board.link, "--chip", "esp32", "write-flash", "0x1000", str(tmp_path / "firmware.bin"))
    with pytest.raises(SluiceError, match="partitions in flash are not those of SIM_ESP32"):
        board.join()


def test_board_that_is_left_alone_stays_in_its_rom(held, tmp_path):
    board = held("SIM_ESP32")
    done = esptool(board.link, "--chip", "esp32", "flash-id")
    assert "Detected flash size: 4MB" in done.stdout, done.stderr
    board.stop()
    assert not [line for line in board.lines if line.startswith("boot: ")]


def test_board_in_its_rom_needs_a_port_and_a_rom_that_esptool_knows(tmp_path, release):
    with pytest.raises(SluiceError, match="needs a serial port"):
        Board(tmp_path, "lamp", download=True)
    other = Board(tmp_path, "lamp", board="SIM_W800", link=tmp_path / "port", download=True)
    with pytest.raises(SluiceError, match="SIM_W800 has no ROM loader"):
        other.start().join()


# --- what it answers -----------------------------------------------------------------------------


class Line:
    """A ROM loader of a small ESP32, asked one command at a time."""

    def __init__(self) -> None:
        self.memory = bytearray(b"\xff" * SIZE)
        meter = memoryview(bytearray(meter_size(SIZE)))
        self.loader = RomLoader(
            ROMS["esp32"], NORFlash(memoryview(self.memory), meter, lambda: None), SIZE
        )

    def ask(self, command: int, data: bytes, checksum: int = 0) -> bytes:
        """What follows the head of the answer: data and status."""
        packet = struct.pack("<BBHI", 0, command, len(data), checksum) + data
        answer = self.loader.feed(slip(packet))
        kind, same, size, _ = struct.unpack_from("<BBHI", unslip(answer[1:-1]))
        body = unslip(answer[1:-1])[8:]
        assert (kind, same, size) == (1, command, len(body))
        return body

    def block(self, command: int, content: bytes, checksum: int | None = None) -> bytes:
        folded = 0xEF
        for number in content:
            folded ^= number
        head = struct.pack("<IIII", len(content), 0, 0, 0)
        return self.ask(command, head + content, folded if checksum is None else checksum)


@pytest.fixture
def line() -> Line:
    return Line()


GOOD = bytes(4)


def test_blocks_are_programmed_where_they_were_announced(line):
    content = bytes(range(0xB0, 0xF0)) * 16  # with the bytes that a frame has to escape
    assert line.ask(rom_loader.FLASH_BEGIN, struct.pack("<IIII", 1024, 1, 1024, 0x3000)) == GOOD
    assert line.block(rom_loader.FLASH_DATA, content) == GOOD
    assert line.memory[0x3000:0x3400] == content
    assert line.loader.written == {0x3000: 1024}
    digest = line.ask(rom_loader.SPI_FLASH_MD5, struct.pack("<IIII", 0x3000, 1024, 0, 0))
    assert digest == hashlib.md5(content).hexdigest().encode() + GOOD


# fmt: off
@pytest.mark.parametrize(
    ("command", "data", "reason"),
    [
        (rom_loader.FLASH_BEGIN,   struct.pack("<IIII", 1024, 1, 1024, SIZE), rom_loader.REFUSED),
        (rom_loader.SPI_FLASH_MD5, struct.pack("<IIII", SIZE, 1, 0, 0),       rom_loader.REFUSED),
        (rom_loader.SECURITY_INFO, b"",                                       rom_loader.UNKNOWN),
        (rom_loader.ERASE_FLASH,   b"",                                       rom_loader.UNKNOWN),
        (rom_loader.READ_REG,      b"\0",                                     rom_loader.UNKNOWN),
        (rom_loader.SYNC,          b"hello",                                  rom_loader.UNKNOWN),
        (0x77,                     b"",                                       rom_loader.UNKNOWN),
    ],
)
# fmt: on
def test_command_that_it_cannot_do_is_refused_with_the_reason(line, command, data, reason):
    assert line.ask(command, data) == bytes([1, reason, 0, 0])


def test_block_that_was_damaged_or_goes_too_far_is_not_written(line):
    line.ask(rom_loader.FLASH_BEGIN, struct.pack("<IIII", 16, 1, 16, 0))
    assert line.block(rom_loader.FLASH_DATA, bytes(16), 0)[1] == rom_loader.BAD_SUM
    assert line.block(rom_loader.FLASH_DATA, bytes(17))[1] == rom_loader.WRITE_FAULT
    line.ask(rom_loader.DEFL_BEGIN, struct.pack("<IIII", 16, 1, 16, 0))
    assert line.block(rom_loader.DEFL_DATA, b"no zlib")[1] == rom_loader.WRITE_FAULT
    assert not line.loader.written and line.memory.count(0xFF) == SIZE


def test_noise_on_the_line_is_passed_over_in_any_pieces(line):
    line.loader.feed(b"login: \xc0\xc0\xc0short\xc0" + bytes(9))
    sync = slip(struct.pack("<BBHI", 0, rom_loader.SYNC, 36, 0) + b"\x07\x07\x12\x20" + b"U" * 32)
    answers = b"".join(line.loader.feed(bytes([number])) for number in sync)
    assert answers.count(b"\xc0\x01\x08") == 8
