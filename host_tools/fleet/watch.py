"""What becomes of a job, device by device: asked for again and again until it is over.

A job is over when nothing of it can change any more. A device counts with its latest execution;
its details are asked for while it works and once when it has ended, unless it succeeded among
many.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as Unreachable

from sluice import terminal
from sluice.errors import SluiceError
from sluice.fleet import executions
from sluice.fleet.clients import Clients, plainly
from sluice.fleet.hints import hints
from sluice.fleet.news import SHOWN, News
from sluice.fleet.status import ENDS, JOB_ENDS, NOBODY, STATUSES, Execution, counted
from sluice.fleet.update import POLL_S
from sluice.terminal import plain

PATIENCE_S = 3600  # of --wait, where --timeout is not said
QUIET_S = 15  # without a word of a thing: then it is said what may be wrong
THROTTLED = ("ThrottlingException", "TooManyRequestsException")


class Watch:
    """A job being watched; `things` are its targets' names if they are known in full."""

    def __init__(self, cloud: Clients, job: str, things: tuple[str, ...] | None) -> None:
        self.job = job
        self.status = "IN_PROGRESS"  # of the job
        self.comment = ""
        self.devices: dict[str, Execution] = {}  # each thing's last try
        self.cloud = cloud
        self._things = things
        self._heard: set[str] = set()  # whoever had an execution
        self._told: set[tuple[str, int]] = set()  # those whose details are those of the end

    def look(self) -> bool:
        """Ask how things stand; whether it is all over."""
        about = self._describe()
        found = executions.latest(executions.of_job(self.cloud.iot, self.job))
        for thing, one in found.items():
            known = self.devices.get(thing)
            if known is not None and known.number == one.number:
                found[thing] = replace(one, details=known.details)
        self.devices = found
        self._heard |= found.keys()
        self._ask()
        over = self._over("jobExecutionsRetryConfig" in about)
        if over and self.status not in JOB_ENDS:
            self._describe()  # its last device may have ended since
        return over

    def _describe(self) -> dict[str, Any]:
        about = self.cloud.iot.describe_job(jobId=self.job)["job"]
        self.status, self.comment = about["status"], about.get("comment", "")
        return about

    def _ask(self) -> None:
        """Fill in the details that are worth a call."""
        few = len(self.devices) <= SHOWN
        working = [one for one in self.devices.values() if one.status == "IN_PROGRESS"]
        ended = [
            one
            for one in self.devices.values()
            if one.ended
            and (one.thing, one.number) not in self._told
            and (few or one.status != "SUCCEEDED")
        ]
        for one in working[:SHOWN] + ended:
            found = executions.asked(self.cloud.iot, one)
            self.devices[one.thing] = found
            if found.ended:
                self._told.add((found.thing, found.number))

    def _over(self, retried: bool) -> bool:
        if not all(one.ended for one in self.devices.values()):
            return False
        if self.status in JOB_ENDS:
            return True
        # the job itself may lag behind its devices; without retries those decide
        named = self._things is not None and not retried
        return named and set(self._things) <= self._heard

    @property
    def missed(self) -> int:
        """How many things have no execution: targets by name that never heard, and `vanished`."""
        return len((set(self._things or ()) | self._heard) - self.devices.keys())

    @property
    def vanished(self) -> int:
        """How many things had an execution that somebody has deleted."""
        return len(self._heard - self.devices.keys())

    @property
    def known(self) -> bool:
        """Whether all targets are known by name."""
        return self._things is not None

    @property
    def alone(self) -> bool:
        """Whether the job is for one thing, known by its name."""
        return len(self._things or ()) == 1

    @property
    def headline(self) -> str:
        """The job, and how many devices stand where."""
        counts = Counter(one.status for one in self.devices.values())
        parts = (counted(counts), f"{self.vanished} deleted" if self.vanished else "")
        said = ", ".join(part for part in parts if part)
        return f"{self.job}: {said or NOBODY.get(self.status, self.status)}"

    @property
    def queued(self) -> list[str]:
        """The things that have not begun."""
        return sorted(one.thing for one in self.devices.values() if one.status == "QUEUED")


def patience(args: argparse.Namespace) -> int:
    """Seconds of --timeout; SluiceError for one without --wait, or below 0."""
    if args.timeout is None:
        return PATIENCE_S
    if not args.wait:
        raise SluiceError("--timeout is for --wait")
    if args.timeout < 0:
        raise SluiceError("--timeout is in seconds, 0 or more")
    return args.timeout


