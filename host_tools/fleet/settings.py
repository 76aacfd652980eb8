"""How fast a job goes out, when it is given up, how long it may take: options, and what becomes
of them.

The numbers are checked where they are understood, by the service; here only what would make no
request at all, or one that means nothing. Source of the members: botocore's model of iot.
"""

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.errors import SluiceError

Parameters = dict[str, Any]

FAILURES = ("FAILED", "REJECTED", "TIMED_OUT", "ALL")
BOUNDS = {"minutes": range(1, 10_081), "retries": range(1, 11)}  # the guide's page on limits
ENDS = ("STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options, in a group of their own."""
    row = parser.add_argument_group("rollout").add_argument
    row("--rate", type=int, metavar="N", help="devices a minute at most, 1 to 1000")
    row("--rate-base", type=int, metavar="N", help="begin with N a minute and grow")
    row("--rate-factor", type=float, metavar="F", help="by this factor, 1.1 to 5; default: 2")
    row("--rate-after", type=int, metavar="N", help="each time that N more were notified")
    row("--rate-succeeded", type=int, metavar="N", help="each time that N more have succeeded")
    row("--abort-percent", type=float, metavar="P", help="cancel when P %% of the devices failed")
    row("--abort-after", type=int, metavar="N", help="but not before N were notified; default: 1")
    row("--abort-on", choices=FAILURES, help="what counts as failed; default: ALL")
    row("--abort", action="append", default=[], metavar="WHAT:P:N", help="all three; repeatable")
    row("--minutes", type=int, metavar="N", help="of each device, from accepting to its verdict")
    row("--retries", type=int, metavar="N", help="of a device that failed or timed out")
    row("--schedule", metavar="START[/END]", help="UTC, such as 2030-01-31T02:00; or +HH:MM")
    row("--at-end", choices=ENDS, help="of the schedule; default: STOP_ROLLOUT")
    row("--continuous", action="store_true", help="also for things that join the group later")


def settings(args: argparse.Namespace, now: datetime | None = None) -> Parameters:
    """The members of CreateJob that were asked for, and none else."""
    for name, bounds in BOUNDS.items():
        number = getattr(args, name)
        if number is not None and number not in bounds:
            raise SluiceError(f"--{name} must be {bounds[0]} to {bounds[-1]}")
    members = {
        "jobExecutionsRolloutConfig": rollout(args),
        "abortConfig": abort(args),
        "timeoutConfig": {"inProgressTimeoutInMinutes": args.minutes} if args.minutes else None,
        "jobExecutionsRetryConfig": retries(args) if args.retries else None,
        "schedulingConfig": schedule(args, now or datetime.now(UTC)),
        "targetSelection": "CONTINUOUS" if args.continuous else None,
    }
    return {key: value for key, value in members.items() if value}


def rollout(args: argparse.Namespace) -> Parameters:
    """The rate, {} without one."""
    config = {"maximumPerMinute": args.rate} if args.rate is not None else {}
    growth = (args.rate_factor, args.rate_after, args.rate_succeeded)
    if args.rate_base is None:
        if any(value is not None for value in growth):
            raise SluiceError("--rate-factor, --rate-after and --rate-succeeded need --rate-base")
        return config
    criteria = {
        "numberOfNotifiedThings": args.rate_after,
        "numberOfSucceededThings": args.rate_succeeded,
    }
    criteria = {key: value for key, value in criteria.items() if value is not None}
    if not criteria:
        raise SluiceError(
            "--rate-base needs --rate-after or --rate-succeeded, which say when the rate grows"
        )
    config["exponentialRate"] = {
        "baseRatePerMinute": args.rate_base,
        "incrementFactor": 2.0 if args.rate_factor is None else args.rate_factor,
        "rateIncreaseCriteria": criteria,
    }
    return config


def abort(args: argparse.Namespace) -> Parameters:
    """The criteria each of which ends a job, {} without any."""
    rules = [written(text) for text in args.abort]
    if args.abort_percent is not None:
        after = 1 if args.abort_after is None else args.abort_after
        rules.append(criterion(args.abort_on or "ALL", args.abort_percent, after))
    elif args.abort_after is not None or args.abort_on is not None:
        raise SluiceError("--abort-after and --abort-on need --abort-percent")
    return {"criteriaList": rules} if rules else {}


def written(text: str) -> Parameters:
    """The criterion of one --abort: what failed, percent, and of how many at least."""
    kind, *numbers = text.split(":")
    try:
        percent, after = numbers
        if kind in FAILURES:
            return criterion(kind, float(percent), int(after))
    except ValueError:  # no numbers, or not two of them
        pass
    raise SluiceError(f"--abort {text}: write it as WHAT:PERCENT:NUMBER, such as FAILED:10:5")


def criterion(kind: str, percent: float, after: int) -> Parameters:
    """One of the criteria of CreateJob."""
    return {
        "failureType": kind,
        "action": "CANCEL",
        "thresholdPercentage": percent,
        "minNumberOfExecutedThings": after,
    }


def retries(args: argparse.Namespace) -> Parameters:
    """Retries of what FAILED and, if there is a time to run out of, of what TIMED_OUT."""
    kind = "ALL" if args.minutes else "FAILED"
    return {"criteriaList": [{"failureType": kind, "numberOfRetries": args.retries}]}


def schedule(args: argparse.Namespace, now: datetime) -> Parameters:
    """The schedule, {} without one."""
    if args.schedule is None:
        if args.at_end:
            raise SluiceError("--at-end needs --schedule START/END")
        return {}
    start, _, end = args.schedule.partition("/")
    config = {"startTime": time(start, now)} if start else {}
    if end:
        config |= {"endTime": time(end, now), "endBehavior": args.at_end or "STOP_ROLLOUT"}
    elif args.at_end or not start:
        raise SluiceError("--at-end needs --schedule START/END")
    return config


def time(text: str, now: datetime) -> str:
    """A time as AWS takes it: given so, or as hours and minutes from now."""
    ahead = re.fullmatch(r"\+(\d{1,5}):([0-5]\d)", text)
    if ahead:
        then = now + timedelta(hours=int(ahead[1]), minutes=int(ahead[2]), seconds=59)
        return then.strftime("%Y-%m-%d %H:%M")
    try:
        return datetime.strptime(text.replace("T", " "), "%Y-%m-%d %H:%M").strftime(
            "%Y-%m-%d %H:%M"
        )
    except ValueError:
        raise SluiceError(f"{text!r} is no time: 2030-01-31T02:00 in UTC, or +HH:MM") from None


def of_update(members: Parameters) -> Parameters:
    """The same as CreateOTAUpdate calls them; it has no retries and no schedule."""
    names = {
        "jobExecutionsRolloutConfig": "awsJobExecutionsRolloutConfig",
        "timeoutConfig": "awsJobTimeoutConfig",
        "targetSelection": "targetSelection",
    }
    shape = {name: members[key] for key, name in names.items() if key in members}
    if "abortConfig" in members:
        rules = members["abortConfig"]["criteriaList"]
        shape["awsJobAbortConfig"] = {"abortCriteriaList": rules}
    return shape
