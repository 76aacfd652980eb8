"""Files of this checkout that are made of others: a test holds each of them to what it is made of.

python -m sluice.made            names those that are old
python -m sluice.made --write    writes them

| files | made of |
|---|---|
| docs/commands/ | the parsers of the commands |
| docs/pictures/update*.svg | host_tools/picture.py |
| firmware/DESIGN.md, its table of states | firmware/sluice/agent/table.py |
| firmware/package.json | the modules of firmware/ |
"""

import argparse
import sys
from pathlib import Path

from sluice import diagram, package, picture, reference
from sluice.compile import ROOT
from sluice.errors import SluiceError

MAKERS = (reference, picture, diagram, package)  # each has `made()`: {file: its text}


def old() -> dict[Path, str | None]:
    """{file: its text, or None where the file is to go} of those that are old. SluiceError."""
    made = {file: text for one in MAKERS for file, text in one.made().items()}
    wrong: dict[Path, str | None] = {
        file: text for file, text in made.items() if _held(file) != text
    }
    strangers = set(reference.FOLDER.glob("*.md")) - made.keys()
    return wrong | dict.fromkeys(sorted(strangers))


def _held(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def main(argv: list[str] | None = None) -> int:
    """0 when no file is old, or the old ones were written."""
    line = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    line.add_argument("--write", action="store_true", help="write the files that are old")
    write = line.parse_args(argv).write
    try:
        wrong = old()
    except SluiceError as error:
        print(f"made: {error}", file=sys.stderr)
        return 1
    for file, text in wrong.items():
        print(file.relative_to(ROOT))
        if write:
            _write(file, text)
    return int(bool(wrong) and not write)


def _write(file: Path, text: str | None) -> None:
    if text is None:
        file.unlink()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
