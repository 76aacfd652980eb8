"""The ways to the cloud: whose turn it is, and /lastgood.link, where the last that linked is kept.

    <SHA-256 of what follows, in hex>\n
    <JSON: [thing, endpoint, port, [key, value, … of wifi], ntp, sizes of the three files]>\n
    <CA><certificate><private key>

It is written beside its place and renamed, so a power cut leaves the old one or the new one. One
that is damaged is as good as none. It holds the private key and the Wi-Fi password: nothing of it
is ever logged or sent.

A linking part, or *way*, is a dict: thing, endpoint, port, wifi, ntp; and `files`, the paths of
the credentials, as `config.linking` gives it. In one that `load` here gives, these are (path,
first byte, bytes), as they lie in this file. `kept` tells the two apart.

`ways` is what lastgood made of the files: turns[0] is the way that the link goes. It is a dict,
because a class would hold lastgood's code in the heap. This is loaded when the link is given a
way, when one is given up, and when one has linked that is to be noted.
"""

import hashlib
import json
import os
from binascii import hexlify

from micropython import const

from sluice.errors import Fail, Retry
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
_AGAIN_MS = const(900_000)  # on the kept way, before the newer one is tried again; then twice that
_DOUBLED = const(6)  # times, at most: 16 h
_TURN_MS = const(900_000)  # of the kept way, at most, where nothing links
_LEAVE_MS = const(2_000)  # for a network that is left
_LOOK_MS = const(50)

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


def remove(path):
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


def take(link, ways):
    """Have the link go the first of the ways whose credentials can be used.

    The others are struck off. The link has no context until then: two may not find room.
    raises   Fail, naming the file, when those of none can be used; MemoryError, of the last way
             or the kept one, because the heap may have room later
    """
    # Only now: who waits in `again`, for hours, has no use for it.
    from sluice.net import connect

    turns = ways["turns"]
    link.context = None
    while not link.context:
        way = turns[0]
        try:
            link.context = connect.of_files(*way["files"])
        except (Fail, MemoryError) as error:
            if not turns[1:] or way["kept"] and isinstance(error, MemoryError):
                raise error
            turns.pop(0)
            log.e("credentials cannot be used:", error)
            ways["due"], ways["why"] = True, str(error)
    link.server, link.port = way["endpoint"], way["port"]


def limit_ms(ways, trial_ms):
    """How long the first way is tried before the next one has its turn; None where there is none.

    The newer way has `trial_s`. The kept one has twice as much with every round, to 15 minutes.
    """
    if not ways["turns"][1:]:
        return None
    longer_ms = min(trial_ms << min(ways["rounds"], _DOUBLED), _TURN_MS)
    return max(trial_ms, longer_ms) if ways["turns"][0]["kept"] else trial_ms


def turn(link, ways):
    """Give a way up for the next one, which the link is to `take`."""
    turns = ways["turns"]
    turns.append(turns.pop(0))
    kept = turns[0]["kept"]
    ways["rounds"] += kept
    ways["due"], ways["why"] = True, "it did not link" if kept else None
    log.w("now tried:", "the way that linked last" if kept else "the newer way")
    link.context = None


def linked(ways):
    """Note the way that has linked: to be gone back to, or as all that there was to go."""
    way = ways["turns"][0]
    ways["due"] = False
    if way["kept"]:
        if not ways["passed"]:
            ways["passed"] = note(PASSED, ways["state"])
        return
    del ways["turns"][1:]
    if save(way, ways["identity"]):
        log.i("this way is kept, because it linked")
        if noted(PASSED):
            remove(PASSED)
        ways["passed"] = False


async def again(link, ways, clock, idle):
    """Once it is time, and `idle()`, drop the link of the kept way to try the newer one."""
    await clock.sleep_ms(_AGAIN_MS << min(ways["rounds"], _DOUBLED))
    while not idle():
        await clock.sleep_ms(_LOOK_MS)
    ways["again"] = False
    if ways["turns"][1:] and ways["turns"][0]["kept"]:
        turn(link, ways)
        try:
            link.disconnect()
        except Retry:  # it is lost already
            pass


async def leave(station, clock):
    """Leave a Wi-Fi network: a station that is joined, or tries to, takes no other one."""
    begin = clock.ticks_ms()
    try:
        if station.active():
            station.disconnect()
        while station.isconnected() and clock.ticks_diff(clock.ticks_ms(), begin) < _LEAVE_MS:
            await clock.sleep_ms(_LOOK_MS)
    except (OSError, RuntimeError) as error:  # the driver's, which joining mends
        log.w("network not left", error)
