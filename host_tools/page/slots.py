"""The slots of a board: what each holds and what it is for, in words.

A board tells which slot runs and its version, and nothing of the other slot. What that holds is
known by the job that filled it, and by what ran before while somebody looked. The rest is not
said.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice.fleet.status import Execution, ThingStatus
from sluice.page.history import Course
from sluice.page.sectors import step

LABEL = re.compile(r"ota_([01])")
RUNS, TRIAL = ("good", "runs"), ("wait", "runs on trial")
NEXT = "The next image goes here."
NOT_TOLD = "The board does not tell what it holds."
NO_SIZE = "Neither the job nor the board tells how large the image is."
BACK = {  # what ran before, by whether that is over
    True: f"It ran before. {NEXT}",
    False: "It ran before. It runs again if the trial fails.",
}
GOES = {  # an image that a job brings, by the step
    "QUEUED": ("idle", "waits for the job's image"),
    "accepted": ("busy", "waits for the job's image"),
    "downloading": ("busy", "is being filled"),
    "applying": ("busy", "full, starts next"),
    "trying": TRIAL,
}
PLACED = {"SUCCEEDED": ("good", "in place")}  # files, which have no trial
GIVEN_UP = "given up"


@dataclass(frozen=True)
class Slot:
    """One of them, or a tree."""

    name: str
    look: str  # a class of the page's style sheet
    word: str  # in what state it is
    version: str = ""  # that it holds; "" where nobody told
    text: str = ""  # what else there is to say
    map: bool = False  # it is shown sector by sector, or block by block


def other(slot: str) -> str:
    """The name of the slot beside the one that runs, "" where the name does not tell."""
    found = LABEL.fullmatch(slot)
    return f"ota_{1 - int(found[1])}" if found else ""


def is_stale(one: ThingStatus) -> bool:
    """Whether a trial runs that the report of a board with two slots does not know yet."""
    trying = one.job is not None and step(one.job) == "trying"
    return trying and not one.trial and bool(LABEL.fullmatch(one.slot))


def slots(one: ThingStatus, course: Course, filling: Mapping[str, Any] | None) -> list[Slot]:
    """Of a board that told something, by their names; [] of others.

    filling   what its last job fills, and how much of that is there
    """
    if not one.image and not one.slot:
        return []
    job, names = one.job, (one.slot or "The slot", other(one.slot) or "The other slot")
    if job is None or not filling or filling["kind"] != "image":
        beside = _tree(job, filling) if job and filling and filling["total"] else None
        return _ordered(
            Slot(names[0], *RUNS, one.image, _version(one)),
            beside or Slot(names[1], "idle", "takes the next image", text=NOT_TOLD),
        )
    shown = filling["total"] > 0
    if is_stale(one):
        return _ordered(
            Slot(names[0], "idle", "the way back", one.image, BACK[False]),
            Slot(names[1], *TRIAL, map=shown),
        )
    if filling["runs"]:
        state = TRIAL if one.trial else RUNS
        text = "" if shown else _version(one)
        running = Slot(names[0], *state, one.image, text, shown)
        return _ordered(running, _way_back(one, names[1], course))
    running = Slot(names[0], *RUNS, one.image, _version(one))
    return _ordered(running, _filled(job, names[1], filling))


def _version(one: ThingStatus) -> str:
    return "image" if one.image else "The board does not tell its version."


def _ordered(running: Slot, beside: Slot) -> list[Slot]:
    """By their numbers, where they have any."""
    swapped = running.name == "ota_1" and LABEL.fullmatch(beside.name)
    return [beside, running] if swapped else [running, beside]


def _way_back(one: ThingStatus, name: str, course: Course) -> Slot:
    """The slot that ran before, while what its job brought runs."""
    if not LABEL.fullmatch(name):  # a board that may have none
        return Slot(name, "idle", "takes the next image", text=NOT_TOLD)
    known = course.before if course.before and one.job else None
    version = known.version if known and (known.slot, known.job) == (name, one.job.job) else ""
    return Slot(name, "idle", "the way back", version, BACK[not one.trial])


def _filled(job: Execution, name: str, filling: Mapping[str, Any]) -> Slot:
    """The slot that a job's image goes to, or went to."""
    if job.ended:
        if job.reason.startswith("rolled back"):
            text = f"The image failed its trial, and starts no more. {NEXT}"
            return Slot(name, "bad", "holds no good image", text=text)
        if 0 < filling["done"] < filling["total"]:
            return Slot(name, "bad", GIVEN_UP, text=NEXT, map=True)
        return Slot(name, "idle", "takes the next image", text=NOT_TOLD)
    begun = step(job) not in ("QUEUED", "accepted")
    look, word = GOES[step(job)]
    shown = begun and filling["total"] > 0
    text = "" if shown else NO_SIZE if begun else NOT_TOLD
    return Slot(name, look, word, text=text, map=shown)


def _tree(job: Execution, filling: Mapping[str, Any]) -> Slot:
    """What fills beside the slots: a tree, or files."""
    files = filling["kind"] == "files"
    name = "Files" if files else f"Tree of the {filling['kind']}"
    ended = PLACED if files else {"SUCCEEDED": RUNS}
    look, word = {**GOES, **ended}.get(step(job), ("bad", GIVEN_UP))
    if word.startswith("waits"):
        word = "not begun"
    return Slot(name, look, word, map=True)
