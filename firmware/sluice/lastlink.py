"""/lastgood.link: the linking part of the last configuration that linked, credentials and all.

    <SHA-256 of what follows, in hex>\n
    <JSON: [thing, endpoint, port, [key, value, … of wifi], ntp, sizes of the three files]>\n
    <CA><certificate><private key>

It is written beside its place and renamed, so a power cut leaves the old one or the new one. One
that is damaged is as good as none. It holds the private key and the Wi-Fi password: nothing of it
is ever logged or sent.

A linking part, or *way*, is a dict: thing, endpoint, port, wifi, ntp; and `files`, the paths of
the credentials, as `config.linking` gives it. In one that `load` here gives, these are (path,
first byte, bytes), as they lie in this file. `kept` tells the two apart.
"""

import hashlib
import json
import os
from binascii import hexlify

from micropython import const

from sluice.errors import Fail
from sluice.loading import plug_in
from sluice.log import Log

PATH = "/lastgood.link"
REST = "/lastgood.rest"  # what configuration that was readable said besides, the newest one
PASSED = "/lastgood.passed"  # digest of what was configured when the kept way had to do
SERVERS = 8  # of the time, that are kept
_NEW = "/lastgood.link.new"
_STAMP = const(65)  # bytes of the digest and its line's end
_HEAD = const(4_096)  # bytes of the JSON, at most
_FILE = const(16_384)  # bytes of a credential, at most
_PIECE = const(512)

log = Log("config")


def identity(way):
    """What tells one linking part from another: a digest of all but the servers of the time.

    raises   Fail, naming a credential that cannot be read or is larger than 16 KiB
    """
    found = hashlib.sha256(_words(way))
    for path in way["files"]:
        try:
            size = _size(path)
            found.update(b"%d\n" % size)
            with open(path, "rb") as file:
                _copy(file, size, found.update)
        except (OSError, ValueError) as error:
            raise Fail("cannot read", path, error)
    return found.digest()


def load():
    """(linking part, its identity) of the file; (None, None) when there is none that is sound."""
    try:
        with open(PATH, "rb") as file:
            return _load(file)
    except OSError:  # there is none
        pass
    except (ValueError, TypeError, LookupError, MemoryError, RuntimeError, Fail) as error:
        log.w(PATH, "is damaged:", error)
    return None, None


def _load(file):
    stamp, head = file.read(_STAMP), file.readline(_HEAD)
    whole = hashlib.sha256(head)
    thing, endpoint, port, wifi, servers, sizes = json.loads(head)
    way = dict.fromkeys(plug_in("sluice.config", "CREDENTIALS"), "-")
    way.update({"thing": thing, "endpoint": endpoint, "port": port, "ntp": []})
    way["wifi"] = {wifi[at]: wifi[at + 1] for at in range(0, len(wifi), 2)}
    way = plug_in("sluice.config", "linking")(way)
    way["ntp"] = [text for text in servers if isinstance(text, str) and text][:SERVERS]
    known, at = hashlib.sha256(_words(way)), _STAMP + len(head)
    way["files"], way["kept"] = [], True
    if len(sizes) != 3:
        raise ValueError("sizes")
    for size in sizes:
        if not 0 <= size <= _FILE:
            raise ValueError("size")
        known.update(b"%d\n" % size)
        _copy(file, size, known.update, whole.update)
        way["files"].append((PATH, at, size))
        at += size
    if file.read(1) or hexlify(whole.digest()) + b"\n" != stamp:
        raise ValueError("digest")
    return way, known.digest()


def save(way, known):
    """Keep a linking part that linked; whether that was done.

    way     as `config.linking` gives it
    known   its identity when it was read: files that have changed since are not kept
    """
    try:
        sizes = [_size(path) for path in way["files"]]
        head = json.dumps(_fields(way) + [way["ntp"][:SERVERS], sizes]).encode() + b"\n"
        if len(head) > _HEAD:
            raise OSError("too long")
        stamp = _digest(way, head, sizes)
        with open(_NEW, "wb") as file:
            file.write(stamp)
            file.write(head)
            for path, size in zip(way["files"], sizes):
                with open(path, "rb") as source:
                    _copy(source, size, file.write)
        if identity(way) != known or not _sound(stamp):
            raise OSError("changed meanwhile")
        os.rename(_NEW, PATH)
        return True
    except (OSError, ValueError, Fail) as error:
        log.w("linking part not kept", error)
        try:
            os.remove(_NEW)
        except OSError:  # it never came to be
            pass
        return False


def _digest(way, head, sizes):
    """The first line of the file, for that head and the credentials behind it."""
    whole = hashlib.sha256(head)
    for path, size in zip(way["files"], sizes):
        with open(path, "rb") as file:
            _copy(file, size, whole.update)
    return hexlify(whole.digest()) + b"\n"


def _sound(stamp):
    """Whether what was written beside reads back with that digest."""
    whole, left = hashlib.sha256(), os.stat(_NEW)[6] - _STAMP
    with open(_NEW, "rb") as file:
        if file.read(_STAMP) != stamp:
            return False
        _copy(file, left, whole.update)
    return hexlify(whole.digest()) + b"\n" == stamp


def noted(path):
    """The bytes of a small file of ours; none when there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read(min(os.stat(path)[6], _FILE))  # MicroPython takes all of it at once
    except OSError:
        return b""


def note(path, data):
    """Put them there, whole or not at all; whether that was done."""
    try:
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)
        return True
    except OSError as error:
        log.w("not kept", path, error)
        return False


def forget(path):
    """Remove such a file, and what a cut left beside it."""
    for name in (path + ".new", path):
        try:
            os.remove(name)
        except OSError:  # there is none
            pass


def _size(path):
    """Bytes of a credential's file. Raises OSError, for one that is no such thing by its size."""
    size = os.stat(path)[6]
    if size > _FILE:
        raise OSError("too large")
    return size


def _fields(way):
    pairs = []
    for key in sorted(way["wifi"]):
        pairs += [key, way["wifi"][key]]
    return [way["thing"], way["endpoint"], way["port"], pairs]


def _words(way):
    return json.dumps(_fields(way)).encode()


def _copy(file, left, *sinks):
    """Give so many bytes of a file to each sink, in pieces. ValueError when it ends early."""
    piece = memoryview(bytearray(_PIECE))
    while left:
        size = file.readinto(piece[: min(left, _PIECE)])
        if not size:
            raise ValueError("cut off")
        for sink in sinks:
            sink(piece[:size])
        left -= size
