"""Trees, records and starts of a board that has them. docs/bundles.md has the formats."""

import builtins
import hashlib
import json
import sys
from binascii import crc32, hexlify
from struct import pack

import vfs
from medium import read, write

from sluice.version import VERSION

MPY = sys.implementation._mpy & 255


def digest(data):
    return hexlify(hashlib.sha256(data).digest()).decode()


def packed(members):
    """The tree of [(path, content)], in this order."""
    index, seen, at = b"", [], 0
    for path, content in members:
        parts = path.split("/")
        for end in range(1, len(parts)):
            folder = "/".join(parts[:end])
            if folder not in seen:
                seen.append(folder)
                index += pack("<III", crc32(folder.encode()), 0xFFFFFFFF, 0)
        index += pack("<III", crc32(path.encode()), at, len(content))
        at += len(content)
    return b"".join([content for _, content in members]) + index + pack("<II", at, 0x31544C53)


def described(kind, version, members):
    """The tree of a bundle of that kind."""
    said = json.dumps({"kind": kind, "version": version}).encode()
    return packed([("sluice.json", said)] + members)


def laid(kind, letter, members, version="1.0.0", mpy=0):
    """Put a tree on the board; its entry for the record."""
    data = described(kind, version, members)
    write("/%s.%s" % (kind, letter), data)
    return [letter, digest(data), version, mpy]


def app(letter, source, version="1.0.0", mpy=0):
    """Put an application of that source on the board; its entry."""
    return laid("app", letter, [("app.py", source)], version, mpy)


def agent(letter, source, version=VERSION, mpy=0):
    """Put an agent on the board, of which sluice.run is that source; its entry."""
    said = b'VERSION = "%s"\n' % version.encode()
    members = [("sluice/run.py", source), ("sluice/version.py", said)]
    return laid("agent", letter, members, version, mpy)


def sealed(record):
    """The bytes of a cell that holds it."""
    text = json.dumps(record).encode()
    return b"%08x" % crc32(text) + text


def note(cell=0, **members):
    """Put a record into a cell."""
    record = {"seq": 1, "app": [], "agent": [], "new": [], "tried": 0, "slot": None}
    record.update(members)
    write("/trees.%d" % cell, sealed(record))
    return record


def noted():
    """The record in force; None: there is none."""
    found = None
    for cell in (0, 1):
        try:
            data = read("/trees.%d" % cell)
        except OSError:
            continue
        if data[8:] and b"%08x" % crc32(data[8:]) == data[:8]:
            record = json.loads(data[8:])
            if not found or record["seq"] > found["seq"]:
                found = record
    return found


class Module:
    """Stands for a module."""

    def __init__(self, **names):
        for name, value in names.items():
            setattr(self, name, value)


def esp32(label):
    """The module, on a board that runs the image of that slot."""

    class Partition:
        RUNNING = 1

        def __init__(self, which):
            assert which == Partition.RUNNING

        def info(self):
            return (0, 16, 0x10000, 0x180000, label, False)

    return {"esp32": Module(Partition=Partition)}


def unmounted():
    """Have no tree mounted any more, which no board ever does."""
    for place in ("/.agent", "/.app"):
        try:
            vfs.umount(place)
        except AttributeError:  # a tree; it is out of the list by then
            pass
        except OSError:  # none
            pass


class Start:
    """`with Start(): …`: what trees.choose makes of the board that is mounted.

    tried, runs  what it returned
    error        what it raised, or None
    said         what it printed
    """

    def __init__(self, trial=False, starts=0, modules=None):
        self._words = trial, starts
        self._more = modules or {}
        self.tried = self.runs = self.error = None
        self.said = []

    def __enter__(self):
        self._modules, self._path = sys.modules.copy(), sys.path[:]
        for name in list(sys.modules):
            if name == "app" or name.split(".")[0] in ("sluice", "trees", "umqtt", "esp32"):
                del sys.modules[name]
        trees = __import__("trees")
        sys.path[:] = [".frozen", "/lib", ""]
        sys.modules.update(self._more)
        printed, builtins.print = print, lambda *words: self.said.append(words)
        try:
            self.tried, self.runs = trees.choose(bytearray(4100), *self._words)
        except (OSError, ValueError) as error:
            self.error = error
        except BaseException:
            self.__exit__()
            raise
        finally:
            builtins.print = printed
        self.path = sys.path[:]
        del sys.modules["trees"]
        return self

    def __exit__(self, *fault):
        unmounted()
        sys.path[:] = self._path
        for name in list(sys.modules):
            del sys.modules[name]
        sys.modules.update(self._modules)
