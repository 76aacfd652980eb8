"""The code that runs: takes the trees of agent and application onto the path.

A tree is one file, /app.a, /app.b, /agent.a or /agent.b, and is imported from as it lies there.
The record of those that are whole is in two cells, /trees.0 and /trees.1. docs/bundles.md has
both formats. What is on trial runs once: any failure, hang or reset leads back to what ran before.
Like main.py it stays source, because no .mpy suits every MicroPython. No job replaces them.
"""

import io
import json
import sys
from binascii import crc32, hexlify
from hashlib import sha256
from struct import unpack_from

import vfs


class Member(io.IOBase):
    """A file in a tree. One handle serves all that are open, each of which knows its place."""

    def __init__(self, file, found, mode):
        self._file, self._at, self._end = file, found[1], found[1] + found[6]
        self._text = "b" not in mode

    def __enter__(self):
        return self

    def readinto(self, buf):
        size = min(len(buf), self._end - self._at)
        self._file.seek(self._at)
        self._at += size
        return self._file.readinto(memoryview(buf)[:size])

    def read(self, size=-1):
        data = bytearray(min(size & 0x3FFFFFFF, self._end - self._at))  # -1: all of it
        self.readinto(data)
        return str(data, "utf-8") if self._text else bytes(data)

    def close(self, *words):
        return 0

    ioctl = __exit__ = close


class Tree:
    """A tree as a file system to import from. Raises OSError where it is not what was recorded."""

    mount = Member.close  # nothing to do

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

    def stat(self, path):
        key, at = crc32(path.strip("/").encode()).to_bytes(4, "little"), -1
        while (at := self._index.find(key, at + 1)) % 12:
            if at < 0:
                raise OSError(2)
        place, size = unpack_from("<II", self._index, at + 4)
        return (0x4000 if place == 0xFFFFFFFF else 0x8000, place, 0, 0, 0, 0, size, 0, 0, 0)

    def open(self, path, mode):
        return Member(self._file, self.stat(path), mode)


def recorded():
    """The record in force, or one that names nothing."""
    found = {"seq": 0, "app": [], "agent": [], "new": [], "tried": 0, "slot": None}
    for cell in "01":
        try:
            with open("/trees." + cell, "rb") as file:
                data = file.read(1024)  # more than there can be
            record = json.loads(data[8:])
            if int(data[:8], 16) == crc32(data[8:]) and record["seq"] > found["seq"]:
                found = record
        except (OSError, ValueError, KeyError, TypeError):
            pass
    return found


def keep(record):
    """Write the record, over the older of its two cells."""
    record["seq"] += 1
    text = json.dumps(record).encode()
    with open("/trees.%d" % (record["seq"] & 1), "wb") as file:
        file.write(b"%08x" % crc32(text) + text)


def take_back(record):
    """Have the record name what ran before that which is new."""
    for kind in record["new"]:
        record[kind].pop(0)
    record["new"], record["tried"], record["slot"] = [], 0, None


def decide(record, trial, starts):
    """Have the record name first what is to run; whether a tree goes on trial by that."""
    slot, back = record["slot"], record["tried"]
    if slot:  # what came with an image runs in its slot alone, whose verdict is its own
        Partition = __import__("esp32").Partition
        back = Partition(Partition.RUNNING).info()[4] != slot
    if back:  # the agent has the record say so, too
        take_back(record)
    tried = bool(record["new"]) and not slot
    record["tried"] = int(tried)
    if not tried:
        if starts != 7 or trial or not record["agent"][1:]:  # it came to nothing, so many times
            return False
        record["agent"].reverse()
    try:
        keep(record)  # before anything of it runs
        return tried
    except OSError:
        if tried:
            take_back(record)
    return False


def fits(kind, version, made):
    """False for an agent older than what is there without it. Raises ValueError for other .mpy."""
    if made not in (0, sys.implementation._mpy & 255):
        raise ValueError("not for this MicroPython")
    if kind == "app":
        return True
    try:
        from sluice.version import VERSION as there
    except ImportError:
        there = "0"
    for name in ("sluice.version", "sluice"):
        sys.modules.pop(name, None)
    mine, theirs = [[int(part) for part in text.split(".")] for text in (version, there)]
    return mine >= theirs


def choose(buffer, trial, starts):
    """Take onto the path what the record names: (whether a tree is on trial, {kind: its entry}).
    On any trial raises OSError or ValueError for one that is damaged or cannot be loaded."""
    record, runs = recorded(), {}
    tried = decide(record, trial, starts)
    for kind in ("app", "agent"):  # before what is frozen, which they are newer than; agent first
        for entry in record[kind]:
            try:
                if fits(kind, *entry[2:4]):
                    vfs.mount(Tree("/%s.%s" % (kind, entry[0]), entry[1], buffer), "/." + kind)
                    sys.path.insert(0, "/." + kind)
                    runs[kind] = entry
                    break
                if kind in record["new"]:  # what is tried must run, or its verdict is another's
                    raise ValueError("older than the agent without a tree")
            except (OSError, ValueError) as error:
                print("tree", kind, entry[0], "is passed over:", error)
                if trial or tried:
                    raise
    for name in ("choose", "decide", "fits", "keep", "recorded", "take_back"):
        globals().pop(name)  # the trees stay, and these would with them
    return tried, runs
