"""The findings of an examination as lines to paste into a bug report."""

import re
from datetime import UTC, datetime
from typing import Any, TextIO

from sluice import __version__
from sluice.board_clock import is_set
from sluice.device import otadata
from sluice.doctor.examination import TOO_LITTLE, Finding
from sluice.terminal import fitted

RESET_CAUSES = {1: "power-on", 2: "hard", 3: "watchdog", 4: "deep-sleep", 5: "soft"}
_APP, _OTA_SLOTS = 0, range(0x10, 0x20)  # type and subtypes of ESP-IDF's partition table
_NO_SECOND = "no second slot: this board takes no images"
HANGING = 17  # columns before the lines of a value that follow its first one
SPARE = 65_536  # bytes that stay free while the file system is measured: see measuring.py
OURS = ("board", "sluice", "trees", "umqtt")  # modules that the firmware brings
_MODULE = re.compile(r"no module named '([^']+)'")
STATES = {
    otadata.NEW: "new",
    otadata.PENDING_VERIFY: "on trial",
    otadata.VALID: "confirmed",
    otadata.INVALID: "invalid",
    otadata.ABORTED: "aborted",
    otadata.UNDEFINED: "no state",
}


def lines(found: Finding, now: datetime | None = None, screen: TextIO | None = None) -> list[str]:
    """The report. What a probe failed with stands in its place.

    screen  where it is printed: a terminal has each value broken at blanks
    """
    stamp = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M:%S UTC")
    rows = [("sluice doctor", f"{__version__}, {stamp}, {found['port']}")]
    found = found | {"partitions": _stated(found), "failures": _dated(found)}
    for name, shape in SHAPES.items():
        rows += _rows(name, shape, found.get(name))
    rows += [("to look at", text) for text in remarks(found)] or [("to look at", "nothing")]
    return [f"{label:14} {fitted(text, screen, HANGING)}" for label, text in rows]


def _rows(name: str, shape: Any, finding: Any) -> list[tuple[str, str]]:
    label = name.replace("_", " ")
    if isinstance(finding, dict) and (finding.get("failed") or finding.get("skipped")):
        word = "failed" if "failed" in finding else "skipped"
        return [(label, f"{word}: {finding[word]}")]
    texts = shape(finding)
    return [(label if not number else "", text) for number, text in enumerate(texts)]


def simulated(found: Finding) -> bool:
    """Whether its times are those of a computer."""
    return found["system"].get("platform") in ("linux", "darwin")


def _system(seen: Finding) -> list[str]:
    cause = RESET_CAUSES.get(seen["reset_cause"], str(seen["reset_cause"]))
    lies = seen["firmware"]
    where = "in the image" if lies else "none"
    for place, words in (("/lib/", "in /lib"), ("/.agent/", "in a tree")):
        where = words if lies.startswith(place) else where
    where = "of an earlier layout" if seen.get("earlier") else where
    return [
        f"MicroPython {seen['micropython']}, {seen['machine']}, time from {seen['epoch']}",
        f"firmware {where}; last reset: {cause}",
    ]


def _slots(seen: Finding) -> list[str]:
    if not seen["size"]:
        return [f"{seen['running']} runs, version {seen['version'] or 'unknown'}", _NO_SECOND]
    holds = "blank" if seen["blank"] else "no image"
    if seen["image"] is not None:
        holds = f"an image, version {seen['image'] or 'unknown'}"
    state = {True: "on trial", False: "confirmed", None: "without a trial"}[seen["trial"]]
    size = f"{seen['size']:,} bytes"
    simulated = ", simulated" if seen["board"].startswith("SIM_") else ""
    return [
        f"{seen['board']}{simulated}",
        f"{seen['running']} runs, version {seen['version'] or 'unknown'}, {state}",
        f"{seen['inactive']}, {size}: {holds}",
    ]


def _trees(seen: Finding) -> list[str]:
    if not seen:
        return ["none: what starts this board knows of no trees"]
    rows = []
    for row in seen["agent"] + seen["app"]:
        kind = row["tree"].partition(".")[0]
        idle = row["fault"].upper() or "stays as the way back"
        state = "runs" if row["runs"] else idle
        tried = ", on trial" if row["runs"] and kind in seen["new"] else ""
        rows.append(f"{row['tree']} {row['version']}, {state}{tried}")
    return rows or ["none recorded"]


