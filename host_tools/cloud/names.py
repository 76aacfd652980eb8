"""Names as AWS spells them: patterns, ARNs, and this cloud's one account and region."""

import re

from sluice.errors import SluiceError

REGION = "us-east-1"
ACCOUNT = "123456789012"
MQTT_PORT = 8883  # of this cloud, where nothing else is said
HTTP_PORT = 8080

# Patterns and lengths: botocore's models of iot and iot-jobs-data.
THING = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
JOB = re.compile(r"[a-zA-Z0-9_-]{1,64}")
STREAM = re.compile(r"[a-zA-Z0-9_-]{1,128}")
SHADOW = re.compile(r"[$a-zA-Z0-9:_-]{1,64}")


def check_thing(name: str) -> str:
    """The name, if AWS would take it as a thing's; SluiceError otherwise."""
    if not THING.fullmatch(name):
        raise SluiceError(f"{name!r} is no thing name: 1 to 128 of a-z A-Z 0-9 : _ -")
    return name


def check_job(name: str) -> str:
    """The name, if AWS would take it as a job's; SluiceError otherwise."""
    if not JOB.fullmatch(name):
        raise SluiceError(f"{name!r} is no job id: 1 to 64 of a-z A-Z 0-9 _ -")
    return name


def arn(kind: str, name: str) -> str:
    """The ARN of an iot resource, such as arn("thing", "pump-1")."""
    return f"arn:aws:iot:{REGION}:{ACCOUNT}:{kind}/{name}"


def of_arn(text: str, kind: str) -> str | None:
    """The name within an iot ARN of that kind, whatever account and region; None if another."""
    found = re.fullmatch(rf"arn:aws[a-z-]*:iot:[^:]*:[^:]*:{kind}/(.+)", text)
    return found[1] if found else None
