"""AWS IoT Jobs over MQTT, and the same four operations for its HTTPS twin.

Requests come on `$aws/things/T/jobs/…`, answers go to the same topic with `/accepted` (QoS 0, as
captured) or `/rejected`. Topics are told apart by their number of levels, because a job may be
called "get". A job of a namespace is asked for with a level more, `namespace-…`, as Greengrass
does. An empty payload is `{}`. The notices that an update causes follow its answer.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from sqlite3 import Row
from typing import Any

from sluice.cloud.http.members import TOKEN_BYTES, is_token, read_json, whole
from sluice.cloud.jobs.executions import LISTED, Executions, JobError
from sluice.cloud.jobs.shapes import state, summary
from sluice.cloud.message import Message, compact
from sluice.cloud.names import JOB, THING

Request = dict[str, Any]

NAMESPACE = re.compile(r"namespace-([a-zA-Z0-9_-]+)")
DIGITS = re.compile(r"[0-9]{1,18}")  # of a version in a string: as many as SQLite holds
DETAILS = 10  # pairs; CancelJobExecution's text in botocore's model
DETAIL_CHARACTERS = 1024
STEP_MINUTES = range(1, 10_081)  # up to 7 days
TOPIC_BYTES = 256  # of a reserved topic, after the thing's name: AWS's quota
DEVICE_STATUSES = ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED")
CLOUD_STATUSES = ("CANCELED", "TIMED_OUT", "REMOVED")


class Jobs:
    """The device's side of the Jobs service."""

    def __init__(self, executions: Executions) -> None:
        self.executions = executions
        self._thing_operations = {"get": self.pending, "start-next": self.start_next}
        self._job_operations = {"get": self.describe, "update": self.update}

    def handle(self, thing: str, levels: list[str], payload: bytes) -> list[Message]:
        """Answer a publication; `levels` is what follows "jobs" in its topic."""
        topic = "/".join(("$aws/things", thing, "jobs", *levels))
        if is_answer(levels):
            return []
        token = None
        with self.executions.change(thing) as notices:
            try:
                operation = self._operation(levels)
                request = parse(payload)
                token = take_token(request)
                body, suffix = operation(thing, request), "accepted"
            except JobError as error:
                body, suffix = rejection(error), "rejected"
            stamp = {"timestamp": int(self.executions.now())}
        echo = {} if token is None else {"clientToken": token}
        return [Message(f"{topic}/{suffix}", compact(echo | stamp | body)), *notices]

    def _operation(self, levels: list[str]) -> Callable[[str, Request], Request]:
        if len(levels) == 1 and levels[0] in self._thing_operations:
            return self._thing_operations[levels[0]]
        if len(levels) in (2, 3) and levels[-1] in self._job_operations:
            job, *spaces = levels[:-1]
            found = [NAMESPACE.fullmatch(level) for level in spaces]
            if all(found) and (JOB.fullmatch(job) or (job, levels[-1]) == ("$next", "get")):
                operation = self._job_operations[levels[-1]]
                names = [match[1] for match in found]
                return lambda thing, request: operation(thing, job, request, *names)
        raise JobError("InvalidTopic", f"no operation of Jobs: {'/'.join(levels)}")

    def pending(self, thing: str, request: Request) -> Request:
        """GetPendingJobExecutions."""
        lists: Request = {"inProgressJobs": [], "queuedJobs": []}
        for row in self.executions.queue(thing)[:LISTED]:
            name = "inProgressJobs" if row["status"] == "IN_PROGRESS" else "queuedJobs"
            lists[name].append(summary(row))
        return lists

    def start_next(self, thing: str, request: Request) -> Request:
        """StartNextPendingJobExecution."""
        minutes = step_minutes(request)
        row = self.executions.start_next(thing, details(request), minutes)
        return {"execution": self.executions.shown(row)} if row else {}

    def describe(
        self, thing: str, job: str, request: Request, namespace: str | None = None
    ) -> Request:
        """DescribeJobExecution; `$next` looks and changes nothing."""
        document = flag(request, "includeJobDocument", True)
        chosen = number(request, "executionNumber")
        if job == "$next":
            row = next(iter(self.executions.queue(thing, namespace)), None)
            return {"execution": self.executions.shown(row, document)} if row else {}
        row = self.executions.find(thing, job, chosen, namespace)
        if row["status"] not in ("QUEUED", "IN_PROGRESS"):
            text = f"job execution is in the terminal state {row['status']}"
            raise JobError("TerminalStateReached", text)
        return {"execution": self.executions.shown(row, document)}

    def update(
        self, thing: str, job: str, request: Request, namespace: str | None = None
    ) -> Request:
        """UpdateJobExecution."""
        wanted, included = status(request), self._wanted(request)
        row = self.executions.find(thing, job, number(request, "executionNumber"), namespace)
        row = self.executions.update(
            row,
            wanted,
            details(request),
            step_minutes(request, stoppable=True),
            expected_version(request),
        )
        return {name: show(row) for name, show in included.items()}

    def _wanted(self, request: Request) -> dict[str, Callable[[Row], Any]]:
        """The optional members of an update's answer, checked before anything is changed."""
        members: dict[str, Callable[[Row], Any]] = {}
        if flag(request, "includeJobExecutionState", False):
            members["executionState"] = state
        if flag(request, "includeJobDocument", False):
            members["jobDocument"] = lambda row: json.loads(self.executions.document(row))
        return members


