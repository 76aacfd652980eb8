"""What `sluice flash` has the board do; sent to its raw REPL, where it stays until the reset.

Runs on MicroPython 1.24 and on any older one that may be found there.
"""

import hashlib
import os
import sys
from binascii import a2b_base64, hexlify
from io import BytesIO

try:
    from deflate import ZLIB, DeflateIO
except ImportError:  # a port without it: files come as they are
    DeflateIO = None

into = None  # the file that is written piece by piece

try:
    os.remove("/.mend")  # never there; LittleFS mends its folders after a cut, then looks
except OSError:
    pass


def look():
    """What this board is, as a dict of literals; `slots` is None where no module tells them."""
    block, _, blocks, _, free = os.statvfs("/")[:5]
    seen = {
        "name": sys.implementation.name,
        "version": tuple(sys.implementation.version)[:3],
        "mpy": getattr(sys.implementation, "_mpy", 0) & 0xFF,
        "machine": getattr(sys.implementation, "_machine", sys.platform),
        "free": block * free * (free <= blocks),  # what LittleFS counts twice takes it below 0
        "block": block,
        "brings": brings("sluice.errors"),
        "earlier": brings("ota.errors") and brings("ota.journal"),
        "slots": None,
        "otadata": (),
    }
    try:
        from esp32 import Partition
    except ImportError:
        return staged(seen)
    seen["slots"] = [part.info()[:5] for part in Partition.find(Partition.TYPE_APP)]
    here = Partition(Partition.RUNNING)
    seen["running"], head = here.info()[4], bytearray(36)
    here.readblocks(0, head, 0)
    seen["head"] = hexlify(head).decode()
    for part in Partition.find(Partition.TYPE_DATA, 0):
        seen["otadata"] = (record(part, 0), record(part, 1))
    return seen


def staged(seen):
    """The same with what a W800 has, if this is one: its slot, and where images are staged."""
    try:
        import w800
    except ImportError:
        return seen
    seen["staged"], seen["slots"], head = True, [], bytearray(64)
    for name in ("app", "app_ota"):
        try:
            seen["slots"].append((0, 0) + w800.part_find(name) + (name,))
        except OSError:  # the table has none
            continue
    seen["running"] = "app"
    for row in seen["slots"][:1]:
        w800.flash_read(row[2], head)
    seen["head"] = hexlify(head).decode()
    return seen


def record(part, sector):
    """One of otadata's, in hex."""
    raw = bytearray(32)
    part.readblocks(sector, raw, 0)
    return hexlify(raw).decode()


def brings(name):
    """Whether the image that runs has this module, files left aside."""
    path = sys.path[:]
    sys.path[:] = [folder for folder in path if folder not in ("", "/lib")]
    try:
        __import__(name)
        return True
    except ImportError:
        return False
    finally:
        sys.path[:] = path


def size(path):
    """Bytes of a file; 0 where there is none."""
    try:
        return os.stat(path)[6]
    except OSError:
        return 0


def sizes(paths):
    """Bytes of each file; 0 where there is none."""
    return [size(path) for path in paths]


def present(paths):
    """Those of them that are there."""
    found = []
    for path in paths:
        try:
            os.stat(path)
            found.append(path)
        except OSError:
            pass
    return found


def below(folder):
    """The files in a folder and in those below it; none where there is no such folder."""
    found = []
    try:
        rows = list(os.ilistdir(folder))
    except OSError:
        return found
    for row in rows:
        path = folder + "/" + row[0]
        if row[1] == 0x4000:
            found += below(path)
        else:
            found.append(path)
    return found


def veiled(path, most, key):
    """A file of at most that size, empty for any other; not to be read in a console's log."""
    raw = bytearray()
    if 0 < size(path) <= most:
        with open(path, "rb") as file:
            raw = bytearray(file.read())
    for at in range(len(raw)):
        if at % 32 == 0:
            pad = hashlib.sha256(key + str(at).encode()).digest()
        raw[at] ^= pad[at % 32]
    return bytes(raw)


def digests(paths):
    """The SHA-256 of each file, in hex; "" where there is none."""
    return [digest(path) for path in paths]


def digest(path):
    """Of one file."""
    found, piece = hashlib.sha256(), bytearray(512)
    view = memoryview(piece)
    try:
        with open(path, "rb") as file:
            while True:
                size = file.readinto(piece)
                if not size:
                    return hexlify(found.digest()).decode()
                found.update(view[:size])
    except OSError:
        return ""


def begin(path):
    """A file that comes in pieces."""
    global into
    into = open(path, "wb")


def more(piece):
    """The next piece of it, deflated on its own, in base64."""
    into.write(DeflateIO(BytesIO(a2b_base64(piece)), ZLIB).read())


def make_folders(paths):
    """Each with those above it given before it; those that are there stay."""
    for path in paths:
        try:
            os.mkdir(path)
        except OSError:
            os.stat(path)  # raises unless that was why


def settle(paths):
    """Give each file the content that lies beside it, in this order."""
    for path in paths:
        os.rename(path + ".new", path)


def hold(path):
    """Move a file to where its content would lie beside it, if there is no such content."""
    if digest(path) and not digest(path + ".new"):
        os.rename(path, path + ".new")
    elif digest(path):
        os.remove(path)


def set_aside(path, other):
    """Keep a file under another name."""
    os.rename(path, other)


def remove(paths):
    """Those that are there."""
    for path in paths:
        try:
            os.remove(path)
        except OSError:
            pass


def remove_folders(paths):
    """Those that are empty."""
    for path in paths:
        try:
            os.rmdir(path)
        except OSError:  # it is not there, or something of the user's is in it
            pass


def set_clock(now):
    """(year, month, day, weekday, hours, minutes, seconds, 0), in UTC."""
    from machine import RTC

    RTC().datetime(now)


def ease_watchdog(timeout_ms):
    """Give a watchdog that runs already that long; it cannot be stopped."""
    try:
        from w800 import watchdog

        watchdog(timeout_ms)
    except ImportError:
        from machine import WDT

        WDT(timeout=timeout_ms)
