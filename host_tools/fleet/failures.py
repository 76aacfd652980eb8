"""What a board kept of its last failures, for people: when each was, and what failed, in words.

A board tells lines, the oldest first: `2026-11-28 06:10:02 UTC: JOB 1 failed bad signature`.
docs/failures.md has the reasons.
"""

import re
from calendar import timegm
from collections.abc import Iterable
from time import strptime
from typing import NamedTuple

from sluice.board_clock import is_set

LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC: (.*)")
JOB = re.compile(r"(\S+) (\d+) (failed|rejected|succeeded)(?: (.*))?")  # id, try, verdict, reason
VERDICTS = {"failed": "failed", "rejected": "was refused", "succeeded": "was done"}
OTHERS = {
    "stopped ": "the board stopped: ",  # an application that cannot be imported does that, too
    "cannot start: ": "the agent cannot start: ",
    "application failed ": "the application failed: ",
}


class Failure(NamedTuple):
    """One of them."""

    at: float | None  # seconds since 1970; None: the board did not know the time
    text: str


def newest_first(lines: Iterable[str]) -> list[Failure]:
    """What these lines of a board say."""
    return [_failure(line) for line in lines][::-1]


def _failure(line: str) -> Failure:
    found = LINE.fullmatch(line)
    return Failure(_seconds(found[1]), _words(found[2])) if found else Failure(None, line)


def _seconds(date: str) -> float | None:
    try:
        seconds = timegm(strptime(date, "%Y-%m-%d %H:%M:%S"))
    except ValueError:  # no such day
        return None
    return float(seconds) if is_set(seconds) else None


def _words(text: str) -> str:
    found = JOB.fullmatch(text)
    if found:
        job, number, verdict, reason = found.groups()
        tried = "" if number == "1" else f", try {number},"
        why = f": {reason}" if reason and reason != "None" else ""
        return f"job {job}{tried} {VERDICTS[verdict]}{why}"
    for start, words in OTHERS.items():
        if text.startswith(start):
            return words + text.removeprefix(start)
    return text
