"""Where Mosquitto's dynamic security is: a plugin that comes with the broker."""

import os
from pathlib import Path

from sluice.errors import SluiceError

VARIABLE = "MOSQUITTO_DYNAMIC_SECURITY"
NAME = "mosquitto_dynamic_security.*"
PLACES = ("lib", "lib64", "usr/lib")  # beside the folder of the program, or within it


def find(mosquitto: Path) -> Path:
    """The plugin of that broker; SluiceError when there is none."""
    if chosen := os.environ.get(VARIABLE):
        if not Path(chosen).is_file():
            raise SluiceError(f"${VARIABLE}: no file {chosen}")
        return Path(chosen)
    program = mosquitto.resolve()
    for root in (program.parent, program.parent.parent):
        for place in PLACES:
            for depth in ("", "*/"):  # Debian has a folder for each machine
                if found := next((root / place).glob(depth + NAME), None):
                    return found
    raise SluiceError(
        f"{mosquitto} has no plugin for dynamic security: set ${VARIABLE} to its file"
    )
