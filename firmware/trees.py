"""The code that runs: takes the trees of agent and application onto the path.

A tree is one file, /app.a, /app.b, /agent.a or /agent.b, and is imported from as it lies there.
The record of those that are whole is in two cells, /trees.0 and /trees.1. docs/bundles.md has
both formats. What is on trial runs once: any failure, hang or reset leads back to what ran before.

main.py loads this, and both stay source: an .mpy would not run on a MicroPython that takes another
version of them. No job replaces them, and they import nothing of the agent but its version.
"""

import io
import json
import sys
from binascii import crc32, hexlify
from hashlib import sha256
from struct import unpack_from

import vfs

_OTHER = 7  # starts in a row that came to nothing: then the agent's other tree is taken


class Member(io.IOBase):
    """A file in a tree. One handle serves all that are open, each of which knows its place."""

    def __init__(self, file, at, size):
        self._file, self._at, self._end = file, at, at + size

    def readinto(self, buf):
        size = min(len(buf), self._end - self._at)
        self._file.seek(self._at)
        self._at += size
        return self._file.readinto(memoryview(buf)[:size])

    def ioctl(self, request, argument):
        return 0

    def read(self, size=-1):
        left = self._end - self._at
        data = bytearray(left if size < 0 else min(size, left))
        self.readinto(data)
        return bytes(data)

    def close(self):
        pass


class Tree:
    """A tree as a file system to import from. Raises OSError where it is not what was recorded."""

    def __init__(self, path, digest, buffer):
        self._file = file = open(path, "rb")
        found, view = sha256(), memoryview(buffer)[:4096]
        while size := file.readinto(view):
            found.update(view[:size])
        end = file.seek(-8, 2)
        if hexlify(found.digest()).decode() != digest:
            raise OSError("damaged")
        file.seek(unpack_from("<I", file.read(4))[0])
        self._index = file.read(end - file.tell())

    def mount(self, readonly, mkfs):
        pass

    def stat(self, path):
        key, at = crc32(path.strip("/").encode()).to_bytes(4, "little"), -1
        while (at := self._index.find(key, at + 1)) % 12:
            if at < 0:
                raise OSError(2)
        place, size = unpack_from("<II", self._index, at + 4)
        return (0x4000 if place == 0xFFFFFFFF else 0x8000, place, 0, 0, 0, 0, size, 0, 0, 0)

    def open(self, path, mode):
        found = self.stat(path)
        return Member(self._file, found[1], found[6])


def recorded():
    """The record in force; None: there is none."""
    found = None
    for cell in "01":
        try:
            with open("/trees." + cell, "rb") as file:
                data = file.read(2048)
            if int(data[:8], 16) == crc32(data[8:]):
                record = json.loads(data[8:])
                if not found or record["seq"] > found["seq"]:
                    found = record
        except (OSError, ValueError):
            pass
    return found


def keep(record):
    """Write the record, over the older of its two cells."""
    record["seq"] += 1
    text = json.dumps(record).encode()
    with open("/trees.%d" % (record["seq"] & 1), "wb") as file:
        file.write(b"%08x" % crc32(text) + text)


def frozen_version():
    """Of the agent that is there without a tree, in numbers; [] where there is none."""
    try:
        from sluice.version import VERSION
    except ImportError:
        return []
    for name in ("sluice.version", "sluice"):
        sys.modules.pop(name)
    return [int(number) for number in VERSION.split(".")]


def fits(kind, version, made):
    """False for an agent that is older than what is there without it. Raises ValueError where
    this MicroPython cannot load what is in the tree."""
    if made not in (0, sys.implementation._mpy & 255):
        raise ValueError("not for this MicroPython")
    return kind == "app" or [int(number) for number in version.split(".")] >= frozen_version()


def choose(buffer, trial, starts):
    """Take onto the path what the record names.

    What came with an image runs in that image's slot alone, and the slot's verdict is its own.

    buffer   of a sector, to read in
    trial    whether an image is on trial
    starts   in a row that came to nothing
    returns  (whether a tree is on trial, {kind: the entry of its tree that runs})
    raises   OSError, ValueError on trial, for a tree that is damaged or that cannot be loaded
    """
    record, runs, tried = recorded(), {}, False
    if not record:
        return tried, runs
    new, slot = record["new"], record["slot"]
    if slot:
        from esp32 import Partition

        back = Partition(Partition.RUNNING).info()[4] != slot
    else:
        back = record["tried"]
        if new and not back:
            trial = tried = record["tried"] = True
            keep(record)  # before anything of it runs
    if back:  # the agent has the record say so, too
        for kind in new:
            record[kind].pop(0)
        record["new"], record["tried"], record["slot"] = [], False, None
    if starts == _OTHER and not trial and len(record["agent"]) > 1:
        record["agent"].reverse()
        keep(record)
    for kind in ("app", "agent"):  # before what is frozen, which they are newer than; agent first
        for entry in record[kind]:
            letter, digest, version, made = entry
            try:
                if fits(kind, version, made):
                    vfs.mount(Tree("/%s.%s" % (kind, letter), digest, buffer), "/." + kind)
                    sys.path.insert(0, "/." + kind)
                    runs[kind] = entry
                    break
            except (OSError, ValueError) as error:
                print("tree", kind, letter, "is passed over:", error)
                if trial:
                    raise
    for name in ("choose", "fits", "frozen_version", "keep", "recorded"):
        globals().pop(name)  # the trees stay, and these would with them
    return tried, runs
