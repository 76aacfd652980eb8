"""The four calls that a device may make over HTTPS instead of MQTT: boto3's "iot-jobs-data".

Documents are strings here, where MQTT carries objects. A wrong expectedVersion has no error of its
own in the model; it is answered like a transition that is not possible.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.jobs.executions import JobError
from sluice.cloud.jobs.over_mqtt import Jobs
from sluice.cloud.message import Message
from sluice.cloud.refusal import Refusal, not_found

Parameters = dict[str, Any]
Publish = Callable[[list[Message]], None]

HTTP_CODES = {  # MQTT's code → the model's exception
    "InvalidRequest": "InvalidRequestException",
    "ResourceNotFound": "ResourceNotFoundException",
    "InvalidStateTransition": "InvalidStateTransitionException",
    "VersionMismatch": "InvalidStateTransitionException",
    "TerminalStateReached": "TerminalStateException",
}
# What each call reads.
PENDING = ("thingName",)
START = ("thingName", "statusDetails", "stepTimeoutInMinutes")
DESCRIBE = ("jobId", "thingName", "includeJobDocument", "executionNumber")
UPDATE = (
    *("jobId", "thingName", "status", "statusDetails", "stepTimeoutInMinutes"),
    *("expectedVersion", "includeJobExecutionState", "includeJobDocument", "executionNumber"),
)


class DeviceCalls:
    """The calls, over the same operations that MQTT uses."""

    def __init__(self, jobs: Jobs, publish: Publish) -> None:
        self._jobs = jobs
        self._executions = jobs.executions
        self._publish = publish

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        # fmt: off
        return {
            "GetPendingJobExecutions":      self._call(self._jobs.pending, PENDING),
            "StartNextPendingJobExecution": self._call(self._jobs.start_next, START),
            "DescribeJobExecution":         self._call(self._jobs.describe, DESCRIBE),
            "UpdateJobExecution":           self._call(self._jobs.update, UPDATE),
        }
        # fmt: on

    def _call(self, operation: Callable[..., Parameters], members: Sequence[str]) -> Callable:
        @reads(*members)
        def run(given: Parameters) -> Parameters:
            thing = given["thingName"]
            where = (given["jobId"],) if "jobId" in given else ()
            if not self._executions.store.row("SELECT 1 FROM things WHERE name = ?", thing):
                raise not_found("thing", thing)
            try:
                with self._executions.change(thing) as notices:
                    body = operation(thing, *where, given)
            except JobError as error:
                raise Refusal(HTTP_CODES[error.code], str(error)) from None
            self._publish(notices)
            return as_text(body, thing)

        return run


def as_text(body: Parameters, thing: str) -> Parameters:
    """The answer with its document as a string, and the thing named."""
    shape = dict(body)
    if "jobDocument" in shape:
        shape["jobDocument"] = json.dumps(shape["jobDocument"])
    if "execution" in shape:
        shape["execution"] = {"thingName": thing} | as_text(shape["execution"], thing)
    return shape
