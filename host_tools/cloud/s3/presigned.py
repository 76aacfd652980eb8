"""Presigned URLs, made for job documents, and signatures of files in them.

They are made with the key of this cloud, as its owner could make them by boto3, and proved when
one is used (see `proof`).
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from sqlite3 import Row
from urllib.parse import quote, unquote, urlsplit

from sluice.cloud.http.sigv4 import ALGORITHM, STAMP, UNSIGNED, Claim, Key, Signable, signature
from sluice.cloud.names import REGION

DEFAULT_S = 3600  # of a job whose presignedUrlConfig names no expiry
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')  # of JSON, with its escapes
# What AWS puts in this one's place is not written down exactly: here, base64 of the signature.
CODE_SIGNATURE = re.compile(
    r"\$\{aws:iot:code-sign-signature:s3://([^/}]+)/([^@}]+)(?:@([^}]+))?\}"
)
PLACEHOLDER = re.compile(r"\$\{aws:iot:s3-presigned-url:(https://[^}]+)\}")


Signed = Callable[[str, str, str | None], str | None]


def presign(
    endpoint: str, path: str, expires_s: int, now: float, key: Key, version: str = ""
) -> str:
    """A URL for one GET of `/bucket/key` at `endpoint`, valid for that many seconds."""
    stamp = datetime.fromtimestamp(now, UTC).strftime(STAMP)
    claim = Claim(key.name, stamp[:8], REGION, "s3", stamp, ("host",), "")
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
    made = signature(claim, key, Signable("GET", raw, query.items(), headers, UNSIGNED))
    words = (f"{name}={quote(text, safe='~')}" for name, text in sorted(query.items()))
    return f"{endpoint}{raw}?{'&'.join(words)}&X-Amz-Signature={made}"


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
    key: Key,
    signed: Signed = lambda bucket, key, version: None,
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
        return presign(endpoint, path, expires_s, now, key, version[1] if version else "")

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
        key: Key,
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
        return expand(text, self._endpoint(), expires_s, self._now(), self._key, self._signed)
