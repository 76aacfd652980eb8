"""Images and bundles on their way: into a versioned bucket, signed, and offered to its targets.

CreateOTAUpdate makes stream and job in one call, and can have AWS Signer sign. It knows neither
schedules nor retries: with those, stream and job are made here, and the job's document is the one
that CreateOTAUpdate would have made.
"""

import re
import time
import uuid
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from sluice.errors import SluiceError
from sluice.fleet import document
from sluice.fleet.clients import Clients
from sluice.fleet.document import File
from sluice.fleet.provision import quietly
from sluice.fleet.settings import of_update
from sluice.signing import PrivateKey, algorithm, sign

Parameters = dict[str, Any]

BUCKET = "sluice-images"
POLL_S = {True: 0.3, False: 5}  # by whether the cloud is on this machine
CREATED_S = 120  # for AWS to make the job of an update
URL_S = 3600  # lifetime of a presigned URL: AWS's longest
STRANGE = re.compile(r"[^A-Za-z0-9._-]")
ONLY_JOB = ("schedulingConfig", "jobExecutionsRetryConfig")
SIGNED = "signed/"  # where AWS Signer puts what it makes


def upload(cloud: Clients, image: Path, bucket: str, new: bool = False) -> dict[str, str]:
    """Put a file into a versioned bucket; that is made if it is `new`, or the local cloud's.

    Its key is of characters that mean nothing in the URL of a placeholder, nor to what expands it.
    """
    if cloud.local or new:
        make_bucket(cloud, bucket)
    name = STRANGE.sub("-", f"{image.stem}-{uuid.uuid4().hex[:12]}{image.suffix}")
    try:
        with image.open("rb") as body:
            version = cloud.s3.put_object(Bucket=bucket, Key=name, Body=body).get("VersionId")
    except OSError as error:
        raise SluiceError(f"cannot read {image}: {error.strerror}") from None
    if version is None:
        raise SluiceError(f"bucket {bucket} is not versioned: AWS IoT needs that for updates")
    return {"bucket": bucket, "key": name, "version": version}


def make_bucket(cloud: Clients, bucket: str) -> None:
    """A bucket in the region of the things, with versioning; one that is there stays as it is."""
    if _is_there(cloud, bucket):
        return
    given: Parameters = {"Bucket": bucket}
    if cloud.region != "us-east-1":  # the one region that must not be named
        given["CreateBucketConfiguration"] = {"LocationConstraint": cloud.region}
    try:
        cloud.s3.create_bucket(**given)
    except ClientError as error:  # made since we asked; us-east-1 says nothing of that
        if error.response["Error"]["Code"] != "BucketAlreadyOwnedByYou":
            raise
        return
    enabled = {"Status": "Enabled"}
    cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)


def _is_there(cloud: Clients, bucket: str) -> bool:
    """Asked by its versioning; SluiceError when that is not ours to ask."""
    try:
        cloud.s3.get_bucket_versioning(Bucket=bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "AccessDenied":
            raise SluiceError(
                f"bucket {bucket} is somebody else's, or you lack s3:GetBucketVersioning"
            ) from None
        if code != "NoSuchBucket":
            raise
        return False
    return not cloud.rehearsal  # of which all calls are shown that there may be


def own_signature(image: Path, key: PrivateKey, certificate: str) -> Parameters:
    """`codeSigning` with a signature made here; `certificate` is its path on the board."""
    signature = {
        "signature": {"inlineDocument": sign(image, key)},
        "certificateChain": {"certificateName": certificate},
        "hashAlgorithm": "SHA256",
        "signatureAlgorithm": algorithm(key),
    }
    return {"customCodeSigning": signature}


def by_signer(profile: str, bucket: str) -> Parameters:
    """`codeSigning` that has AWS Signer sign, with a profile for AWS IoT device management."""
    destination = {"s3Destination": {"bucket": bucket, "prefix": SIGNED}}
    job = {"signingProfileName": profile, "destination": destination}
    return {"startSigningJobParameter": job}


def offer(
    cloud: Clients,
    files: list[File],
    targets: list[str],
    protocol: str,
    role: str,
    job: Parameters,
) -> str:
    """Make the job; returns its id. `job` is what `settings` made of the options; with those of
    ONLY_JOB the files must have been signed here."""
    name = f"sluice-{uuid.uuid4().hex[:12]}"
    if not any(key in job for key in ONLY_JOB):
        return _update(cloud, name, files, targets, protocol, role, job)
    stream = f"{name}-files"
    parts = [{"fileId": n, "s3Location": file.where} for n, file in enumerate(files)]
    cloud.iot.create_stream(streamId=stream, files=parts, roleArn=role)
    urls = {"roleArn": role, "expiresInSec": URL_S}
    presigned = {"presignedUrlConfig": urls} if protocol == "http" else {}
    text = document.written(cloud, stream, files, protocol)
    try:
        cloud.iot.create_job(jobId=name, targets=targets, document=text, **presigned, **job)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":  # asked twice
            quietly(cloud.iot.delete_stream, streamId=stream)
        raise
    return name


def _update(
    cloud: Clients,
    name: str,
    files: list[File],
    targets: list[str],
    protocol: str,
    role: str,
    job: Parameters,
) -> str:
    """By CreateOTAUpdate; its job's id, once AWS has made that."""
    entries = [
        {"fileName": file.naming[0], "fileLocation": {"s3Location": file.where}}
        | ({"codeSigning": file.signing} if file.signing else {})
        | file.naming[1]
        for file in files
    ]
    cloud.iot.create_ota_update(
        otaUpdateId=name,
        targets=targets,
        protocols=[protocol.upper()],
        files=entries,
        roleArn=role,
        **of_update(job),
    )
    deadline = time.monotonic() + CREATED_S
    while time.monotonic() < deadline:
        about = cloud.iot.get_ota_update(otaUpdateId=name)["otaUpdateInfo"]
        if about["otaUpdateStatus"] == "CREATE_COMPLETE":
            return about["awsIotJobId"]
        if about["otaUpdateStatus"] == "CREATE_FAILED":
            raise SluiceError(f"OTA update {name}: {about.get('errorInfo', {}).get('message')}")
        time.sleep(POLL_S[cloud.near])
    raise SluiceError(f"OTA update {name} is still not there after {CREATED_S} s")
