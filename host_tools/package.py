"""Writes firmware/package.json: what `mpremote mip install` copies."""

import json
from pathlib import Path

from sluice import __version__
from sluice.compile import FIRMWARE, STARTERS, firmware_sources
from sluice.toolchain import UMQTT

PACKAGE = FIRMWARE / "package.json"


def text() -> str:
    """The package: every module at its place below the target, and what it needs besides. The
    starter, main.py and trees.py, is none of it: it lies in the root, as source."""
    name, _, _ = UMQTT.removeprefix("micropython-").partition("==")
    package = {
        "urls": [
            [path, path] for path, file in firmware_sources().items() if file not in STARTERS
        ],
        "deps": [[name, "latest"]],
        "version": __version__,
    }
    return json.dumps(package, indent=1) + "\n"


def made() -> dict[Path, str]:
    """{package.json: its text}."""
    return {PACKAGE: text()}
