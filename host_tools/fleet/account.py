"""Which of the user's own AWS settings a command is to use."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Account:
    """What boto3 is given; None: what it finds in the environment and in the user's files.

    endpoint_url   the calls go there, as with AWS_ENDPOINT_URL
    """

    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None
