"""Writes firmware/package.json: what `mpremote mip install` copies.

python -m sluice.package --write     after a module was added or removed; a test holds it
"""

import argparse
import json
import sys

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
        "version": "0",
    }
    return json.dumps(package, indent=1) + "\n"


def main(argv: list[str] | None = None) -> int:
    """0 when the file is, or was made, what it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    if parser.parse_args(argv).write:
        PACKAGE.write_text(text(), encoding="utf-8")
    same = PACKAGE.exists() and PACKAGE.read_text(encoding="utf-8") == text()
    print(f"{PACKAGE.name} is {'as it should be' if same else 'old: run with --write'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
