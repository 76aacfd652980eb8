"""Asks a board one thing after another; what fails is part of the finding."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sluice.board_port import BoardPort, BoardRaised
from sluice.doctor import measuring, on_board

WATCHDOG_MS = 120_000  # for the whole examination
HANDSHAKE_S = 20
_TRIED = "globals().get('trial') is True"  # main.py's, which runs as __main__
_LOG = "bytes(__import__('sluice.log', None, None, ('recent',)).recent)"
NEW = ("downloading", "activated")  # phases in which an image may run without a verdict yet
LOOKS = ("heap", "idf_heap", "partitions", "otadata", "files", "failures", "journal_aside")
SILENCE_S = 60  # a probe may compute for so long without a word
FULL = re.compile(r"MemoryError\b|OSError:.*(\bENOMEM\b|\b12\b)")  # the latter is of TLS
TOO_LITTLE = "too little heap to try it here"

Finding = dict[str, Any]  # probe → what it returned, or {"failed": why} or {"skipped": why}


def examine(board: BoardPort, flash: bool = False, tell: Callable[[str], None] = print) -> Finding:
    """All probes, in an order in which each finds what it needs.

    board   as what ran has left it: its log is asked for first, and goes with its heap
    flash   measure the inactive slot's last sector even if an image may reach into it
    tell    called with the name of each probe before it runs
    raises  SluiceError when the board is lost
    """
    found: Finding = {"port": board.name, "log": whole(_asked(board, _LOG))}
    tried = _asked(board, _TRIED)
    board.enter()
    for probes in (on_board, measuring):  # now, because later the heap has no room for a script
        board.run(Path(probes.__file__).read_text(encoding="utf-8"))

    def probe(name: str, call: str) -> Any:
        tell(name)
        found[name] = _asked(board, call)
        return found[name]

    trees = probe("trees", f"trees({tried is True})")
    _asked(board, "quiet()")
    probe("system", "system()")
    slots = probe("slots", "slots()")
    settings = probe("settings", "settings()")
    journal = probe("journal", "journal()")
    untold = slots.get("trial") is None and journal.get("phase") in NEW
    if slots.get("trial") or trees.get("on_trial") or settings.get("watchdog_s") or untold:
        _asked(board, f"ease_watchdog({WATCHDOG_MS})")
    for name in LOOKS:
        probe(name, f"{name}()")
    probe("wifi", "wifi(_settings())")
    probe("clock", "clock()")
    probe("handshake", f"handshake(_settings(), {HANDSHAKE_S})")
    probe("signature", f"signature({', '.join(map(repr, _sample()))})")
    probe("file_speed", "file_speed(room, files()['free'])")
    if reason := keeps_out(slots, found["journal"], flash):
        found["flash_speed"] = {"skipped": reason}
    else:
        probe("flash_speed", "flash_speed(room)")
    return found


def _asked(board: BoardPort, call: str) -> Any:
    try:
        value = board.value(call, SILENCE_S)
        return _printable(value) if isinstance(value, bytes) else value
    except BoardRaised as error:
        why = error.traceback.strip().splitlines()[-1]
        return {"skipped": TOO_LITTLE} if FULL.match(why) else {"failed": why}


def _printable(text: bytes) -> list[str]:
    """Its lines, for a terminal and for JSON, whatever is in them."""
    lines = text.strip(b"\0").decode(errors="replace").splitlines()
    kept = ("".join(char for char in line if char.isprintable()) for line in lines)
    return [line for line in kept if line]


def whole(lines: Any) -> Any:
    """The log's, without a first one that has lost its head to those after it."""
    beheaded = isinstance(lines, list) and lines and not re.match(r"[EW] \d+ ", lines[0])
    return lines[1:] if beheaded else lines


def keeps_out(slots: Finding, journal: Finding, flash: bool) -> str:
    """Why the inactive slot must not be touched; "" when it may be.

    A sector that is blank belongs to nobody. One that is not may be an image's, that the board
    would go back to. Where nothing is tried, the first erase takes the header of what is staged:
    that is what the boot loader would repair the board from.
    """
    if any(word in seen for word in ("failed", "skipped") for seen in (slots, journal)):
        return "slots or journal could not be read"
    if journal["phase"] not in ("idle", "owing"):
        return f"a job is at hand ({journal['phase']})"
    if not slots.get("size", 1):
        return "no second slot"
    if slots["trial"] is None and not flash:
        return f"{slots['inactive']} is not touched but by an update; --flash measures anyway"
    if slots["last_blank"]:
        return ""
    if slots["trial"]:
        return "on trial, and the other slot is what the board goes back to"
    if not flash and slots["image"] is not None:
        return f"{slots['inactive']} holds an image that may reach there; --flash measures anyway"
    return ""


def _sample() -> tuple[int, int, bytes, bytes]:
    """A public key's x and y, a digest, and its signature; new each time."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key, message = ec.generate_private_key(ec.SECP256R1()), b"doctor"
    numbers = key.public_key().public_numbers()
    signed = key.sign(message, ec.ECDSA(hashes.SHA256()))
    return numbers.x, numbers.y, hashlib.sha256(message).digest(), signed
