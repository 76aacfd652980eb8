"""Reads how things and jobs stand, by boto3's clients of AWS or of the local cloud."""

from typing import Any

from sluice.fleet.clients import Clients
from sluice.fleet.status import FleetStatus, JobStatus, ThingStatus

JOBS = 50  # of which the outcomes are read, unless asked for others


class Reader:
    """Reads; what cannot change any more is remembered, so that reading again costs little.

    For one thread at a time. All methods raise what boto3 raises (`clients.plainly`).
    """

    def __init__(self, cloud: Clients, shadows: Any) -> None:
        """`shadows` is boto3's client of `iot-data`: `clients.shadows`."""
        self._cloud = cloud
        self._shadows = shadows

    def fleet(self) -> FleetStatus:
        """All things: with fleet indexing a call for each 100 of them, and a few for jobs."""
        raise NotImplementedError

    def thing(self, name: str) -> ThingStatus:
        """One thing."""
        raise NotImplementedError

    def jobs(self, last: int = JOBS) -> list[JobStatus]:
        """The newest jobs, newest first, without documents and executions."""
        raise NotImplementedError

    def job(self, name: str) -> JobStatus:
        """One job, with its document and its executions."""
        raise NotImplementedError
