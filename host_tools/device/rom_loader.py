"""The ROM loader of an ESP32, S3 or C3 that was reset with BOOT held: what esptool talks to.

It takes the commands that writing flash needs, and a stub flasher: whatever is sent as one is
taken for esptool's, greets, and from then on commands are answered as that stub does. All flash
commands end in the NOR model. Registers are a dictionary, but for the SPI controller's RDID,
which tells the size of the flash.
Source: Espressif, "Serial Protocol" of esptool's documentation; addresses are those of the
technical reference manuals.
"""

import hashlib
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from sluice.device.norflash import SECTOR, NORFlash
from sluice.device.terminal import Terminal

# fmt: off
SYNC, WRITE_REG, READ_REG = 0x08, 0x09, 0x0A
FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
MEM_BEGIN, MEM_END, MEM_DATA = 0x05, 0x06, 0x07
SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUDRATE = 0x0B, 0x0D, 0x0F
DEFL_BEGIN, DEFL_DATA, DEFL_END = 0x10, 0x11, 0x12
SPI_FLASH_MD5, SECURITY_INFO = 0x13, 0x14
ERASE_FLASH, ERASE_REGION = 0xD0, 0xD1  # the stub's alone
# fmt: on
_WITHOUT_EFFECT = (
    *(MEM_BEGIN, MEM_END, FLASH_END, DEFL_END),
    *(SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUDRATE),
)
UNKNOWN, REFUSED, BAD_SUM, WRITE_FAULT = 0x05, 0x06, 0x07, 0x08  # reasons; the second status byte
_SYNC = b"\x07\x07\x12\x20" + b"\x55" * 32
_SYNCED = 0x20120707  # "value" of the ROM's answer; the stub's is 0
_MAGIC_REG = 0x40001000
_RUN = 1 << 18  # of the SPI controller's first register: a command is under way
_RDID = 0x9F
_WINBOND = 0x40EF  # manufacturer and kind; the third byte of RDID is the capacity
_PAUSE_S = 0.05
_FRAME_MAX = 0x8000  # bytes: a block of the stub's, every byte of it escaped


@dataclass(frozen=True)
class Rom:
    """What differs between the chips.

    boot       where in flash the ROM looks for the boot loader
    spi        base address of the flash's SPI controller
    command    offset there of the register with the command byte, and `data` of its answer
    registers  what others say; the rest say 0. The ESP32 names itself in one
    chip       what the security information names the chip by; None where it has none
    """

    boot: int
    spi: int
    command: int
    data: int
    registers: dict[int, int]
    chip: int | None


