"""W800's partition table: partitions.csv on the host, and the table at 0xE000 in flash.

Source: WinnerMicro wm_iot_sdk, "partition table".
"""

import csv
import hashlib
import struct
from pathlib import Path

from sluice.errors import SluiceError
from sluice.image.partitions import APP, DATA, SECTOR, Partition, Table

TABLE = 0xE000  # offset in flash
MAGIC = 0xA1F2F39F
FIXED = {"ft": (0, 0x2000), "bootloader": (0x2000, 0xC000), "partition_table": (TABLE, SECTOR)}
NEEDED = ("app", "app_ota", "vfs", "nvs")
_ROW = struct.Struct("<16s3I")
_HEAD = struct.Struct("<IHHI")


class StagedTable(Table):
    """A table with one slot and its staging area."""

    @property
    def factory(self) -> None:
        """None: its boot loader knows of none."""
        return None

    @property
    def slots(self) -> list[Partition]:
        """The slot that runs, then the staging area."""
        return [self.labelled("app"), self.labelled("app_ota")]


def read_csv(path: Path) -> StagedTable:
    """The table of a board; SluiceError on what the chip would not take."""
    rows = []
    lines = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.split("#")[0].strip()
    ]
    for fields in csv.reader(lines):
        try:
            label, offset, size = (field.strip() for field in fields)
            kind = APP if label in ("app", "app_ota") else DATA
            rows.append(Partition(label, kind, 0, int(offset, 0), int(size, 0)))
        except ValueError as error:
            raise SluiceError(f"{path.name}: bad row {','.join(fields)}") from error
    table = StagedTable(tuple(sorted(rows, key=lambda row: row.offset)))
    _check(table, path.name)
    return table


def _check(table: StagedTable, name: str) -> None:
    found = {row.label: (row.offset, row.size) for row in table.rows}
    for label, place in FIXED.items():
        if found.get(label) != place:
            raise SluiceError(f"{name}: {label} does not lie where the chip has it")
    for label in NEEDED:
        table.labelled(label)
    end = 0
    for row in table.rows:
        if row.offset % SECTOR or row.size % SECTOR or not row.size:
            raise SluiceError(f"{name}: {row.label} is not aligned")
        if row.offset < end:
            raise SluiceError(f"{name}: {row.label} begins before 0x{end:x}")
        end = row.offset + row.size


def pack(table: Table) -> bytes:
    """The table as it lies in flash, MD5 included."""
    rows = [_ROW.pack(row.label.encode(), row.offset, row.size, 0) for row in table.rows]
    packed = _HEAD.pack(MAGIC, 0, len(rows), 0) + b"".join(rows)
    return packed + hashlib.md5(packed).digest()
