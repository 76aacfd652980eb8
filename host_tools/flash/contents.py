"""What belongs on a board, by path: the firmware as .mpy, /main.py, and the thing's files."""

import json
from pathlib import Path

from host_tools.compile import FIRMWARE
from host_tools.device.provision import thing_files
from host_tools.errors import SluiceError
from host_tools.image.modules import device_modules

START = "/main.py"
CONFIG = "/config.json"


def firmware(board: str) -> dict[str, bytes]:
    """The modules in /lib, leaves and board.py included, and /main.py that starts them."""
    modules = {path: text for path, text in device_modules(board).items() if path != "main.mpy"}
    files = {f"/lib/{path}": content for path, content in modules.items()}
    return files | {START: (FIRMWARE / "main.py").read_bytes()}


def mpy_version(files: dict[str, bytes]) -> int:
    """The .mpy version that these modules were compiled to."""
    return next(content[1] for path, content in files.items() if path.endswith(".mpy"))


def identity(state: Path, thing: str) -> tuple[dict, dict[str, bytes]]:
    """(config.json, the other files) of a thing, as `sluice thing create` made them.

    raises  SluiceError: no such thing, no JSON, or a file that config.json names is missing; the
            key is, of a thing made with --csr
    """
    files = {f"/{name}": content for name, content in thing_files(state, thing).items()}
    config = json.loads(files.pop(CONFIG))
    for key in ("ca", "certificate", "private_key", "signers", "http_ca"):
        named = config.get(key) or []
        for name in [named] if isinstance(named, str) else named:
            path = str(name).lstrip("/")
            if f"/{path}" not in files:
                place = state / "things" / thing / path
                raise SluiceError(
                    f"config.json of {thing} names {name} as {key}: put it into {place}"
                )
    return config, files
