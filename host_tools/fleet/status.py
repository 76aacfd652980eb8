"""How things and jobs stand: the one model behind `job`, `thing`, `fleet`, `--wait` and the page.

Nothing here calls anybody: `fleet/reader.py` reads, by boto3's clients. What a board told may be
missing, of another type, or a lie. "" or None stands for what is not known.
Times are seconds since 1970.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.terminal import plain

ENDS = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED")
STATUSES = (*ENDS, "IN_PROGRESS", "QUEUED")  # of an execution, in the order they are counted in
NO_VERSION = re.compile(r" v(unknown)?(?=$|,| \()")  # of a success, as agents up to 0.2.0 say it
BAD = ("FAILED", "REJECTED", "TIMED_OUT")  # something went wrong on the board, or it never ended
TOLD = ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED")  # a board says so, and nobody else
DIGITS = 10  # of a number that a board tells
JOB_ENDS = ("COMPLETED", "CANCELED")  # of the job itself


@dataclass(frozen=True)
class Progress:
    """What came, of how much."""

    done: int
    total: int


def progress(details: Mapping[str, str], key: str = "receive") -> Progress | None:
    """What a board tells of its download, in blocks or with another key in bytes; None when that
    makes no sense."""
    words = details.get(key, "").partition("/")
    done, total = number(words[0]), number(words[2])
    if done is None or not total or done > total:
        return None
    return Progress(done, total)


def number(text: str) -> int | None:
    """A number that a board tells as text; None for what is none, or is too long."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS else None


def counted(outcomes: Mapping[str, int]) -> str:
    """`48 SUCCEEDED, 2 FAILED`, "" of nobody."""
    return ", ".join(f"{outcomes[one]} {one}" for one in STATUSES if outcomes.get(one))


@dataclass(frozen=True)
class Execution:
    """What became of a job on one thing."""

    job: str
    thing: str
    number: int
    status: str
    details: Mapping[str, str] = field(default_factory=dict)  # as the board told them last
    queued_at: float | None = None
    started_at: float | None = None
    changed_at: float | None = None
    version: int | None = None

    @property
    def reason(self) -> str:
        """What the board said about its verdict, "" without."""
        said = plain(self.details.get("reason", ""))
        return NO_VERSION.sub(", version unknown", said) if self.status == "SUCCEEDED" else said

    @property
    def verdict(self) -> str:
        """`SUCCEEDED accepted v1.1.0`, `FAILED: no room`: the status and why, for people."""
        if self.status == "SUCCEEDED":
            return f"{self.status} {self.reason}".strip()
        return f"{self.status}: {self.reason}" if self.reason else self.status

    @property
    def ended(self) -> bool:
        """Whether nothing of it can change any more."""
        return self.status in ENDS


@dataclass(frozen=True)
class JobStatus:
    """How a job stands, by its things' latest executions."""

    job: str
    status: str  # AWS's, of the job itself; COMPLETED says nothing of how it went
    outcomes: Mapping[str, int]  # {status of an execution: how many things}, those of 0 left out
    targets: tuple[str, ...] = ()  # ARNs of things and groups
    continuous: bool = False
    comment: str = ""  # of who canceled it
    description: str = ""
    created_at: float | None = None
    changed_at: float | None = None
    completed_at: float | None = None
    document: Mapping[str, Any] | None = None  # None: not read
    executions: tuple[Execution, ...] | None = None  # None: not read

    @property
    def whom(self) -> tuple[str, ...]:
        """The targets by name; a group's after the word."""
        return tuple(
            arn.rpartition("/")[2] if ":thing/" in arn else f"group {arn.rpartition('/')[2]}"
            for arn in self.targets
        )

    @property
    def ended(self) -> bool:
        """Whether nothing of it can change any more."""
        going = self.outcomes.keys() - set(ENDS)
        return self.status in JOB_ENDS and not going

    @property
    def went_wrong(self) -> int:
        """How many things did not do it, and will not."""
        return sum(self.outcomes.get(status, 0) for status in BAD)

    @property
    def counted(self) -> str:
        """`48 SUCCEEDED, 2 FAILED`; words of the job where no thing has heard of it."""
        return counted(self.outcomes) or NOBODY.get(self.status, self.status)


NOBODY = {  # of a job without executions
    "IN_PROGRESS": "no thing notified yet",
    "SCHEDULED": "SCHEDULED",
    "COMPLETED": "no thing was notified",
    "CANCELED": "CANCELED, no thing was notified",
}


@dataclass(frozen=True)
class JobsStatus:
    """The newest jobs, newest first."""

    jobs: tuple[JobStatus, ...]
    more: int  # how many earlier ones there are


@dataclass(frozen=True)
class ThingStatus:
    """How a thing stands: its connection, what its board told, and its last job."""

    thing: str
    kind: str = ""  # its thing type
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    connected: bool | None = None  # None: nobody knows
    connected_at: float | None = None  # when that was last so or otherwise
    disconnect_reason: str = ""  # AWS's word
    told_at: float | None = None  # when its shadow was last reported to
    board: str = ""
    image: str = ""  # its version
    micropython: str = ""
    slot: str = ""
    trial: bool = False
    agent: str = ""
    app: str = ""
    app_state: str = ""  # running, ended, failed; "" of none that runs beside the agent
    trees: str = ""
    free: int | None = None  # bytes of the heap
    rssi: int | None = None  # dBm
    reset: str = ""  # cause of the last one
    failures: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    reported: Mapping[str, Any] = field(default_factory=dict)  # all of it, as the board told it
    job: Execution | None = None  # the last one

    @property
    def seen_at(self) -> float | None:
        """When anything was last heard of it; None: never."""
        known = [time for time in (self.connected_at, self.told_at) if time is not None]
        return max(known, default=None)

    @property
    def last_told_at(self) -> float | None:
        """When its board last told something, in its shadow or of its job; None: never."""
        job = self.job.changed_at if self.job and self.job.status in TOLD else None
        return max((time for time in (self.told_at, job) if time is not None), default=None)

    @property
    def job_failed(self) -> bool:
        """Whether its last job went wrong."""
        return self.job is not None and self.job.status in BAD

    @property
    def app_failed(self) -> bool:
        """Whether its application raised, or did not start."""
        return self.app_state == "failed"

    @property
    def failed(self) -> bool:
        """Whether somebody should look at it."""
        return self.job_failed or self.app_failed


@dataclass(frozen=True)
class FleetStatus:
    """All things, in the order of their names, and what was left out or could not be read."""

    things: tuple[ThingStatus, ...]
    notes: tuple[str, ...] = ()  # sentences for people
    calls: int = 0  # how many it took
    read_at: float = 0.0
