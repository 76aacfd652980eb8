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
        self.file, self.offset, self.length = file, found[1], found[1] + found[6]
        self.text = "b" not in mode

    def __enter__(self):
        return self

    def readinto(self, buf):
        size = min(len(buf), self.length - self.offset)
        self.file.seek(self.offset)
        self.offset += size
        return self.file.readinto(memoryview(buf)[:size])

    def read(self, size=-1):
        data = bytearray(min(size & 0x3FFFFFFF, self.length - self.offset))  # -1: all of it
        self.readinto(data)
        return str(data, "utf-8") if self.text else bytes(data)

    def close(self, *args):
        return 0

    ioctl = __exit__ = close


class Tree:
    """A tree as a file system to import from. Raises OSError where it is not what was recorded."""

    mount = Member.close  # nothing to do

    def __init__(self, path, digest, buffer):
        self.file = file = open(path, "rb")
        total, data = sha256(), memoryview(buffer)[:4096]
        while size := file.readinto(data):
            total.update(data[:size])
        end = file.seek(-8, 2)
        if hexlify(total.digest()).decode() != digest:
            raise OSError("it is damaged")
        file.seek(unpack_from("<I", file.read(4))[0])
        self.index = file.read(end - file.tell())

    def stat(self, path):
        key, start = crc32(path.strip("/").encode()).to_bytes(4, "little"), -1
        while (start := self.index.find(key, start + 1)) % 12:
            if start < 0:
                raise OSError(2)
        offset, size = unpack_from("<II", self.index, start + 4)
        return (0x4000 if offset == 0xFFFFFFFF else 0x8000, offset, 0, 0, 0, 0, size, 0, 0, 0)

    def open(self, path, mode):
        return Member(self.file, self.stat(path), mode)


def recorded():
    """The record in force, or one that names nothing."""
    record = {"seq": 0, "app": [], "agent": [], "new": [], "tried": 0, "slot": None}
    for number in "01":
        try:
            with open("/trees." + number, "rb") as file:
                data = file.read(1024)  # more than there can be
            new = json.loads(data[8:])
            if int(data[:8], 16) == crc32(data[8:]) and new["seq"] > record["seq"]:
                record = new
        except (OSError, ValueError, KeyError, TypeError):
            pass
    return record


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
    slot, failed = record["slot"], record["tried"]
    if slot:  # what came with an image runs in its slot alone, whose verdict is its own
        Partition = __import__("esp32").Partition
        failed = Partition(Partition.RUNNING).info()[4] != slot
    if failed:  # the agent has the record say so, too
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


def fits(kind, version, format):
    """False for an agent older than what is there without it. Raises ValueError for other .mpy."""
    if format not in (0, sys.implementation._mpy & 255):
        raise ValueError("not for this MicroPython")
    if kind == "app":
        return True
    try:
        from sluice.version import VERSION
    except ImportError:
        VERSION = "0"
    for name in ("sluice.version", "sluice"):
        sys.modules.pop(name, None)
    new, known = [[int(value) for value in text.split(".")] for text in (version, VERSION)]
    return new >= known


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
