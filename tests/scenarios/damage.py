"""What otadata and the running image may suffer, and which image the boot loader then starts.

The boot loader's model runs on a copy of the flash, so the board itself does not notice. And
images that nobody signed, whose checksums are right all the same.
"""

import hashlib
import zlib
from collections.abc import Callable, Iterator

from sluice import boards
from sluice.device import families, norflash
from sluice.device.bootloader import NoBootableImage, Start
from sluice.device.meter import raise_power_cut
from sluice.device.norflash import SECTOR, NORFlash
from sluice.device.supervisor import Board
from sluice.image import read_image
from sluice.image.appimage import DIGEST
from sluice.image.w800 import GAP, HEADER

NONE, DAMAGED = "none", "running image damaged"
SPOILT = 5_000  # offset of the byte that is another in a damaged image
_BEFORE_END = 100  # bytes: in a module, and in no length of one
_MULTIPLE = bytes.fromhex("410671db01")  # CRC-32's polynomial: adding it changes no checksum


class Copy:
    """The flash of a board as it is now, for the boot loader to choose from."""

    def __init__(self, board: Board) -> None:
        self._chip = boards.chip(board.board)
        self._family = families.of(self._chip)
        self.table = board.table
        self.memory = bytearray(board.flash)

    def start(self) -> Start | None:
        """What the boot loader starts; None where nothing is whole."""
        meter = memoryview(bytearray(norflash.meter_size(len(self.memory))))
        flash = NORFlash(memoryview(self.memory), meter, raise_power_cut)
        try:
            return self._family.choose(flash, self.table, self._chip, lambda line: None)
        except NoBootableImage:
            return None

    def content(self, start: Start) -> bytes:
        """The bytes of the slot that starts, as an image file has them."""
        row = start.slot
        raw = bytes(self.memory[row.offset : row.offset + row.size])
        return raw[:HEADER] + raw[GAP:] if row.label == "app" else raw

    def spoil(self, start: Start) -> None:
        """Change a byte of what starts."""
        self.memory[start.slot.offset + SPOILT] ^= 1

    def erase(self, offset: int, sectors: int) -> None:
        """Lose what lies there."""
        self.memory[offset : offset + sectors * SECTOR] = b"\xff" * sectors * SECTOR


def outcomes(board: Board) -> Iterator[tuple[str, bytes | None]]:
    """(damage, the slot's bytes that would start with it), without any damage first."""
    for name, harm in _harms(board):
        copy = Copy(board)
        harm(copy)
        start = copy.start()
        yield name, copy.content(start) if start else None


def _harms(board: Board) -> Iterator[tuple[str, Callable[[Copy], None]]]:
    yield NONE, lambda copy: None
    if boards.chip(board.board) != "w800":
        at = board.table.otadata.offset
        yield "otadata blank", lambda copy: copy.erase(at, 2)
        yield "otadata's first record lost", lambda copy: copy.erase(at, 1)
        yield "otadata's second record lost", lambda copy: copy.erase(at + SECTOR, 1)
    yield DAMAGED, _spoil_what_runs


def _spoil_what_runs(copy: Copy) -> None:
    start = copy.start()
    if start:
        copy.spoil(start)


def losses(board: Board, proven: list[bytes]) -> list[str]:
    """In words, what would start though it was not proven, and where nothing would start.

    Only a running image that is damaged may leave none: there need not be a second one.
    """
    found = []
    for damage, content in outcomes(board):
        if content is None:
            found += [] if damage == DAMAGED else [f"{damage}: nothing starts"]
        elif not any(content.startswith(image) for image in proven):
            found.append(f"{damage}: an image starts that was not proven")
    return found


def forged(genuine: bytes) -> bytes:
    """An image with the same first sector and other bytes behind it, its checksums made right."""
    about, other = read_image(genuine), bytearray(genuine)
    place = about.image_size - _BEFORE_END
    if about.chip == "w800":
        for at, byte in enumerate(_MULTIPLE, place):
            other[at] ^= byte
        assert zlib.crc32(other[HEADER : about.image_size]) == zlib.crc32(
            genuine[HEADER : about.image_size]
        )
    else:
        other[place] ^= 0x5A  # twice, so that their sum is the same
        other[place + 1] ^= 0x5A
        end = about.image_size - DIGEST
        other[end : end + DIGEST] = hashlib.sha256(other[:end]).digest()
    assert other[:SECTOR] == genuine[:SECTOR] and other != genuine
    assert read_image(bytes(other)).version == about.version
    return bytes(other)
