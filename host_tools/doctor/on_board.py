"""The probes that `sluice doctor` sends to a board's raw REPL; nothing of them stays there. Those
that measure follow, in measuring.py.

Each returns literals, never a secret: no password, no key, no name of a network. Each may raise;
the rest of the report does not mind.
"""

import gc
import os
import sys
import time
from binascii import hexlify

SECTOR = 4096

room = bytearray(SECTOR)  # taken before the heap is in pieces
try:
    os.remove("/.mend")  # never there; LittleFS mends its folders after a cut, then looks
except OSError:
    pass


def trees(on_trial):
    """What is recorded of them, [] of a kind without any; what runs is taken onto the path, as the
    starter does. {} where nothing starts trees.

    on_trial   whether a tree was being tried, that a soft reset would take back: it is tried again
    """
    gc.collect()  # what stays is to lie low in the heap: it is compiled here, from source
    try:
        import vfs
        from trees import fits, keep, recorded
    except ImportError:
        return {}
    gc.collect()
    record = recorded() or {"app": [], "agent": [], "new": [], "tried": 0, "slot": None}
    again = bool(on_trial and record["new"] and record["tried"] and not record["slot"])
    if again:
        record["tried"] = 0
        keep(record)
    seen = {"new": record["new"], "slot": record["slot"] or "", "on_trial": again}
    back = record["new"] if _is_back(record) else ()
    for kind in ("agent", "app"):
        rows = []
        for entry in record[kind]:
            fault = "taken back" if kind in back and not rows else ""
            rows.append(_looked_into(kind, entry, fits, fault))
        seen[kind] = rows
        runs = [row for row in rows if not row["fault"]][:1]
        for row in runs:
            row["runs"] = True
            vfs.mount(row["mounted"], "/." + kind)
            sys.path.insert(0 if kind == "agent" else len(sys.path), "/." + kind)
        for row in rows:
            row.pop("mounted")
    seen["shadowed"] = [path for path in ("/app.py", "/app.mpy") if runs and _there(path)]
    sys.modules.pop("trees")
    return seen


def _looked_into(kind, entry, fits, fault):
    """A tree that is recorded; `fault` is why it cannot run, "" where it can."""
    from trees import Tree

    letter, digest, version, made = entry
    row = {"tree": kind + "." + letter, "version": version, "runs": False, "mounted": None}
    try:
        row["mounted"] = Tree("/" + row["tree"], digest, room)
        if not fits(kind, version, made):
            fault = fault or "older than the agent that is there without it"
    except OSError as error:
        fault = "missing" if error.args[0] == 2 else str(error.args[0]).replace("it is ", "")
    except ValueError as error:
        fault = str(error)
    row["fault"] = fault
    return row


def _is_back(record):
    """Whether what is new in the record is to run no more."""
    if not record["slot"]:
        return bool(record["tried"])
    from esp32 import Partition

    return Partition(Partition.RUNNING).info()[4] != record["slot"]


def quiet():
    """Keep the log out of the answers."""
    from sluice import log

    log.to(lambda line: None)


def system():
    seen = {
        "micropython": ".".join(str(n) for n in sys.implementation[1][:3]),
        "machine": getattr(sys.implementation, "_machine", sys.platform),
        "platform": sys.platform,
        "epoch": time.gmtime(0)[0],
    }
    import machine

    seen["reset_cause"] = machine.reset_cause()
    try:
        import sluice.errors

        seen["firmware"] = getattr(sluice.errors, "__file__", "frozen")
    except ImportError:
        seen["firmware"] = ""
        seen["earlier"] = earlier()
    return seen


def earlier():
    """Whether the firmware is of the layout before the package sluice."""
    try:
        import ota.errors
        import ota.journal  # noqa: F401
    except ImportError:
        return False
    return True


