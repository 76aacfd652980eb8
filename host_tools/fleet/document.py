"""The `afr_ota` document of a job, as CreateOTAUpdate writes it, and how much room there is in it.

A board reads a message of 8 KiB at most. By HTTP each file has an address there, which AWS makes
when the board asks.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.errors import SluiceError
from sluice.fleet.clients import Clients

Parameters = dict[str, Any]

FILE_TYPES = {  # `fileType`, by what a board makes of a file
    "app": 200,
    "agent": 201,
    "delta": 202,
    "compressed": 203,
}
PLACED = 1  # `fileType` of a file that goes to a path of the board's file system
FILES = 10  # of a job; a board takes no more
ROOM = 8_192  # bytes of a message with a job that a board reads, at most
AROUND = 1_024  # bytes of it, at most, around the document
URL = {True: 512, False: 1_500}  # bytes of a presigned one, by whether the cloud is the local one
BY_HTTP = ',"update_data_url":"","auth_scheme":"aws.s3.presigned"'
SIGNATURE = "=" * 512  # as long as one of RSA-3072: AWS Signer's is not known before


@dataclass(frozen=True)
class File:
    """A file as it was uploaded, and how its signature is to be had.

    where     bucket, key, version
    signing   `codeSigning` of CreateOTAUpdate; None: it has no signature of its own
    place     path on the board's file system; None for the app image and for a bundle
    kind      one of FILE_TYPES; None for everything else
    """

    path: Path
    where: dict[str, str]
    signing: Parameters | None
    place: str | None = None
    kind: str | None = None

    @property
    def naming(self) -> tuple[str, Parameters]:
        """(name on the board, the member that tells its type); an image's type is 0, unsaid."""
        name = self.place or self.path.name
        if self.kind:
            return name, {"fileType": FILE_TYPES[self.kind]}
        return name, {"fileType": PLACED} if self.place else {}


def written(cloud: Clients, stream: str, files: Sequence[File], protocol: str) -> str:
    """The document of a stream's files."""
    document = {
        "protocols": [protocol.upper()],
        "streamname": stream,
        "files": [_entry(cloud, n, file, protocol) for n, file in enumerate(files)],
    }
    return json.dumps({"afr_ota": document}, separators=(",", ":"))


def _entry(cloud: Clients, number: int, file: File, protocol: str) -> Parameters:
    """A file of it."""
    entry = {
        "filepath": file.naming[0],
        "filesize": file.path.stat().st_size,
        "fileid": number,
    }
    entry |= _signature(file.signing) | file.naming[1]
    if protocol == "http":
        host = f"s3.{cloud.region}.amazonaws.com"
        address = f"https://{host}/{file.where['bucket']}/{file.where['key']}"
        entry["update_data_url"] = f"${{aws:iot:s3-presigned-url:{address}}}"
        entry["auth_scheme"] = "aws.s3.presigned"
    return entry


def _signature(signing: Parameters | None) -> Parameters:
    """Who signed, and the signature."""
    if signing is None:
        return {"certfile": "/"}
    custom = signing.get("customCodeSigning")
    if custom is None:  # AWS Signer is still to make it
        return {"certfile": "/", "sig-sha256-rsa": SIGNATURE}
    kind = f"sig-sha256-{custom['signatureAlgorithm'].lower()}"
    return {
        "certfile": custom["certificateChain"]["certificateName"],
        kind: base64.b64encode(custom["signature"]["inlineDocument"]).decode(),
    }


def size(cloud: Clients, files: Sequence[File], protocol: str) -> int:
    """Bytes of the message that brings the document, at most."""
    each = URL[cloud.local] + len(BY_HTTP) if protocol == "http" else 0
    return AROUND + len(written(cloud, "s" * 64, files, "mqtt")) + each * len(files)


def check_room(
    cloud: Clients, files: Sequence[File], smaller: Sequence[tuple[str, File]], protocol: str
) -> None:
    """Refuse smaller images that have no room in the job beside the other files.

    smaller  what a message calls each, and the file
    """
    for number, (title, _) in enumerate(smaller):
        some = [*files, *(file for _, file in smaller[: number + 1])]
        if len(some) > FILES or size(cloud, some, protocol) > ROOM:
            raise SluiceError(
                f"{title} has no room in the job: a board takes {FILES} files and a document of "
                f"8 KiB, so {number} of the {len(smaller)} smaller images fit"
            )
