"""Who may ask the bucket: who signs with the cloud's key, in a header or in the query.

A presigned URL is proved for its method, its object, its arguments and its time. boto3 makes those
of us-east-1 by signature version 2, unless it is told otherwise.

source   Amazon S3 API reference, "Authenticating requests"
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from botocore.auth import HmacV1Auth
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from sluice.cloud.http.server import HTTPRequest
from sluice.cloud.http.sigv4 import (
    ALGORITHM,
    SKEW_S,
    UNSIGNED,
    Claim,
    Fault,
    Key,
    Signable,
    Unproved,
    claimed,
    fresh,
    of_header,
    prove,
)
from sluice.cloud.s3.chunks import Chain, unwrapped
from sluice.cloud.s3.wording import S3Error, hosted

WEEK_S = 7 * 24 * 3600  # the longest that a presigned URL is good for
CHUNKED = {  # whether each chunk is signed
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": False,
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": True,
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": True,
}
DIGEST = re.compile(r"[0-9a-f]{64}")


def proved(request: HTTPRequest, key: Key, now: float) -> HTTPRequest:
    """The request with the body's own bytes, which are proved while they are read.

    Raises S3Error for a request that is not of who has the key.
    """
    query = dict(request.query)
    if len(query) < len(request.query):  # which of them was signed would be anybody's guess
        raise S3Error("InvalidArgument", "a query argument is given twice")
    now += request.later_s
    try:
        if "X-Amz-Signature" in query:
            _presigned(request, query, key, now)
            return replace(request, body=_payload(request, None, key))
        if "Signature" in query:
            _presigned_v2(request, query, key, now)
            return replace(request, body=_payload(request, None, key))
        return replace(request, body=_payload(request, _signed(request, key, now), key))
    except Unproved as fault:
        here, elsewhere = fault.fault.value  # what is not signed may be meant for another service
        raise S3Error(here, str(fault), {"x-amzn-ErrorType": elsewhere}) from None


def _signed(request: HTTPRequest, key: Key, now: float) -> Claim:
    if request.headers.get("authorization", "").startswith("AWS "):
        raise S3Error("InvalidRequest", f"signature version 2 is not taken here, {ALGORITHM} is")
    claim = of_header(request.headers)
    fresh(claim, now)
    payload = request.headers.get("x-amz-content-sha256")
    if payload is None:
        raise S3Error("InvalidRequest", "the header x-amz-content-sha256 is missing")
    where = request.method, request.raw_path, request.query
    prove(claim, key, Signable(*where, request.headers, payload))
    return claim


def _presigned(request: HTTPRequest, query: Mapping[str, str], key: Key, now: float) -> None:
    try:
        names = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")
        claim = claimed(*(query[name] for name in names))
        signed_at, lifetime_s = claim.signed_at, int(query["X-Amz-Expires"])
    except (KeyError, ValueError, Unproved):
        text = "the presigned URL is incomplete"
        raise S3Error("AuthorizationQueryParametersError", text) from None
    if lifetime_s not in range(1, WEEK_S + 1):
        text = f"X-Amz-Expires must be 1 to {WEEK_S}"
        raise S3Error("AuthorizationQueryParametersError", text)
    signed = [pair for pair in request.query if pair[0] != "X-Amz-Signature"]
    where = request.method, request.raw_path, signed
    prove(claim, key, Signable(*where, request.headers, UNSIGNED))
    if now + SKEW_S < signed_at:
        raise S3Error("AccessDenied", "Request is not valid yet")
    _in_time(now, signed_at + lifetime_s)


def _presigned_v2(request: HTTPRequest, query: Mapping[str, str], key: Key, now: float) -> None:
    name = query.get("AWSAccessKeyId", "")
    if name != key.name:
        raise Unproved(Fault.KEY, f"the access key {name} is not this cloud's")
    expires = query.get("Expires", "")
    if not re.fullmatch(r"\d{1,15}", expires):
        raise S3Error("AccessDenied", "the presigned URL has no time when it expires")
    right = SignerV2(key, expires).of(request, query)
    if not hmac.compare_digest(right.encode(), query["Signature"].encode()):
        raise Unproved(Fault.SIGNATURE, "the signature is not that of this request")
    _in_time(now, int(expires))


def _in_time(now: float, expires_at: float) -> None:
    if now >= expires_at:
        raise S3Error("AccessDenied", "Request has expired")


class SignerV2(HmacV1Auth):
    """botocore's signer by signature version 2, for a URL that expires at that time."""

    def __init__(self, key: Key, expires: str) -> None:
        super().__init__(Credentials(*key))
        self._expires = expires

    def of(self, request: HTTPRequest, query: Mapping[str, str]) -> str:
        """The signature that such a request has."""
        headers = HTTPHeaders()
        given = {name.lower(): value for name, value in query.items()} | request.headers
        for name, value in given.items():
            if name.startswith("x-amz-") or name in ("content-type", "content-md5"):
                headers[name] = value
        words = (f"{name}={quote(text)}" if text else name for name, text in request.query)
        split = urlsplit(f"http://host{request.raw_path}?{'&'.join(words)}")
        where = f"/{hosted(request)}{request.raw_path}" if hosted(request) else request.raw_path
        return self.get_signature(request.method, split, headers, auth_path=where)

    def _get_date(self) -> str:
        return self._expires


def _payload(request: HTTPRequest, claim: Claim | None, key: Key) -> Iterator[bytes]:
    """The body's own bytes; reading them raises S3Error when they are not those signed."""
    hashed = request.headers.get("x-amz-content-sha256", UNSIGNED)
    if hashed in CHUNKED:
        return unwrapped(request.body, Chain(claim, key) if claim and CHUNKED[hashed] else None)
    if hashed == UNSIGNED:
        wrapped = "aws-chunked" in request.headers.get("content-encoding", "")
        return unwrapped(request.body, None) if wrapped else request.body
    if DIGEST.fullmatch(hashed):
        return _hashed(request.body, hashed)
    raise S3Error("InvalidArgument", "x-amz-content-sha256 is no SHA-256 and no word for one")


def _hashed(pieces: Iterator[bytes], digest: str) -> Iterator[bytes]:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
        yield piece
    if found.hexdigest() != digest:
        raise S3Error(Fault.BODY.value[0], "the body is not the one that was signed")
