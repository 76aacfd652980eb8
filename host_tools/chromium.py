"""Finds, or fetches for this user, the browser that the tests of the page look with.

    $CHROMIUM   Chromium, or its headless shell, 120 or later

It is looked for there, then on PATH, then in the cache of an earlier run, and is otherwise fetched
as a Debian package without root: half a gigabyte, for tests and pictures alone. `make test` does
that. Where it cannot be had, the tests of the page are skipped, and say so.
"""

import shutil
import sys
from functools import cache as once
from pathlib import Path

from sluice import debian, toolchain
from sluice.debian import LOADERS, TRIPLETS
from sluice.errors import SluiceError

VARIABLE = "CHROMIUM"
NAMES = ("chromium-headless-shell", "chromium", "google-chrome")  # on PATH
OLDEST = 120  # knows all that the page's style is written in
ARCH = "amd64"
PACKAGES = ("chromium-headless-shell", "fonts-inter", "fonts-dejavu-mono")
PROGRAM = Path("usr/lib/chromium/chromium-headless-shell")
LIBRARIES = Path("usr/lib") / TRIPLETS[ARCH]
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
  <alias><family>system-ui</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>sans-serif</family><prefer><family>Inter</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""
# Chromium looks for its files beside the program of its process, which is the loader. It starts
# others of itself by that, too, unless it is told by what; a zygote it does not.
WRAPPER = """\
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export FONTCONFIG_FILE="$here/fonts.conf"
exec "$here/{loader}" --library-path "{libraries}" --argv0 "$0" "$here/{program}" \\
    --browser-subprocess-path="$here/chromium" --no-zygote "$@"
"""


@once
def chromium() -> Path:
    """The browser. ToolchainError when there is none, and none is to be had."""
    found = toolchain.chosen(VARIABLE, _fault)
    for name in NAMES:
        found = found or toolchain.offered(name, _fault)
    if found:
        return found
    home = toolchain.cache() / f"chromium-{ARCH}"
    program = home / "chromium"
    if not program.exists():
        toolchain.publish(_fetch, home, VARIABLE)
        if fault := _fault(program):
            shutil.rmtree(home)
            raise debian.ToolchainError(f"{fault}; set ${VARIABLE} to one that works")
    return program


def _fault(path: Path) -> str | None:
    said = r"(?:Chrom\w+|Headless\w+|Google Chrome\D*) (\d+)"
    return toolchain.version_fault(path, "--version", said, OLDEST, f"Chromium {OLDEST}")


def _fetch(into: Path) -> None:
    """Unpack it, with a script that runs it with the libraries and fonts unpacked beside it."""
    advice = f"set ${VARIABLE} to a Chromium of your own"
    debian.unpack(list(PACKAGES), ARCH, toolchain.SUITE, into, advice)
    loader = PROGRAM.with_name(LOADERS[ARCH])
    shutil.copy(into / LIBRARIES / LOADERS[ARCH], into / loader)
    folders = (PROGRAM.parent, LIBRARIES, LIBRARIES / "pulseaudio")
    libraries = ":".join(f"$here/{folder}" for folder in folders)
    (into / "fonts.conf").write_text(FONTS, encoding="utf-8")
    wrapper = into / "chromium"
    text = WRAPPER.format(loader=loader, libraries=libraries, program=PROGRAM)
    wrapper.write_text(text, encoding="utf-8")
    wrapper.chmod(0o755)


def main() -> int:
    """Have it ready, where that can be; one line."""
    try:
        print(f"{'chromium':24} {chromium()}")
    except SluiceError as error:
        print(f"sluice: {error}: the tests of the page are skipped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
