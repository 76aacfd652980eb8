"""ESP32's partition table: partitions.csv on the host, 32-byte rows at 0x8000 in flash.

Source: gen_esp32part.py's documented format, ESP-IDF programming guide, "Partition Tables".
"""

import csv
import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sluice.errors import SluiceError

SECTOR = 4096  # bytes, the unit in which flash is erased
TABLE = 0x8000  # offset in flash
TABLE_SIZE = 0xC00  # bytes; the rest of its sector is unused
_MAGIC = 0x50AA
_MD5 = b"\xeb\xeb" + b"\xff" * 14
APP, DATA = 0, 1
OTA_0 = 0x10
_TYPES = {"app": APP, "data": DATA}
# fmt: off
_SUBTYPES = {
    APP:  {"factory": 0, "test": 0x20} | {f"ota_{n}": OTA_0 + n for n in range(16)},
    DATA: {"ota": 0, "phy": 1, "nvs": 2, "coredump": 3, "nvs_keys": 4, "efuse": 5, "fat": 0x81,
           "spiffs": 0x82, "littlefs": 0x83},
}
# fmt: on


@dataclass(frozen=True)
class Partition:
    """One row; offset and size in bytes. What is encrypted takes only lines of 16 bytes."""

    label: str
    type: int
    subtype: int
    offset: int
    size: int
    encrypted: bool = False


@dataclass(frozen=True)
class Table:
    """The rows of one flash, in order of their offsets."""

    rows: tuple[Partition, ...]

    @property
    def slots(self) -> list[Partition]:
        """The update slots, ota_0 first."""
        found = [row for row in self.rows if row.type == APP and row.subtype & 0xF0 == OTA_0]
        return sorted(found, key=lambda row: row.subtype)

    @property
    def factory(self) -> Partition | None:
        """What boots where otadata names no slot, if the table has it."""
        return next((row for row in self.rows if (row.type, row.subtype) == (APP, 0)), None)

    @property
    def first(self) -> Partition:
        """What boots on a new board. SluiceError when the table has no app partition."""
        if self.factory:
            return self.factory
        if not self.slots:
            raise SluiceError("the partition table has no app partition: nothing would boot")
        return self.slots[0]

    @property
    def otadata(self) -> Partition | None:
        """The partition that says which slot boots, if the table has it."""
        return next((row for row in self.rows if (row.type, row.subtype) == (DATA, 0)), None)

    def labelled(self, label: str) -> Partition:
        """The row of that label; SluiceError names the ones there are."""
        for row in self.rows:
            if row.label == label:
                return row
        known = ", ".join(row.label for row in self.rows)
        raise SluiceError(f"no partition {label}; there are {known}")

    @property
    def flash_size(self) -> int:
        """The smallest chip of a power of two of bytes that holds it all."""
        end = max(row.offset + row.size for row in self.rows)
        return 1 << (end - 1).bit_length()


def read_csv(path: Path) -> Table:
    """The table of a board; SluiceError on what ESP-IDF would not build."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SluiceError(f"cannot read {path}: {error.strerror}") from error
    rows = []
    for fields in csv.reader(line for line in lines if line.split("#")[0].strip()):
        try:
            rows.append(_row([field.strip() for field in fields]))
        except (KeyError, ValueError, IndexError) as error:
            raise SluiceError(f"{path.name}: bad row {','.join(fields)}") from error
    table = Table(tuple(sorted(rows, key=lambda row: row.offset)))
    _check(table, path.name)
    return table


def _row(fields: list[str]) -> Partition:
    kind = _TYPES[fields[1]]
    subtype, offset, size = _SUBTYPES[kind][fields[2]], _bytes(fields[3]), _bytes(fields[4])
    flags = set(fields[5].split(":")) - {""} if len(fields) > 5 else set()
    if flags - {"encrypted"}:
        raise ValueError("flags")
    return Partition(fields[0], kind, subtype, offset, size, bool(flags))


def _bytes(text: str) -> int:
    """A number with 0x, K or M, as ESP-IDF's tool reads it."""
    units = {"K": 1024, "M": 1024 * 1024}
    unit = units.get(text[-1].upper(), 1)
    return int(text if unit == 1 else text[:-1], 0) * unit


def _check(table: Table, name: str) -> None:
    end = TABLE + SECTOR
    for row in table.rows:
        step = 0x10000 if row.type == APP else SECTOR
        if row.offset % step or row.size % SECTOR:
            raise SluiceError(f"{name}: {row.label} is not aligned")
        if row.offset < end:
            raise SluiceError(f"{name}: {row.label} begins before 0x{end:x}")
        end = row.offset + row.size
    if not table.rows:
        raise SluiceError(f"{name}: no partitions")


def pack(table: Table) -> bytes:
    """The table as it lies in flash, MD5 included."""
    rows = b"".join(
        struct.pack(
            "<HBBII16sI",
            *(_MAGIC, row.type, row.subtype, row.offset, row.size, row.label.encode()),
            row.encrypted,
        )
        for row in table.rows
    )
    packed = rows + _MD5 + hashlib.md5(rows).digest()
    return packed + b"\xff" * (TABLE_SIZE - len(packed))


def is_table(data: bytes) -> bool:
    """Whether a table begins there."""
    return data[:2] == _MAGIC.to_bytes(2, "little")


class Flash(Protocol):
    """What can be read."""

    def read(self, offset: int, into: memoryview) -> None:
        """Fill `into` from there."""


def read_flash(flash: Flash) -> Table:
    """The table that is in flash; SluiceError when there is none."""
    raw = bytearray(TABLE_SIZE)
    flash.read(TABLE, memoryview(raw))
    rows = []
    for at in range(0, TABLE_SIZE, 32):
        magic, kind, subtype, offset, size, label, flags = struct.unpack_from(
            "<HBBII16sI", raw, at
        )
        if magic != _MAGIC:
            break
        name = label.rstrip(b"\0").decode()
        rows.append(Partition(name, kind, subtype, offset, size, bool(flags & 1)))
    if not rows:
        raise SluiceError("the flash holds no partition table")
    return Table(tuple(rows))