def _otadata(records: list[str]) -> list[str]:
    texts = []
    for record in records:
        sequence, state, good = otadata.parse(bytes.fromhex(record))
        word = f"sequence {sequence}, {STATES.get(state, state)}" if good else "no record"
        texts.append(word)
    return ["; ".join(texts) or "none: this chip has no trial"]


def _journal(seen: Finding) -> list[str]:
    words = [seen["phase"]]
    words += [
        f"{key} {seen[key]}" for key in ("job", "step", "reason", "slot", "home") if seen[key]
    ]
    words += [f"{seen['written']:,} bytes written"] if seen["written"] else []
    return [", ".join(words)]


def _dated(found: Finding) -> Any:
    """The failures, each with the time that the board's clock told then."""
    kept, system = found.get("failures"), found.get("system", {})
    if not isinstance(kept, list) or "epoch" not in system:
        return kept
    start = int(datetime(system["epoch"], 1, 1, tzinfo=UTC).timestamp())
    texts = []
    for line in kept:
        clock, _, words = line.partition(" ")
        if clock.isdecimal() and len(clock) < 11:
            seconds = start + int(clock)
            when = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S UTC}"
            line = f"{when if is_set(seconds) else 'clock not set'}: {words}"
        texts.append(line)
    return texts


def _settings(seen: Finding) -> list[str]:
    hidden = ("wifi", "ntp", "missing", "instead", "signers", "thing", "endpoint", "port")
    plain = ", ".join(f"{key} {seen[key]}" for key in sorted(seen) if key not in hidden)
    return [
        f"{seen['thing']} at {seen['endpoint']}:{seen['port']}",
        f"{plain}; {seen['signers']} signers, {seen['ntp']} time servers",
    ]


def _wifi(seen: Finding) -> list[str]:
    if not seen:
        return ["none configured"]
    return [f"joined in {seen['join_ms']} ms, {seen['address']}, {seen['rssi']} dBm"]