_CLOCK = {0x3FF40014: 40_000_000 // 115_200}  # UART divider: a crystal of 40 MHz
ROMS = {
    "esp32": Rom(0x1000, 0x3FF42000, 0x24, 0x80, {_MAGIC_REG: 0x00F01D83} | _CLOCK, None),
    "esp32c3": Rom(0, 0x60002000, 0x20, 0x58, {}, 5),
    "esp32s3": Rom(0, 0x60002000, 0x20, 0x58, {}, 9),
}


class _RefusedError(Exception):
    """A command that failed; `args[0]` is the reason."""


class RomLoader:
    """One chip in download mode.

    flash    its flash, of `size` bytes
    written  {offset: bytes written from there}
    """

    def __init__(self, rom: Rom, flash: NORFlash, size: int):
        self.written: dict[int, int] = {}
        self._rom, self._flash, self._size = rom, flash, size
        self._registers = dict(rom.registers)
        self._stub = False
        self._frame: bytearray | None = None
        self._begin = self._at = self._end = 0
        self._inflate = zlib.decompressobj()

    def feed(self, raw: bytes) -> bytes:
        """Bytes from the line, in any pieces; the bytes to answer with."""
        answers = b""
        for number in raw:
            if number != 0xC0:
                if self._frame is not None and len(self._frame) < _FRAME_MAX:
                    self._frame.append(number)
                continue
            if self._frame:
                answers += self._answer(unslip(bytes(self._frame)))
                self._frame = None
            else:
                self._frame = bytearray()
        return answers

    def _answer(self, packet: bytes) -> bytes:
        if len(packet) < 8 or packet[0]:
            return b""
        _, command, size, checksum = struct.unpack_from("<BBHI", packet)
        data = packet[8:]
        try:
            if size != len(data):
                raise _RefusedError(UNKNOWN)
            value, told = self._run(command, data, checksum)
            status = b"\0\0"
        except (_RefusedError, struct.error) as error:
            reason = error.args[0] if isinstance(error, _RefusedError) else UNKNOWN
            value, told, status = 0, b"", bytes([1, reason])
        body = told + status + (b"" if self._stub else b"\0\0")
        answer = slip(struct.pack("<BBHI", 1, command, len(body), value) + body)
        if command == SYNC and not status[0]:
            return answer * 8
        if command == MEM_END and not self._stub and not status[0]:
            self._stub = True
            return answer + slip(b"OHAI")
        return answer

    def _run(self, command: int, data: bytes, checksum: int) -> tuple[int, bytes]:
        """(value, data) of the answer."""
        if command == SYNC and data == _SYNC:
            return (0 if self._stub else _SYNCED), b""
        if command == READ_REG:
            return self._registers.get(struct.unpack("<I", data)[0], 0), b""
        if command == WRITE_REG:
            self._write_register(*struct.unpack_from("<II", data))
            return 0, b""
        if command in (FLASH_DATA, DEFL_DATA, MEM_DATA):
            self._take(command, data, checksum)
            return 0, b""
        if command == SECURITY_INFO and self._rom.chip is not None:
            return 0, struct.pack("<I8xII", 0, self._rom.chip, 0)
        if command == SPI_FLASH_MD5:
            return 0, self._digest(*struct.unpack_from("<II", data))
        if not self._command(command, data):
            raise _RefusedError(UNKNOWN)
        return 0, b""

    def _command(self, command: int, data: bytes) -> bool:
        """One without an answer; False if there is none such."""
        if command in (FLASH_BEGIN, DEFL_BEGIN):
            self._start(*struct.unpack_from("<IIII", data))
        elif command == ERASE_FLASH and self._stub:
            self._flash.erase(0, self._size)
        elif command == ERASE_REGION and self._stub:
            self._erase(*struct.unpack("<II", data))
        else:
            return command in _WITHOUT_EFFECT
        return True

    def _write_register(self, address: int, value: int) -> None:
        """A command that the SPI controller is told to run is over at once."""
        spi = self._rom.spi
        if address == spi and value & _RUN:
            value = 0
            if self._registers.get(spi + self._rom.command, 0) & 0xFF == _RDID:
                capacity = self._size.bit_length() - 1
                self._registers[spi + self._rom.data] = capacity << 16 | _WINBOND
        self._registers[address] = value

    def _start(self, size: int, blocks: int, block: int, offset: int) -> None:
        """Erases what is to be written; the stub on a chip does so sector by sector."""
        if size:
            self._erase(offset, size)
        self._begin, self._at, self._end = offset, offset, offset + max(size, blocks * block)
        self._inflate = zlib.decompressobj()

    def _erase(self, offset: int, size: int) -> None:
        first = offset - offset % SECTOR
        end = -(-(offset + size) // SECTOR) * SECTOR
        if end > self._size:
            raise _RefusedError(REFUSED)
        self._flash.erase(first, end - first)

    def _take(self, command: int, data: bytes, checksum: int) -> None:
        """A block: its length, number and 8 bytes of nothing come first."""
        block = data[16:]
        folded = 0xEF
        for number in block:
            folded ^= number
        if folded != checksum & 0xFF or len(block) != struct.unpack_from("<I", data)[0]:
            raise _RefusedError(BAD_SUM)
        if command == MEM_DATA:
            return
        try:
            block = self._inflate.decompress(block) if command == DEFL_DATA else block
        except zlib.error:
            raise _RefusedError(WRITE_FAULT) from None
        if self._at + len(block) > min(self._end, self._size):
            raise _RefusedError(WRITE_FAULT)
        self._flash.program(self._at, block)
        self._at += len(block)
        self.written[self._begin] = self._at - self._begin

    def _digest(self, offset: int, size: int) -> bytes:
        if offset + size > self._size:
            raise _RefusedError(REFUSED)
        held = bytearray(size)
        self._flash.read(offset, memoryview(held))
        found = hashlib.md5(held)
        return found.digest() if self._stub else found.hexdigest().encode()


def serve(loader: RomLoader, terminal: Terminal, powered: Callable[[], bool]) -> None:
    """Answer at the port until something was written and whoever wrote it has closed the port.

    That closing is taken for the reset which esptool gives a board last: RTS, a line that a pty
    has not got.
    """
    with terminal.watched():
        while powered() and not (loader.written and not terminal.in_use):
            if terminal.in_use:
                terminal.write(loader.feed(terminal.read(_PAUSE_S)))
            else:
                time.sleep(_PAUSE_S)


def slip(packet: bytes) -> bytes:
    """A frame of RFC 1055, with an end before it, too."""
    return b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


def unslip(frame: bytes) -> bytes:
    """What is between two ends."""
    return frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
