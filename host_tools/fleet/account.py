"""Which of the user's own AWS settings a command is to use."""

import shlex
from dataclasses import dataclass, fields

from sluice.cloud.state import State


@dataclass(frozen=True)
class Account:
    """What boto3 is given; None: what it finds in the environment and in the user's files.

    endpoint_url   the calls go there, as with AWS_ENDPOINT_URL
    """

    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None


def options(place: State | Account) -> str:
    """The options that say which cloud is meant, for a command that is told to the user."""
    if isinstance(place, State):
        return shlex.join(["--state", str(place.root)])
    words = ["--aws"]
    for field in fields(place):
        if value := getattr(place, field.name):
            words += [f"--{field.name.replace('_', '-')}", value]
    return shlex.join(words)
