"""boto3 clients, of the local cloud or of AWS: the same calls go to either."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from host_tools.cloud.presign import ACCESS_KEY, SECRET_KEY
from host_tools.cloud.state import State
from host_tools.errors import SluiceError

TIMEOUT_S = 30


@dataclass(frozen=True)
class Clients:
    """The services that Sluice calls."""

    iot: object
    s3: object
    region: str
    local: bool


def clients(state: State | None) -> Clients:
    """Clients of the cloud that runs in `state`; None: of AWS, with the user's own settings."""
    config = Config(
        connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"mode": "standard"}
    )
    try:
        if state is None:
            session, options = boto3.Session(), {"config": config}
        else:
            about = state.running()
            session = boto3.Session(
                aws_access_key_id=ACCESS_KEY,
                aws_secret_access_key=SECRET_KEY,
                region_name=about["region"],
            )
            options = {"config": config, "endpoint_url": about["http_endpoint"]}
        made = [session.client(name, **options) for name in ("iot", "s3")]
    except BotoCoreError as error:
        raise SluiceError(f"AWS: {error}") from None
    return Clients(*made, region=session.region_name, local=state is not None)


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
