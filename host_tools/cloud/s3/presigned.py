"""Presigned URLs, made for job documents and judged when one is used; and signatures of files.

The local cloud's own key pair is public, a placeholder that clients need. URLs made with it are
checked in full (AWS Signature Version 4 in the query: method, path, query, signed headers); of
URLs made with any other key only the expiry can be, because their secret is not known here. Where
boards on the network are served, their URLs are made with a key that nobody else knows.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from sqlite3 import Row
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from host_tools.cloud.names import REGION

ACCESS_KEY = "SLUICELOCALCLOUD"
SECRET_KEY = "not-a-secret"
ALGORITHM = "AWS4-HMAC-SHA256"
DEFAULT_S = 3600  # of a job whose presignedUrlConfig names no expiry
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')  # of JSON, with its escapes
# What AWS puts in this one's place is not written down exactly: here, base64 of the signature.
CODE_SIGNATURE = re.compile(
    r"\$\{aws:iot:code-sign-signature:s3://([^/}]+)/([^@}]+)(?:@([^}]+))?\}"
)
PLACEHOLDER = re.compile(r"\$\{aws:iot:s3-presigned-url:(https://[^}]+)\}")
STAMP = "%Y%m%dT%H%M%SZ"


class Key(NamedTuple):
    """What URLs are signed with: the name that stands in them, and the secret that does not."""

    name: str
    secret: str


PUBLIC = Key(ACCESS_KEY, SECRET_KEY)
Signed = Callable[[str, str, str | None], str | None]


def presign(
    endpoint: str,
    path: str,
    expires_s: int,
    now: float,
    version: str = "",
    key: Key = PUBLIC,
) -> str:
    """A URL for one GET of `/bucket/key` at `endpoint`, valid for that many seconds."""
    stamp = datetime.fromtimestamp(now, UTC).strftime(STAMP)
    query = {
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{key.name}/{stamp[:8]}/{REGION}/s3/aws4_request",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(expires_s),
        "X-Amz-SignedHeaders": "host",
    }
    if version:
        query["versionId"] = version
    raw = quote(path, safe="/~")
    headers = {"host": urlsplit(endpoint).netloc}
    query["X-Amz-Signature"] = signature("GET", raw, query, headers, key)
    return f"{endpoint}{raw}?{canonical(query)}"


def canonical(query: Mapping[str, str]) -> str:
    """A query string as it is signed: sorted, percent-encoded, without the signature."""
    pairs = ((quote(key, safe="~"), quote(value, safe="~")) for key, value in query.items())
    signed = sorted(pair for pair in pairs if pair[0] != "X-Amz-Signature")
    text = "&".join(f"{key}={value}" for key, value in signed)
    if "X-Amz-Signature" in query:
        return f"{text}&X-Amz-Signature={query['X-Amz-Signature']}"
    return text


def signature(
    method: str,
    raw_path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    key: Key = PUBLIC,
) -> str:
    """The hexadecimal signature of a request whose payload is unsigned."""
    unsigned = {key: value for key, value in query.items() if key != "X-Amz-Signature"}
    names = query["X-Amz-SignedHeaders"].split(";")
    lines = [f"{name}:{headers.get(name, '').strip()}" for name in names]
    request = "\n".join(
        (method, raw_path, canonical(unsigned), *lines, "", ";".join(names), "UNSIGNED-PAYLOAD")
    )
    scope = query["X-Amz-Credential"].split("/", 1)[1]
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join((ALGORITHM, query["X-Amz-Date"], scope, digest))
    derived = f"AWS4{key.secret}".encode()
    for part in scope.split("/"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    return hmac.digest(derived, text.encode(), "sha256").hex()


def fault(
    method: str,
    raw_path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    now: float,
    key: Key = PUBLIC,
) -> str | None:
    """Why a presigned request is refused: an S3 error code and a text; None when it is good."""
    try:
        if "Expires" in query:  # signature version 2, boto3's default for us-east-1
            expires_at = float(query["Expires"])
        else:
            signed = datetime.strptime(query["X-Amz-Date"], STAMP).replace(tzinfo=UTC)
            expires_at = signed.timestamp() + int(query["X-Amz-Expires"])
        if signer(query) == key.name:
            right = signature(method, raw_path, query, headers, key)
            if not hmac.compare_digest(right.encode(), query["X-Amz-Signature"].encode()):
                return "SignatureDoesNotMatch The request signature does not match"
    except (KeyError, ValueError, IndexError):
        return "AuthorizationQueryParametersError The presigned URL is incomplete"
    return None if now < expires_at else "AccessDenied Request has expired"


def signer(query: Mapping[str, str]) -> str:
    """The name of the key that a URL says it was signed with; "" if it does not."""
    return query.get("X-Amz-Credential", "").split("/")[0]


def location(url: str) -> tuple[str, str] | None:
    """(bucket, key) of an S3 address in one of its usual forms; None if it is another's."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not closed
        return None
    host, path = parts.hostname or "", unquote(parts.path).lstrip("/")
    if parts.scheme == "s3":
        return (host, path) if host and path else None
    if re.fullmatch(r"s3[.-].*amazonaws\.com(\.cn)?|s3\.amazonaws\.com|localhost|[\d.]+", host):
        bucket, _, key = path.partition("/")
        return (bucket, key) if key else None
    found = re.fullmatch(r"(.+)\.s3[.-].*amazonaws\.com(\.cn)?", host)
    return (found[1], path) if found and path else None


def expand(
    document: str,
    endpoint: str,
    expires_s: int,
    now: float,
    signed: Signed = lambda bucket, key, version: None,
    key: Key = PUBLIC,
) -> str:
    """A job document's text with each placeholder replaced by a URL, or signature, of this moment.

    signed  (bucket, key, version) → the signature of that object; None leaves its placeholder
    """

    def url(found: re.Match) -> str:
        where = location(found[1])
        if where is None:
            return found[0]
        version = re.search(r"[?&]versionId=([^&]+)", found[1])
        path = "/" + "/".join(where)
        return presign(endpoint, path, expires_s, now, version[1] if version else "", key)

    def code(found: re.Match) -> str:
        bucket, name, version = found.groups()
        # the guide writes region.bucket; a bucket's own name may have dots, too
        buckets = (bucket, bucket.partition(".")[2])
        return next((text for one in buckets if (text := signed(one, name, version))), found[0])

    def string(found: re.Match) -> str:
        if "${" not in (text := json.loads(found[0])):
            return found[0]
        return json.dumps(CODE_SIGNATURE.sub(code, PLACEHOLDER.sub(url, text)))

    return STRING.sub(string, document)


def expiry_s(request: Mapping) -> int:
    """The lifetime that a job's request gives its URLs."""
    return request.get("presignedUrlConfig", {}).get("expiresInSec") or DEFAULT_S


class Expander:
    """Expands texts for the request of this moment.

    endpoint  gives where boards reach the bucket, as http://host:port
    now       gives the time, seconds since 1970
    signed    as for `expand`
    key       that URLs are signed with
    """

    def __init__(
        self,
        endpoint: Callable[[], str],
        now: Callable[[], float],
        signed: Signed,
        key: Key = PUBLIC,
    ) -> None:
        self._endpoint = endpoint
        self._now = now
        self._signed = signed
        self._key = key

    def document(self, job: Row) -> str:
        """A job's document, its URLs of the lifetime that the job's request gives them."""
        return self.text(job["document"], expiry_s(json.loads(job["request"])))

    def text(self, text: str, expires_s: int) -> str:
        """A text of JSON, its URLs valid for that many seconds."""
        return expand(text, self._endpoint(), expires_s, self._now(), self._signed, self._key)
