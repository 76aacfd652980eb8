"""Things, jobs and shadows of a running cloud, for what tells how they stand."""

import json
import time
from collections.abc import Callable
from typing import Any

from cloud_process import RunningCloud
from patience import FUSE_S

from sluice.cloud.names import arn
from sluice.fleet.clients import clients, shadows
from sluice.fleet.reader import Reader


class Scene:
    """A cloud's things by boto3, without boards: whatever they are to have told is written."""

    def __init__(self, cloud: RunningCloud) -> None:
        self.cloud = cloud
        self.iot = cloud.client("iot")
        self.data = cloud.client("iot-data")
        self._jobs_data = cloud.client("iot-jobs-data")

    @property
    def reader(self) -> Reader:
        """A new reader of this cloud."""
        return Reader(clients(self.cloud.state), shadows(self.cloud.state))

    def thing(self, name: str, **reported: Any) -> str:
        """A thing whose board told that."""
        self.iot.create_thing(thingName=name)
        if reported:
            self.report(name, **reported)
        return name

    def report(self, thing: str, **reported: Any) -> None:
        """Have a board tell that."""
        payload = json.dumps({"state": {"reported": reported}})
        self.data.update_thing_shadow(thingName=thing, payload=payload)

    def job(self, name: str, *things: str, **more: Any) -> str:
        """A job for things."""
        targets = [arn("thing", thing) for thing in things]
        self.iot.create_job(jobId=name, targets=targets, document='{"operation": "echo"}', **more)
        return name

    def verdict(self, job: str, thing: str, status: str, reason: str = "") -> None:
        """Have a board begin and end with a job, or go on with it."""
        details = {"reason": reason} if reason else {}
        for one in dict.fromkeys(("IN_PROGRESS", status)):
            self._jobs_data.update_job_execution(
                jobId=job, thingName=thing, status=one, statusDetails=details
            )


def soon(what: Callable[[], Any]) -> Any:
    """What `what` returns once that is true."""
    limit = time.monotonic() + FUSE_S
    while not (found := what()):
        assert time.monotonic() < limit, what
        time.sleep(0.05)
    return found