def wait(
    cloud: Clients,
    job: str,
    things: tuple[str, ...] | None,
    timeout_s: int,
    where: str = "",
    state: Path | None = None,
) -> int:
    """Show the devices until all have ended; 0 only if all of them succeeded.

    Raises SluiceError that says what went wrong: with one thing its verdict and reason. When time
    is up, or the user ends it, the summary is that of the moment, and how to see more is told.

    where   the options that say which cloud is meant
    state   its folder; None where it has none
    """
    watch = Watch(cloud, job, things)
    later = f"the job goes on: `sluice job show {job} {where}".strip() + "` shows it"
    try:
        over = follow(watch, time.monotonic() + timeout_s, POLL_S[cloud.near], where, state)
    except KeyboardInterrupt:
        tell(watch)
        print(f"{job}: {later}", file=sys.stderr, flush=True)
        raise
    if not over:
        tell(watch)
        raise SluiceError(f"{job}: {still(watch)} after {timeout_s} s; {later}")
    return summarise(watch)


def follow(
    watch: Watch, deadline: float, poll_s: float, where: str = "", state: Path | None = None
) -> bool:
    """Say what changes, in lines; False at the deadline.

    Once QUIET_S have passed, say what may be wrong with those that have not begun."""
    console = terminal.console(stderr=True)
    news, quiet = News(console.is_terminal), time.monotonic() + QUIET_S

    def say(line: str, style: str = "") -> None:
        console.print(plain(line), style=style, soft_wrap=True)

    while True:
        over, trouble = asked(watch)
        last = over and watch.alone
        for line, style in news.lines(watch.headline, watch.devices, trouble, last):
            say(line, style)
        if over or time.monotonic() > deadline:
            return over
        if quiet and time.monotonic() > quiet and not trouble:
            quiet = 0
            for hint in hints(watch.cloud.iot, watch.queued, where, state):
                say(hint)
        time.sleep(poll_s)


def asked(watch: Watch) -> tuple[bool, str]:
    """(whether it is all over, what kept the answer from coming, for now)."""
    with plainly():
        try:
            return watch.look(), ""
        except (BotoCoreError, ClientError) as error:
            if not passing(error):
                raise
            return False, f"{watch.job}: will ask again: {error}"


def passing(error: BotoCoreError | ClientError) -> bool:
    """Whether the same call may go well later: the network, a service that is down or busy."""
    if not isinstance(error, ClientError):
        return isinstance(error, Unreachable | HTTPClientError)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or error.response["Error"].get("Code") in THROTTLED


def still(watch: Watch) -> str:
    """What has not ended yet."""
    open_ = [one for one in watch.devices.values() if not one.ended]
    if len(watch.devices) == 1 and open_:
        return f"still {open_[0].status}"
    return f"job {watch.status}, {len(open_)} of {len(watch.devices)} devices still not done"


def summarise(watch: Watch) -> int:
    """Say how many succeeded and failed, and why; 0 if all succeeded, else SluiceError."""
    devices = list(watch.devices.values())
    bad = [one for one in devices if one.status != "SUCCEEDED"]
    if watch.alone and devices and watch.status != "CANCELED":
        [one] = devices
        if bad:
            raise SluiceError(f"{watch.job}: {one.verdict}")
        print(one.verdict)
        return 0
    tell(watch)
    if not devices and not watch.missed and watch.status != "CANCELED":
        raise SluiceError(f"{watch.job}: no thing is in its groups")
    if bad or watch.missed or watch.status == "CANCELED":
        why = f" ({watch.comment})" if watch.comment else ""
        number, total = len(bad) + watch.missed, len(devices) + watch.missed
        raise SluiceError(
            f"{watch.job}: {number} of {total} did not succeed, job {watch.status}{why}"
        )
    return 0


def tell(watch: Watch) -> None:
    """Print the summary as it stands."""
    print("".join(f"{line}\n" for line in report(watch)), end="", flush=True)


def report(watch: Watch) -> list[str]:
    """The summary: a line for each status, and for each reason with whom it is of."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in watch.devices.values():
        alike.setdefault((one.status, one.reason), []).append(one.thing)
    lines = []
    for status in STATUSES:
        groups = [(reason, names) for (of, reason), names in alike.items() if of == status]
        if number := sum(len(names) for _, names in groups):
            lines.append(f"{number} {status}")
        for reason, names in groups if status in ENDS[1:] else ():
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            lines.append(f"  {reason or 'no reason given'}: {', '.join(sorted(names)[:5])}{more}")
    if watch.vanished:
        lines.append(f"{watch.vanished} deleted")
    if unheard := watch.missed - watch.vanished:
        lines.append(f"{unheard} not notified")
    if watch.status == "CANCELED" and not watch.known:
        lines.append("the job is CANCELED; whom it never notified in its groups is not counted")
    return lines
