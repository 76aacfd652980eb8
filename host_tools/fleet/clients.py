"""boto3 clients, of the local cloud or of AWS: the same calls go to either."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from sluice.cloud.names import REGION
from sluice.cloud.state import State
from sluice.errors import SluiceError

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


def clients(state: State | None, endpoint_url: str | None = None) -> Clients:
    """Clients of the cloud that runs in `state`; None: of AWS, with the user's own settings.

    endpoint_url   AWS's calls go there instead, as boto3 does with AWS_ENDPOINT_URL
    """
    made = _made(("iot", "s3"), state, endpoint_url)
    host = urlsplit(made[0].meta.endpoint_url).hostname or ""
    near = host == "localhost" or host.startswith("127.")
    return Clients(*made, region=made[0].meta.region_name, local=state is not None, near=near)


def shadows(state: State | None, endpoint_url: str | None = None) -> Any:
    """A client of the same cloud, for what things tell in their shadows."""
    (made,) = _made(("iot-data",), state, endpoint_url)
    return made


def _made(names: Sequence[str], state: State | None, endpoint_url: str | None) -> list[Any]:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"mode": "standard"}
    )
    try:
        if state is None:
            session, options = boto3.Session(), {"config": config, "endpoint_url": endpoint_url}
        else:
            about = state.running()
            session = boto3.Session(
                aws_access_key_id=about["access_key"],
                aws_secret_access_key=about["secret_key"],
                region_name=about["region"],
            )
            options = {"config": config, "endpoint_url": about["http_endpoint"]}
        return [session.client(name, **options) for name in names]
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        raise SluiceError(f"AWS: {error}") from None


def rehearsed(
    local: bool, answers: Callable[[str], Mapping[str, Any]] = lambda region: {}
) -> Clients:
    """Clients that call nobody, for --dry-run; `answers` of a region: see `rehearsal`."""
    import boto3

    from sluice.fleet.rehearsal import Rehearsal

    region = REGION if local else boto3.Session().region_name or "YOUR-REGION"
    made = (Rehearsal("iot", answers(region)), Rehearsal("s3"))
    return Clients(*made, region=region, local=local, near=True, rehearsal=True)


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what boto3 raises into one line for the user."""
    from boto3.exceptions import S3UploadFailedError

    try:
        yield
    except ClientError as error:
        about = error.response.get("Error", {})
        raise SluiceError(about.get("Message") or about.get("Code") or str(error)) from None
    except (BotoCoreError, S3UploadFailedError) as error:
        raise SluiceError(str(error)) from None
