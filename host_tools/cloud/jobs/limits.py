"""What CreateJob may ask for beyond its model: limits that only the texts tell of.

Source: the developer guide's pages on job limits and job configurations, and the texts of
botocore's model. Packages and maintenance windows are refused rather than ignored.
"""

from typing import Any

from sluice.cloud.jobs.life import moment
from sluice.cloud.jobs.over_mqtt import STEP_MINUTES
from sluice.cloud.refusal import invalid

Parameters = dict[str, Any]

CONFIGURATION = (  # members of a request that say how a job goes
    "presignedUrlConfig",
    "jobExecutionsRolloutConfig",
    "abortConfig",
    "timeoutConfig",
    "jobExecutionsRetryConfig",
)
RETRIES = 10  # of one execution
REFUSED = ("destinationPackageVersions", "maintenanceWindows")
PER_MINUTE = range(1, 1001)
FACTOR = (1.1, 5)
AHEAD_S = 30 * 60  # the least from now to a start or an end, and from start to end
START_WITHIN_S = 366 * 86_400
END_WITHIN_S = 2 * 366 * 86_400


def check(given: Parameters, now: float) -> None:
    """Refuse a request that AWS would not take, or that this cloud cannot do."""
    for key in REFUSED:
        if given.get(key):
            raise invalid(f"the local cloud does not know {key}")
    _timeouts(given)
    _rollout(given.get("jobExecutionsRolloutConfig") or {})
    for rule in (given.get("abortConfig") or {}).get("criteriaList", ()):
        _abort(rule)
    _schedule(given.get("schedulingConfig") or {}, now)


def _timeouts(given: Parameters) -> None:
    minutes = given.get("timeoutConfig", {}).get("inProgressTimeoutInMinutes", 1)
    if minutes not in STEP_MINUTES:
        raise invalid(f"inProgressTimeoutInMinutes must be 1 to {STEP_MINUTES[-1]}")
    criteria = given.get("jobExecutionsRetryConfig", {}).get("criteriaList", ())
    if sum(rule["numberOfRetries"] for rule in criteria) > RETRIES:
        raise invalid(f"numberOfRetries must be {RETRIES} at most, of all criteria")


def _rollout(config: Parameters) -> None:
    if config.get("maximumPerMinute", 1) not in PER_MINUTE:
        raise invalid(f"maximumPerMinute must be 1 to {PER_MINUTE[-1]}")
    growth = config.get("exponentialRate")
    if not growth:
        return
    least, most = FACTOR
    if not least <= growth["incrementFactor"] <= most or digits(growth["incrementFactor"]) > 1:
        raise invalid(f"incrementFactor must be {least} to {most}, with one decimal")
    if len(growth["rateIncreaseCriteria"]) == 0:
        text = "numberOfNotifiedThings or numberOfSucceededThings"
        raise invalid(f"rateIncreaseCriteria needs {text}")


def _abort(rule: Parameters) -> None:
    share = rule["thresholdPercentage"]
    if not 0 < share <= 100 or digits(share) > 2:
        raise invalid("thresholdPercentage must be over 0 and up to 100, with two decimals")


def _schedule(schedule: Parameters, now: float) -> None:
    if schedule.get("maintenanceWindows"):
        raise invalid("the local cloud does not know maintenanceWindows")
    try:
        start, end = moment(schedule, "startTime"), moment(schedule, "endTime")
    except ValueError as error:
        raise invalid(str(error)) from None
    if schedule.get("endBehavior") and end is None:
        raise invalid("endBehavior needs an endTime")
    if start is not None and not AHEAD_S <= start - now <= START_WITHIN_S:
        raise invalid("startTime must be 30 minutes to a year from now")
    if end is not None and not AHEAD_S <= end - max(now, start or 0) <= end - now <= END_WITHIN_S:
        raise invalid("endTime must be 30 minutes after the start, and two years from now at most")


def digits(number: float) -> int:
    """The decimals of a number as it is written."""
    return len(str(number).partition(".")[2].rstrip("0"))
