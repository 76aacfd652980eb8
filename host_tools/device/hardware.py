"""A board that is switched off: its flash, what is in it, and making it in the first place."""

import fcntl
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from sluice import boards
from sluice.device import families, provision
from sluice.device.meter import Meter
from sluice.device.rom_loader import ROMS, RomLoader, serve
from sluice.device.terminal import Terminal
from sluice.errors import SluiceError
from sluice.image import make_image, pack_image, partitions
from sluice.image.appimage import MAGIC

FACTORY_VERSION = "1.0.0"


class Hardware:
    """One device folder of a state folder, DIR/devices/NAME.

    board    a folder of boards/: its partitions.csv, its board.py, and its chip, from board.json
    factory  the image in ota_0 of a new board; None is this checkout's firmware, as 1.0.0
    partitions  a partitions.csv instead of the board's
    blank    a new board as esptool leaves it, and that stays so: MicroPython alone in ota_0, a
             file system that holds nothing, no need of a thing. A W800's MicroPython has the
             firmware frozen in, as its file system has no room for that
    raises   SluiceError: a name that no thing has, a board without a partition table
    """

    def __init__(
        self,
        state: Path,
        name: str,
        board: str = "SIM_ESP32",
        factory: bytes | None = None,
        blank: bool = False,
        partitions: Path | None = None,
    ):
        if not re.fullmatch(r"[a-zA-Z0-9:_-]{1,128}", name):
            raise SluiceError(f"not a thing's name: {name!r}")
        self.state, self.name, self.board = Path(state), name, board
        self.home = self.state / "devices" / name
        self._chip_name = boards.chip(board)
        self._family = families.of(self._chip_name)
        layout = partitions or boards.folder(board) / "partitions.csv"
        self.table = self._family.read_csv(layout)
        self._factory, self._blank = factory, blank

    def make(self) -> None:
        """Factory-flash a new board; write the thing's files where they changed.

        raises  SluiceError: no such thing, a file that is not JSON, an image that does not fit,
                a board to be blank that is not
        """
        blank = self._blank or self._mark.exists()
        files = {} if blank else provision.thing_files(self.state, self.name)
        chip = self.chip
        with self._locked():
            if not provision.flashed(chip, self.table, self._family):
                if blank:
                    self._mark.touch()
                provision.forget_files(self.home)
                image = self._factory_image(blank)
                provision.factory_flash(chip, self.table, image, self._family)
                with provision.mounted(chip, self.table):
                    pass  # makes the file system, as MicroPython does at its first start
            elif blank and not self._mark.exists():
                raise SluiceError(f"{self.name} is not blank any more: remove {self.home} first")
            provision.write_files(chip, self.table, self.home, files)

    def download(self, terminal: Terminal, powered: Callable[[], bool]) -> dict[int, int]:
        """Held in the ROM loader: esptool writes the flash, all of which is its own from then on.

        returns  {offset: bytes written there}
        raises   SluiceError: another family's, or nothing that would start was written
        """
        rom = ROMS.get(self._chip_name)
        if rom is None:
            raise SluiceError(f"{self.board} has no ROM loader that esptool knows")
        chip = self.chip
        with self._locked():
            loader = RomLoader(rom, provision.workbench(chip), len(chip.memory))
            self._mark.touch()
            provision.forget_files(self.home)
            serve(loader, terminal, powered)
            if loader.written:
                self._check_written(rom.boot)
                with provision.mounted(chip, self.table):
                    pass
        return loader.written

    def _check_written(self, boot: int) -> None:
        """What stands before the app slots; of those the boot loader speaks."""
        if self.flash[boot] != MAGIC:
            raise SluiceError(f"no boot loader at 0x{boot:x} of flash: this board resets for ever")
        if partitions.read_flash(provision.workbench(self.chip)) != self.table:
            raise SluiceError(f"the partitions in flash are not those of {self.board}")

    @property
    def _mark(self) -> Path:
        """There when the board was made blank: what is on its file system is not ours."""
        return self.home / "blank"

    def _factory_image(self, blank: bool) -> bytes:
        if blank and self._family is families.ESP32:
            return pack_image("", {}, chip=self._chip_name)
        return self._factory or make_image(FACTORY_VERSION, chip=self._chip_name, board=self.board)

    @cached_property
    def chip(self) -> provision.Chip:
        """The flash and its meter, mapped; made blank if there is none yet."""
        return provision.open_chip(self.home, self.table.flash_size)

    @property
    def meter(self) -> Meter:
        """Operations and wear of the flash, and the fuse."""
        return self.chip.meter

    @property
    def flash(self) -> memoryview:
        """The whole flash, as it is now. Writing to it is damage."""
        return self.chip.memory

    @property
    def alive(self) -> bool:
        """Whether it is switched on."""
        return False

    def slot_bytes(self, label: str, size: int | None = None) -> bytes:
        """The first `size` bytes of a partition, or all."""
        row = self.table.labelled(label)
        return bytes(self.flash[row.offset : row.offset + (row.size if size is None else size)])

    def put_image(self, label: str, image: bytes) -> None:
        """Write an image into a slot as a programmer would; the board must be off."""
        row = self.table.labelled(label)
        flash = self._workbench()
        flash.erase(row.offset, row.size)
        self._family.place(flash, row, image)

    @property
    def versions(self) -> dict[str, str | None]:
        """{slot: version of the image in it}, None where nothing would boot."""
        found: dict[str, str | None] = {}
        factory = [self.table.factory] if self.table.factory else []
        for slot in [*factory, *self.table.slots]:
            try:
                image = self._family.image(self.chip.flash, slot, self._chip_name)
                found[slot.label] = image.version
            except SluiceError:
                found[slot.label] = None
        return found

    def read_file(self, path: str) -> bytes:
        """A file of the board's file system; the board must be off."""
        self._workbench()
        with (
            provision.mounted(self.chip, self.table) as file_system,
            file_system.open(path, "rb") as file,
        ):
            return file.read()

    def write_file(self, path: str, content: bytes) -> None:
        """Put a file on the board's file system; the board must be off."""
        self._workbench()
        with (
            provision.mounted(self.chip, self.table) as file_system,
            file_system.open(path, "wb") as file,
        ):
            file.write(content)

    def _workbench(self):
        if self.alive:
            raise SluiceError(f"{self.name} is running: switch it off first")
        return provision.workbench(self.chip)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep a second supervisor, of this process or another, off this flash."""
        with (self.home / "lock").open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SluiceError(f"{self.name} is running already") from error
            yield
