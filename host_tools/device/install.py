"""Puts the modules where MicroPython finds them: those of the model, and those of an image."""

import shutil
from pathlib import Path

from sluice.device import romfs


def model(home: Path, modules: dict[str, bytes]) -> None:
    """The model's own: as a ROMFS, and as files for a MicroPython without it."""
    shutil.rmtree(home / "shims", ignore_errors=True)
    _unpack(modules, home / "shims")
    (home / "shims.rom").write_bytes(romfs.pack(modules))


def image(home: Path, modules: dict[str, bytes], frozen: bool) -> None:
    """Those of the image that starts; `frozen`: to be run in place, and not loaded."""
    modules = dict(modules)
    for name in ("boot.mpy", "main.mpy"):  # the port runs them, and nobody imports them
        if name in modules:
            modules[f"frozen_{name}"] = modules.pop(name)
    shutil.rmtree(home / "rom", ignore_errors=True)
    (home / "rom.bin").unlink(missing_ok=True)
    if frozen:
        (home / "rom.bin").write_bytes(romfs.pack(modules))
    else:
        _unpack(modules, home / "rom")


def _unpack(modules: dict[str, bytes], folder: Path) -> None:
    """As files, for MicroPython to load into its heap."""
    folder.mkdir()
    for path, content in modules.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