def is_answer(levels: list[str]) -> bool:
    """Whether the topic is one that only the cloud has anything to say on."""
    if len(levels) == 1 and levels[0].startswith("notify-namespace-"):
        return True
    return levels[-1] in ("accepted", "rejected") or levels in (["notify"], ["notify-next"])


def owner(topic: str) -> tuple[str, str, list[str]] | None:
    """(thing, service, further levels) of a `$aws/things/…` topic; None if it is none, or longer
    than AWS takes."""
    levels = topic.split("/")
    if len("/".join(levels[3:]).encode()) > TOPIC_BYTES:
        return None
    if len(levels) < 5 or levels[:2] != ["$aws", "things"] or not THING.fullmatch(levels[2]):
        return None
    return levels[2], levels[3], levels[4:]


def rejection(error: JobError) -> Request:
    """The body of a `/rejected`, without token and time."""
    body: Request = {"code": error.code, "message": str(error)}
    if error.state is not None:
        body["executionState"] = state(error.state)
    return body


def parse(payload: bytes) -> Request:
    """The request of a payload: a JSON object, or nothing at all."""
    if not payload:
        return {}
    try:
        request = read_json(payload)
    except ValueError:
        text = "the payload is not JSON in UTF-8 with finite numbers"
        raise JobError("InvalidJson", text) from None
    if not isinstance(request, dict):
        raise JobError("InvalidJson", "the payload is not a JSON object")
    return request


def invalid(message: str) -> JobError:
    """A request against the schema."""
    return JobError("InvalidRequest", message)


def take_token(request: Request) -> str | None:
    """The client token, or None when there is none."""
    token = request.get("clientToken")
    if token is None:
        return None
    if not is_token(token):
        raise invalid(f"clientToken must be a string of at most {TOKEN_BYTES} bytes")
    return token


def flag(request: Request, key: str, default: bool) -> bool:
    """A boolean member; null is as good as absent."""
    value = request.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"{key} must be true or false")
    return value


def number(request: Request, key: str) -> int | None:
    """An integer member, or None."""
    value = request.get(key)
    if value is not None and not whole(value):
        raise invalid(f"{key} must be a whole number")
    return value


def expected_version(request: Request) -> int | None:
    """A number, or its digits in a string: both are in use."""
    value = request.get("expectedVersion")
    if isinstance(value, str) and DIGITS.fullmatch(value):
        return int(value)
    return number(request, "expectedVersion")


def status(request: Request) -> str:
    """The status a device may report; which error the others end in is not documented."""
    value = request.get("status")
    if value is None:
        raise invalid("Column 'status' cannot be null: it is required in every update")
    if value == "QUEUED":
        raise JobError("InvalidStateTransition", "a device cannot put a job back to QUEUED")
    if value in CLOUD_STATUSES:
        raise invalid(f"a device cannot report {value}")
    if value not in DEVICE_STATUSES:
        raise invalid(f"unknown status {value!r}: one of {', '.join(DEVICE_STATUSES)}")
    return value


def step_minutes(request: Request, stoppable: bool = False) -> int | None:
    """The step timer's minutes; -1 stops it in an update."""
    value = number(request, "stepTimeoutInMinutes")
    if value is None or value in STEP_MINUTES or (stoppable and value == -1):
        return value
    raise invalid(f"stepTimeoutInMinutes must be 1 to {STEP_MINUTES[-1]}")


def details(request: Request) -> dict[str, str] | None:
    """statusDetails, checked; None when absent or null."""
    value = request.get("statusDetails")
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > DETAILS:
        raise invalid(f"statusDetails must be an object of at most {DETAILS} strings")
    for key, text in value.items():
        if not THING.fullmatch(key):  # the same pattern as a thing's name
            raise invalid(f"statusDetails key {key!r}: 1 to 128 of a-z A-Z 0-9 : _ -")
        if not isinstance(text, str) or not printable(text):
            raise invalid(
                f"statusDetails value of {key}: a string of 1 to {DETAIL_CHARACTERS} "
                "characters, none of them a control character"
            )
    return value


def printable(text: str) -> bool:
    """The model's `[^\\p{C}]+` and its length."""
    fits = 1 <= len(text) <= DETAIL_CHARACTERS
    return fits and not any(unicodedata.category(letter)[0] == "C" for letter in text)