def _clock(seen: Finding) -> list[str]:
    when = datetime.fromtimestamp(seen["now_s"], UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return [when if seen["plausible"] else f"{when}: not set"]


def _heap(seen: Finding) -> list[str]:
    return [
        f"{seen['free']:,} bytes free, {seen['largest']:,} in one piece, {seen['used']:,} used"
    ]


def _idf_heap(regions: list[list[int]]) -> list[str]:
    if not regions:
        return ["none: only a real ESP32 has one"]
    free, largest = sum(row[1] for row in regions), max((row[2] for row in regions), default=0)
    return [f"{free:,} bytes free, {largest:,} in one piece"]


def _stated(found: Finding) -> Any:
    """The partitions, each with what otadata says of it, where it is a slot and that is known."""
    parts, records = found.get("partitions"), found.get("otadata")
    if not isinstance(parts, list) or not isinstance(records, list):
        return parts
    slots = [part[4] for part in parts if part[0] == _APP and part[1] in _OTA_SLOTS]
    stated = {}
    for record in records if slots else ():
        sequence, state, good = otadata.parse(bytes.fromhex(record))
        if good and sequence:
            stated[slots[(sequence - 1) % len(slots)]] = STATES.get(state, str(state))
    return [[*part, stated.get(part[4], "")] for part in parts]


def _partitions(parts: list[list[Any]]) -> list[str]:
    rows = [f"{part[4]:10} {part[2]:#9x} {part[3]:>10,} bytes  {part[5]}" for part in parts]
    return [row.rstrip() for row in rows]


def _flash_speed(seen: Finding) -> list[str]:
    steps = (f"{step} {seen[step + '_us'] / 1000:.1f} ms" for step in ("erase", "write", "read"))
    return [f"a sector: {', '.join(steps)}"]


def _file_speed(seen: Finding) -> list[str]:
    if not seen:
        return [f"skipped: fewer than {SPARE:,} bytes of the file system are free"]
    return [f"{seen['bytes']:,} bytes written and closed in {seen['write_us'] / 1000:.1f} ms"]


SHAPES = {
    "slots": _slots,
    "system": _system,
    "trees": _trees,
    "otadata": _otadata,
    "partitions": _partitions,
    "journal": _journal,
    "journal_aside": lambda seen: seen or [],
    "failures": lambda seen: seen or ["none kept"],
    "log": lambda seen: seen or ["no warning since the start"],
    "settings": _settings,
    "heap": _heap,
    "idf_heap": _idf_heap,
    "files": lambda seen: [f"{seen['free']:,} of {seen['size']:,} bytes free"],
    "wifi": _wifi,
    "clock": _clock,
    "handshake": lambda seen: [
        f"name {seen['resolve_ms']} ms, TCP {seen['tcp_ms']} ms, TLS {seen['tls_ms']} ms"
    ],
    "signature": lambda seen: [
        f"P-256 verified in {seen['verify_ms']:,} ms" if seen["good"] else "P-256: FOUND BAD"
    ],
    "file_speed": _file_speed,
    "flash_speed": _flash_speed,
}


def remarks(found: Finding) -> list[str]:
    """What is not as it should be, or is to be known when the report is read."""
    texts = [*about_modules(found), *about_heap(found)]
    if simulated(found):
        texts.append("a simulated board: times are those of this computer, and of no board")
    if found["slots"].get("size") == 0:
        texts.append(_NO_SECOND)
    if found.get("journal_aside"):
        texts.append("the journal was set aside, because the agent did not start with it")
    if found["slots"].get("trial"):
        texts.append("the image that runs is on trial: a reset takes it back")
    texts += about_trees(found["trees"])
    if found["settings"].get("instead"):
        why = found["settings"]["instead"]
        texts.append(f"the configuration that linked last is in use, because: {why}")
    if found["settings"].get("missing"):
        texts.append(f"missing or empty: {', '.join(found['settings']['missing'])}")
    if found["clock"].get("plausible") is False:
        texts.append("the clock is not set: certificates cannot be checked")
    if found["settings"].get("signers") == 0 and not found["settings"].get("allow_unsigned"):
        texts.append("no signer is configured: every image will be refused")
    needed = ("slots", "settings", "handshake", "signature", "wifi")
    texts += [f"{name} failed" for name in needed if "failed" in found[name]]
    return texts


def about_modules(found: Finding) -> list[str]:
    """Which modules the probes missed: ours, or those of a MicroPython that is not for us."""
    told = [str(seen.get("failed")) for seen in found.values() if isinstance(seen, dict)]
    missed = [_MODULE.search(text) for text in told if text.startswith("ImportError")]
    theirs = {match[1] for match in missed if match and match[1].split(".")[0] not in OURS}
    texts = [f"this MicroPython has no module {name}" for name in sorted(theirs)]
    if any(match is None or match[1].split(".")[0] in OURS for match in missed):
        old = found["system"].get("earlier")
        what = "firmware of an earlier layout" if old else "no firmware, or not all of it"
        texts.append(f"{what}: `sluice flash` {'replaces it' if old else 'puts it there'}")
    return texts


def about_heap(found: Finding) -> list[str]:
    """What had no room beside the probes, which the board compiles into its heap."""
    names = [
        name.replace("_", " ")
        for name, seen in found.items()
        if isinstance(seen, dict) and seen.get("skipped") == TOO_LITTLE
    ]
    if not names:
        return []
    return [
        f"too little heap to try {', '.join(names)} beside the doctor's own code: "
        "`sluice console` shows whether the agent has enough"
    ]


def about_trees(seen: Finding) -> list[str]:
    """What is to be known of them."""
    texts = []
    for row in seen.get("agent", []) + seen.get("app", []):
        if row["fault"]:
            texts.append(f"the tree {row['tree']} is passed over: {row['fault']}")
        kind = row["tree"].partition(".")[0]
        if row["runs"] and kind in seen["new"]:
            with_image = f", with the image in {seen['slot']}" if seen["slot"] else ""
            texts.append(f"the tree {row['tree']} is on trial{with_image}: a reset takes it back")
    texts += [f"{path} is passed over: a tree runs instead" for path in seen.get("shadowed", [])]
    return texts