def idf_heap():
    """[total, free, largest, least ever free] of each of ESP-IDF's regions, where TLS lives; none
    on another chip, or on a model."""
    if not _esp32():
        return []
    import esp32

    if not hasattr(esp32, "idf_heap_info"):
        return []
    return [list(row) for row in esp32.idf_heap_info(esp32.HEAP_DATA)]


def slots():
    """As the firmware sees them."""
    import board
    from sluice.loading import plug_in

    here = board.slots()
    head = bytearray(80)
    if here.size:
        here.plain.readblocks(0, head, 0)
        here.plain.readblocks(here.size // SECTOR - 1, room)
    return {
        "board": board.NAME,
        "running": here.running,
        "version": here.version,
        "trial": here.trial,
        "inactive": here.inactive,
        "size": here.size,
        "image": plug_in(here.image, "version_in")(head),
        "blank": all(byte == 0xFF for byte in head),
        "last_blank": all(byte == 0xFF for byte in room),
    }


def otadata():
    """Both records, in hex; none where there is no ESP32."""
    if not _esp32():
        return []
    from esp32 import Partition

    record, seen = bytearray(32), []
    for sector in (0, 1):
        Partition.find(Partition.TYPE_DATA, 0)[0].readblocks(sector, record, 0)
        seen.append(hexlify(record).decode())
    return seen


def partitions():
    """[type, subtype, address, size, label] of each; of a W800's those that Sluice knows."""
    if not _esp32():
        from w800 import part_find

        names = ("app", "app_ota", "vfs", "nvs")
        return [[0, 0] + list(part_find(name)) + [name] for name in names]
    from esp32 import Partition

    kinds = (Partition.TYPE_APP, Partition.TYPE_DATA)
    return [list(part.info()[:5]) for kind in kinds for part in Partition.find(kind)]


def _esp32():
    try:
        import esp32  # noqa: F401
    except ImportError:
        return False
    return True


def journal_aside():
    """The records that were set aside, because the agent did not start with them."""
    try:
        with open("/journal.aside", "rb") as file:
            return file.read(2048)
    except OSError:
        return b""


def journal():
    import board
    from sluice.journal import Journal, cells

    record = Journal(cells(board))
    keys = ("job", "number", "step", "reason", "slot", "home", "runs")
    seen = {key: record[key] for key in keys}
    seen["phase"] = record.phase
    seen["written"] = sum(bin(byte).count("1") for byte in record.written) * SECTOR
    return seen


def failures():
    """What the firmware kept of them: see sluice/failures.py."""
    try:
        with open("/failures", "rb") as file:
            return file.read(1024)
    except OSError:  # there was none yet
        return b""


def files():
    block, _, blocks, _, free = os.statvfs("/")[:5]
    free *= free <= blocks  # LittleFS counts some blocks twice, which may take it below 0
    return {"size": block * blocks, "free": block * free}


def settings():
    """What of the configuration is no secret, and whether the files that it names are there.

    `instead` says why the board goes the way that linked last, if it does.
    """
    values = _settings()
    shown = ("thing", "endpoint", "port", "dialect", "block", "window", "protocol", "trial_s")
    shown += ("watchdog_s", "keepalive_s", "log", "allow_unsigned", "allow_downgrade")
    shown += ("allow_rollback",)
    seen = {key: values[key] for key in shown if key in values}
    seen["shadow"] = values.get("shadow") or "off"
    seen["wifi"] = bool(values["wifi"].get("ssid"))
    seen["ntp"] = len(values["ntp"])
    seen["missing"] = [name for name in values["own"] if not _there(name)]
    seen["signers"] = len(values["signers"])
    seen["instead"] = values["ways"]["why"] or ""
    return seen


def _settings():
    """As a start would use them, those of the way that is gone first among them."""
    from sluice.lastgood import load

    values = load(False, False)
    values.update(values["ways"]["turns"][0])
    return values


def _there(name):
    try:
        return os.stat(name)[6] > 0
    except OSError:
        return False


def ease_watchdog(timeout_ms):
    """One that runs already must not end the examination."""
    import board

    board.watchdog(timeout_ms)
