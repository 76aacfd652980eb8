"""MicroPython itself, written with esptool at the offset that board.json has.

The file is the merged one (boot loader, partition table, app), which MicroPython's builds call
firmware.bin. It is looked into first: an app image alone, a file for another chip, or one without
partitions for updates is not written.
"""

import contextlib
import shlex
import struct
import subprocess
import sys
from pathlib import Path

from sluice.board_port import connect
from sluice.device import norflash
from sluice.errors import SluiceError
from sluice.flash.boards import Kind
from sluice.image import partitions
from sluice.image.appimage import DESCRIPTOR, DESCRIPTOR_MAGIC, MAGIC

IMAGE_MAX = 16 * 1024 * 1024  # bytes
_NO_ANSWER, _FATAL = "Failed to connect", "A fatal error occurred: "  # in what esptool says
WRITE_S = 900  # 4 MiB at 115,200 bits a second take six minutes


def command(port: str, kind: Kind, image: Path, erase: bool) -> list[str]:
    """esptool's, with all that is not its default. SluiceError for a board it cannot write."""
    if kind.offset is None:
        raise SluiceError(
            f"{kind.name} is not one that esptool writes: its board.json has no flash_offset"
        )
    words = [
        sys.executable,
        "-P",
        "-m",
        "esptool",
        "--chip",
        kind.mcu,
        "--port",
        port,
        "write-flash",
    ]
    return [*words, *(["--erase-all"] if erase else []), hex(kind.offset), str(image)]


def check(image: Path, kind: Kind) -> None:
    """SluiceError unless the file is a merged image for this board, with OTA partitions."""
    try:
        raw = image.read_bytes()[: IMAGE_MAX + 1]
    except OSError as error:
        raise SluiceError(f"cannot read {image}: {error.strerror}") from None
    if len(raw) > IMAGE_MAX or len(raw) < 64 or raw[0] != MAGIC:
        raise SluiceError(f"{image} is not MicroPython's firmware.bin for an ESP32")
    if struct.unpack_from("<I", raw, DESCRIPTOR)[0] == DESCRIPTOR_MAGIC:
        raise SluiceError(
            f"{image} is an app image, for `sluice deploy`; "
            "a board is flashed with firmware.bin, which brings boot loader and partitions"
        )
    chip = raw[12] | raw[13] << 8
    if chip != kind.chip:
        raise SluiceError(f"{image} is for chip id {chip}, {kind.name} has {kind.chip}")
    table = _table(raw, kind.offset or 0)
    if len(table.slots) < 2:
        raise SluiceError(f"{image} has no OTA partitions, so no update could be taken")


def _table(raw: bytes, offset: int) -> partitions.Table:
    """The partition table in the file, which begins at `offset` of flash."""
    at = partitions.TABLE - offset
    rows = raw[at : at + partitions.TABLE_SIZE]
    memory = bytearray(b"\xff" * (partitions.TABLE + norflash.SECTOR))
    memory[partitions.TABLE : partitions.TABLE + len(rows)] = rows
    unused = bytearray(norflash.meter_size(len(memory)))
    flash = norflash.NORFlash(memoryview(memory), memoryview(unused), lambda: None)
    with contextlib.suppress(UnicodeDecodeError):
        return partitions.read_flash(flash)
    raise SluiceError("the partition table in the file is damaged")


def write(words: list[str], port: str) -> None:
    """Run esptool, whose progress is shown as it comes.

    raises  SluiceError: no such port, busy, no answer, or what esptool says
    """
    connect(port).close()  # says in a line what esptool says in five
    print(shlex.join(["esptool", *words[4:]]), flush=True)
    try:
        done = subprocess.run(
            words, stderr=subprocess.PIPE, encoding="utf-8", errors="replace", timeout=WRITE_S
        )
    except subprocess.TimeoutExpired:
        raise SluiceError(f"esptool did not end within {WRITE_S} s") from None
    if done.returncode:
        raise SluiceError(_reason(done.stderr, port))
    sys.stderr.write(done.stderr)  # warnings: a board that has to be reset by hand, for one


def _reason(complaint: str, port: str) -> str:
    """Why it did not write, of all that it said."""
    if _NO_ANSWER in complaint:
        return f"{port} does not answer esptool: hold BOOT, press reset, run again"
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    told = [line.partition(_FATAL)[2] for line in lines if _FATAL in line] or lines[-1:]
    return f"esptool could not write: {told[0] if told else 'it does not say why'}"
