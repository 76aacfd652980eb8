"""AWS Signature Version 4: what a request claims about its signature, and whether that is true.

A signature is made anew by botocore's own signer, of what the request says that was signed, and
compared with the one that came.

source   AWS IAM user guide, "Signature Version 4 signing process"
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import NamedTuple

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sluice.errors import SluiceError

ALGORITHM = "AWS4-HMAC-SHA256"
STAMP = "%Y%m%dT%H%M%SZ"
SKEW_S = 15 * 60  # that a client's clock may be off
UNSIGNED = "UNSIGNED-PAYLOAD"
HEADER = re.compile(
    rf"{ALGORITHM}\s+Credential=([^\s,]+)\s*,\s*SignedHeaders=([^\s,]+)\s*,\s*Signature=([0-9a-f]+)"
)


class Key(NamedTuple):
    """What is signed with: the name that stands in a request, and the secret that does not."""

    name: str
    secret: str


class Fault(Enum):
    """What may be wrong, in the words of S3 and in those of the other services."""

    UNSIGNED = "AccessDenied", "MissingAuthenticationTokenException"
    MALFORMED = "AuthorizationHeaderMalformed", "IncompleteSignatureException"
    KEY = "InvalidAccessKeyId", "UnrecognizedClientException"
    HEADERS = "AccessDenied", "InvalidSignatureException"
    STALE = "RequestTimeTooSkewed", "InvalidSignatureException"
    SIGNATURE = "SignatureDoesNotMatch", "InvalidSignatureException"
    BODY = "XAmzContentSHA256Mismatch", "InvalidSignatureException"


class Unproved(SluiceError):
    """A request that is not proved to be of who has the key."""

    def __init__(self, fault: Fault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


@dataclass(frozen=True)
class Claim:
    """What a request says of its signature."""

    key: str  # its name
    date: str
    region: str
    service: str
    stamp: str
    headers: tuple[str, ...]  # that were signed, in lower case
    signature: str

    @property
    def signed_at(self) -> float:
        """Seconds since 1970; Unproved when the time is none."""
        try:
            return datetime.strptime(self.stamp, STAMP).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise Unproved(Fault.MALFORMED, "the time of the signature cannot be read") from None


def claimed(credential: str, stamp: str, headers: str, signature: str) -> Claim:
    """A claim of its parts, which stand in a header or a query; Unproved when they make none."""
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or parts[1] != stamp[:8]:
        raise Unproved(
            Fault.MALFORMED, "the credential is not KEY/DATE/REGION/SERVICE/aws4_request"
        )
    signed = tuple(headers.split(";"))
    if "host" not in signed:
        raise Unproved(Fault.MALFORMED, "the host is not signed")
    return Claim(*parts[:4], stamp, signed, signature)


def of_header(headers: Mapping[str, str]) -> Claim:
    """What the header `authorization` claims."""
    text = headers.get("authorization")
    if text is None:
        raise Unproved(Fault.UNSIGNED, "the request is not signed")
    found = HEADER.fullmatch(text.strip())
    if not found:
        raise Unproved(Fault.MALFORMED, f"the authorization is not one of {ALGORITHM}")
    return claimed(found[1], headers.get("x-amz-date", ""), found[2], found[3])


@dataclass(frozen=True)
class Signable:
    """What a signature is made of. The payload is the SHA-256 of the body, or the word that
    stands for it."""

    method: str
    raw_path: str
    query: Iterable[tuple[str, str]]
    headers: Mapping[str, str]
    payload: str


def prove(claim: Claim, key: Key, request: Signable) -> None:
    """Return if the request is as it was signed, with that key; Unproved otherwise."""
    if claim.key != key.name:
        raise Unproved(Fault.KEY, f"the access key {claim.key} is not this cloud's")
    if any(name.startswith("x-amz-") and name not in claim.headers for name in request.headers):
        raise Unproved(Fault.HEADERS, "there are headers x-amz-… that are not signed")
    right = signature(claim, key, request)
    if not hmac.compare_digest(right.encode(), claim.signature.encode()):
        raise Unproved(Fault.SIGNATURE, "the signature is not that of this request")


def fresh(claim: Claim, now: float) -> None:
    """Return if the request was signed just now; Unproved otherwise."""
    if abs(now - claim.signed_at) > SKEW_S:
        raise Unproved(Fault.STALE, f"signed at {claim.stamp}, which is too far from now")


class Exact(SigV4Auth):
    """botocore's signer, of just the headers and the payload that are handed in."""

    def headers_to_sign(self, request: AWSRequest) -> Mapping[str, str]:
        """All."""
        return request.headers

    def payload(self, request: AWSRequest) -> str:
        """The hash that is known already."""
        return request.context["payload"]

    def _normalize_url_path(self, path: str) -> str:
        return path if self._service_name == "s3" else super()._normalize_url_path(path)


def signature(claim: Claim, key: Key, request: Signable) -> str:
    """The hexadecimal signature that such a request has."""
    headers = {name: request.headers.get(name, "") for name in claim.headers}
    address, query = f"http://host{request.raw_path}", list(request.query)
    again = AWSRequest(request.method, address, headers=headers, params=query)
    again.context |= {"timestamp": claim.stamp, "payload": request.payload}
    signer = Exact(Credentials(*key), claim.service, claim.region)
    text = signer.string_to_sign(again, signer.canonical_request(again))
    return signer.signature(text, again)


def seal(claim: Claim, key: Key, kind: str, *lines: str) -> str:
    """The signature of a part of a body: a chunk, or what follows the chunks."""
    signer = Exact(Credentials(*key), claim.service, claim.region)
    request = AWSRequest()
    request.context["timestamp"] = claim.stamp
    head = (f"{ALGORITHM}-{kind}", claim.stamp, signer.credential_scope(request))
    return signer.signature("\n".join((*head, *lines)), request)
