"""Makes a board: flash, partition table, factory image, and the thing's files on LittleFS.

DIR/things/NAME/     what `thing create` made: config.json, certificate, keys
DIR/devices/NAME/    flash.bin, meter.bin, provisioned.json and, for the run, rom/ and shims/
"""

import hashlib
import json
import mmap
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sluice.device import norflash
from sluice.device.families import Family
from sluice.device.meter import Meter, raise_power_cut
from sluice.device.norflash import SECTOR, NORFlash
from sluice.errors import SluiceError, meant
from sluice.image.partitions import Partition, Table
from sluice.terminal import remark

if TYPE_CHECKING:
    from littlefs import LittleFS

WINDOW = 4096  # bytes, the least that firmware/config.py takes; less was a number of blocks once
FILE_SYSTEM = "vfs"  # label of the partition
LITTLEFS = {  # MicroPython's VfsLfs2; its littlefs writes disk version 2.1, as this one
    "block_size": SECTOR,
    "read_size": 32,
    "prog_size": 32,
    "cache_size": 128,
    "lookahead_size": 32,
}


@dataclass(frozen=True)
class Chip:
    """The flash and the meter of a device, mapped from its folder."""

    memory: memoryview
    flash: NORFlash
    meter: Meter


class PartitionContext:
    """LittleFS's block device: one partition, through the rules of the flash."""

    def __init__(self, flash: NORFlash, partition: Partition):
        self._flash = flash
        self._start = partition.offset

    def read(self, cfg, block: int, off: int, size: int) -> bytearray:
        into = bytearray(size)
        self._flash.read(self._start + block * SECTOR + off, memoryview(into))
        return into

    def prog(self, cfg, block: int, off: int, data: bytes) -> int:
        self._flash.program(self._start + block * SECTOR + off, bytes(data))
        return 0

    def erase(self, cfg, block: int) -> int:
        self._flash.erase(self._start + block * SECTOR)
        return 0

    def sync(self, cfg) -> int:
        return 0


def open_chip(home: Path, size: int) -> Chip:
    """Map the device's flash and meter; a new chip is blank."""
    home.mkdir(parents=True, exist_ok=True)
    memory = _mapped(home / "flash.bin", size, 0xFF)
    meter = _mapped(home / "meter.bin", norflash.meter_size(size), 0)
    return Chip(memory, NORFlash(memory, meter, raise_power_cut), Meter(meter))


def _mapped(path: Path, size: int, fill: int) -> memoryview:
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fresh.touch(0o600)  # the thing's private key will be in the flash
        fresh.write_bytes(bytes([fill]) * size)
        fresh.rename(path)
    if path.stat().st_size != size:
        raise SluiceError(f"{path} is not of {size} bytes: it belongs to another board")
    with path.open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), size))


def workbench(chip: Chip) -> NORFlash:
    """The same flash, programmed from outside: not counted, and no fuse."""
    unused = bytearray(norflash.meter_size(len(chip.memory)))
    return NORFlash(chip.memory, memoryview(unused), raise_power_cut)


def factory_flash(chip: Chip, table: Table, image: bytes, family: Family) -> None:
    """What esptool does once: table and image; otadata and the file system stay blank."""
    flash = workbench(chip)
    slot = table.first
    if len(image) > slot.size:
        raise SluiceError(f"the factory image has {len(image)} bytes, the slot {slot.size}")
    flash.erase(0, len(chip.memory))
    family.place(flash, slot, image)
    flash.program(*family.table(table))  # last: with it the board exists


def flashed(chip: Chip, table: Table, family: Family) -> bool:
    """Whether factory_flash ran to its end."""
    offset, packed = family.table(table)
    return bytes(chip.memory[offset : offset + 4]) == packed[:4]


def thing_files(state: Path, name: str) -> dict[str, bytes]:
    """The files of the board's root: the thing's, with where the cloud is now.

    raises  SluiceError: no such thing, or a config.json that is not a JSON object
    """
    folder = state / "things" / name
    if not (folder / "config.json").is_file():
        known = (file.parent.name for file in folder.parent.glob("*/config.json"))
        likely = meant(name, known).removeprefix(": ")
        create = shlex.join(["sluice", "thing", "create", name, "--state", str(state)])
        made = f"`{create}` makes it"
        raise SluiceError(f"no thing {name}: {folder}/config.json is missing; {likely or made}")
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    config = _object(folder / "config.json")
    window = config.get("window")
    if type(window) is int and window < WINDOW:
        remark(
            f"note: {folder}/config.json: window {window} is a number of blocks, as it was once; "
            "it is in bytes now: the board takes 262144"
        )
    cloud = state / "cloud.json"
    if cloud.is_file():
        where = _object(cloud)
        config |= {"endpoint": where.get("endpoint"), "port": where.get("mqtt_port")}
        files["config.json"] = json.dumps(config, indent=1).encode()
    return files


def _object(path: Path) -> dict:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SluiceError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise SluiceError(f"{path} is not a JSON object")
    return value


def write_files(chip: Chip, table: Table, home: Path, files: dict[str, bytes]) -> list[str]:
    """Put the files that changed since last time on the board's LittleFS; their names.

    What the device itself wrote stays, unless it is one of these files and the thing's changed.

    raises  SluiceError: a file that the file system does not take, a damaged record of last time
    """
    from littlefs.errors import LittleFSError

    record = home / "provisioned.json"
    known = _object(record) if record.exists() else {}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    changed = sorted(name for name in files if known.get(name) != digests[name])
    if changed:
        with mounted(chip, table) as file_system:
            for name in changed:
                try:
                    with file_system.open(f"/{name}", "wb") as file:
                        file.write(files[name])
                except LittleFSError as error:
                    size = f"{len(files[name]):,} bytes"
                    raise SluiceError(
                        f"{home.name}'s {name} ({size}) cannot be put on the board: {error}"
                    ) from None
        record.write_text(json.dumps(digests, indent=1), encoding="utf-8")
    return changed


def forget_files(home: Path) -> None:
    """A blank file system holds none of the files that were written before."""
    (home / "provisioned.json").unlink(missing_ok=True)


@contextmanager
def mounted(chip: Chip, table: Table) -> Iterator["LittleFS"]:
    """The board's file system, made if the partition is blank; for when the board is off.

    littlefs-python does not keep its file system alive for an open file: close it inside.
    """
    from littlefs import LittleFS
    from littlefs.errors import LittleFSError

    partition = table.labelled(FILE_SYSTEM)
    context = PartitionContext(workbench(chip), partition)
    blocks = partition.size // SECTOR
    file_system = LittleFS(context=context, mount=False, block_count=blocks, **LITTLEFS)
    try:
        file_system.mount()
    except LittleFSError:
        head = chip.memory[partition.offset : partition.offset + 2 * SECTOR]
        if bytes(head).count(0xFF) != len(head):
            raise SluiceError("the board's file system cannot be mounted") from None
        file_system.format()
        file_system.mount()
    with suppress(FileNotFoundError):
        file_system.remove("/.mend")  # never there; LittleFS mends its folders after a cut first
    try:
        yield file_system
    finally:
        file_system.unmount()
