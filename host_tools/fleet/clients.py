"""boto3 clients, of the local cloud or of AWS: the same calls go to either."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sluice.cloud.names import REGION
from sluice.cloud.state import State
from sluice.errors import SluiceError
from sluice.fleet.account import Account
from sluice.fleet.rehearsal import Rehearsal

TIMEOUT_S = 30
UNTRIED = "What --aws calls was never tried against AWS from here, only against the local cloud."


@dataclass(frozen=True)
class Clients:
    """The services that Sluice calls."""

    iot: object
    s3: object
    region: str
    local: bool  # a cloud of a state folder
    near: bool  # on this machine: it may be asked often
    rehearsal: bool = False  # nothing is called


def clients(place: State | Account) -> Clients:
    """Clients of the cloud that runs in a state folder, or of the user's own AWS."""
    made = _made(("iot", "s3"), place)
    host = urlsplit(made[0].meta.endpoint_url).hostname or ""
    near = host == "localhost" or host.startswith("127.")
    local = isinstance(place, State)
    return Clients(*made, region=made[0].meta.region_name, local=local, near=near)


def shadows(place: State | Account) -> Any:
    """A client of the same cloud, for what things tell in their shadows."""
    (made,) = _made(("iot-data",), place)
    return made


def _made(names: Sequence[str], place: State | Account) -> list[Any]:
    config = Config(
        connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"mode": "standard"}
    )
    try:
        if isinstance(place, Account):
            session, address = _session(place), place.endpoint_url
        else:
            about = place.running()
            session = boto3.Session(
                aws_access_key_id=about["access_key"],
                aws_secret_access_key=about["secret_key"],
                region_name=about["region"],
            )
            address = about["http_endpoint"]
        return [session.client(name, config=config, endpoint_url=address) for name in names]
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise SluiceError(f"AWS: {error}") from None


def _session(account: Account) -> boto3.Session:
    return boto3.Session(profile_name=account.profile, region_name=account.region)


def rehearsed(
    place: State | Account, answers: Callable[[str], Mapping[str, Any]] = lambda region: {}
) -> Clients:
    """Clients that call nobody, for --dry-run; `answers` of a region: see `rehearsal`."""
    local, region = isinstance(place, State), REGION
    if isinstance(place, Account):
        with plainly():  # no such profile
            region = _session(place).region_name or "YOUR-REGION"
    made = (Rehearsal("iot", answers(region)), Rehearsal("s3"))
    return Clients(*made, region=region, local=local, near=True, rehearsal=True)


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what boto3 raises into one line for the user."""
    try:
        yield
    except ClientError as error:
        about = error.response.get("Error", {})
        raise SluiceError(about.get("Message") or about.get("Code") or str(error)) from None
    except (BotoCoreError, S3UploadFailedError) as error:
        raise SluiceError(str(error)) from None
