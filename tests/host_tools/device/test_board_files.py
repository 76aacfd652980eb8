"""The board's file system from outside, after the power failed."""

import json
import re
from pathlib import Path

from littlefs import LittleFS

from sluice.boards import BOARDS
from sluice.compile import FIRMWARE
from sluice.device import provision
from sluice.device.norflash import SECTOR
from sluice.image import partitions

TABLE = partitions.read_csv(BOARDS / "SIM_ESP32/partitions.csv")
ROOT = TABLE.labelled(provision.FILE_SYSTEM)


class Watched(provision.PartitionContext):
    """Keeps what flash holds within and after each operation: a cut there leaves that."""

    def __init__(self, chip: provision.Chip):
        super().__init__(chip.flash, ROOT)
        self._memory = chip.memory
        self.held: list[bytes] = []

    def _keep(self) -> int:
        self.held.append(bytes(self._memory[ROOT.offset : ROOT.offset + ROOT.size]))
        return 0

    def prog(self, cfg, block: int, off: int, data: bytes) -> int:
        half = len(data) // 2
        super().prog(cfg, block, off, data[:half])
        self._keep()
        super().prog(cfg, block, off + half, data[half:])
        return self._keep()

    def erase(self, cfg, block: int) -> int:
        super().erase(cfg, block)
        return self._keep()


def test_folders_that_a_torn_rename_hides_are_seen(tmp_path: Path):
    chip = provision.open_chip(tmp_path, TABLE.flash_size)
    with provision.mounted(chip, TABLE) as files:
        files.mkdir("/staged")
        for path in ("/staged/0", "/keep"):
            with files.open(path, "wb") as file:
                file.write(b"content")
    context = Watched(chip)
    files = LittleFS(
        context=context, block_count=ROOT.size // SECTOR, **(provision.LITTLEFS | {"mount": True})
    )
    files.mkdir("/data")
    files.mkdir("/data/deep")
    made = len(context.held)
    files.rename("/keep", "/staged/1")
    files.rename("/staged/0", "/data/map")
    files.unmount()
    assert len(context.held) > made + 3
    for held in context.held[made - 1 :]:
        chip.memory[ROOT.offset : ROOT.offset + ROOT.size] = held
        with provision.mounted(chip, TABLE) as found:
            assert {"data", "staged"} <= set(found.listdir("/"))
            assert "deep" in found.listdir("/data")
            kept = [*found.listdir("/"), *found.listdir("/data"), *found.listdir("/staged")]
            assert sorted({"0", "1", "keep", "map"}.intersection(kept)) in (
                ["0", "keep"], ["0", "1"], ["1", "map"],
            )  # fmt: skip


def test_window_in_blocks_of_an_old_thing_is_said(tmp_path: Path, capsys):
    folder = tmp_path / "things" / "pump"
    folder.mkdir(parents=True)
    for window, said in ((8, True), (512, True), (4_096, False), (262_144, False)):
        (folder / "config.json").write_text(json.dumps({"window": window}))
        provision.thing_files(tmp_path, "pump")
        told = capsys.readouterr().err
        assert (f"window {window} is a number of blocks" in told) is said, told


def test_least_window_is_the_boards():
    config = (FIRMWARE / "sluice/config.py").read_text()
    least = re.search(r'"window": +\(\d+_\d+, (\d+), ', config)
    assert int(least[1]) == provision.WINDOW
