"""S3's wording: addresses, ranges, headers, XML answers and errors."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from sluice.cloud.http.server import HTTPAnswer, HTTPRequest
from sluice.cloud.s3.bucket import StoredObject

XML_BYTES = 1 << 20  # the longest XML a client may send
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
KEPT = ("content-type", "cache-control", "content-disposition", "content-language")
# fmt: off
STATUS = {
    "AccessDenied": 403, "SignatureDoesNotMatch": 403, "AuthorizationQueryParametersError": 400,
    "InvalidAccessKeyId": 403, "RequestTimeTooSkewed": 403, "AuthorizationHeaderMalformed": 400,
    "XAmzContentSHA256Mismatch": 400, "InvalidRequest": 400,
    "NoSuchBucket": 404, "NoSuchKey": 404, "NoSuchVersion": 404, "NoSuchUpload": 404,
    "NotImplemented": 501,
    "InvalidRange": 416, "PreconditionFailed": 412, "InvalidBucketName": 400,
    "BucketNotEmpty": 409, "InvalidPart": 400, "MalformedXML": 400, "InvalidArgument": 400,
    "InvalidURI": 400, "KeyTooLongError": 400, "InvalidDigest": 400, "BadDigest": 400,
    "InvalidPartOrder": 400, "EntityTooSmall": 400,
    "InternalError": 500,
}
# fmt: on


class S3Error(Exception):
    """A refusal with one of S3's codes."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}


def address(request: HTTPRequest) -> tuple[str, str]:
    """(bucket, key) of a request, each "" where there is none; S3Error for one that is no text."""
    try:
        path = unquote(request.raw_path, errors="strict").removeprefix("/")
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", "the key is not UTF-8") from None
    if bucket := hosted(request):
        return bucket, path
    bucket, _, key = path.partition("/")
    return bucket, key


def hosted(request: HTTPRequest) -> str:
    """The bucket that the host's name is of, `bucket.localhost`; "" where there is none."""
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    return host.removesuffix(".localhost") if host.endswith(".localhost") else ""


def missing(bucket: str, key: str, version: str | None) -> S3Error:
    """The error of an object that is not there, or of a version of it."""
    if version:
        return S3Error("NoSuchVersion", f"no version {version} of {key} in {bucket}")
    return S3Error("NoSuchKey", f"no object {key} in {bucket}")


def unknown(request: HTTPRequest, known: tuple | list) -> bool:
    """Whether the query asks for something else."""
    return any(key not in known for key, _ in request.query)


def asked(header: str | None, size: int) -> tuple[int, int] | None:
    """(first, count) of a Range header; None for the whole; S3Error beyond the end."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").strip())
    if not found or found[0] == "bytes=-":
        return None  # S3 ignores what it cannot read, several ranges too
    if found[1] == "":
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
        if found[2] and int(found[2]) < first:
            return None
    if first >= size:
        raise S3Error("InvalidRange", "The requested range is not satisfiable")
    return first, last - first + 1


def described(stored: StoredObject) -> dict[str, str]:
    """The headers of an object."""
    return {
        "Accept-Ranges": "bytes",
        "ETag": f'"{stored.etag}"',
        "Last-Modified": formatdate(stored.modified_at, usegmt=True),
        "Content-Type": "binary/octet-stream",
        **stored.headers,
        **versioned(stored.version),
    }


def kept(request: HTTPRequest) -> dict[str, str]:
    """The headers of a PUT that a GET gives back."""
    return {
        "-".join(word.capitalize() for word in name.split("-")) if name in KEPT else name: value
        for name, value in request.headers.items()
        if name in KEPT or name.startswith("x-amz-meta-")
    }


def versioned(version: str) -> dict[str, str]:
    """The header that names a version, where there is one."""
    return {} if version == "null" else {"x-amz-version-id": version}


def stamp(moment: float) -> str:
    """A time as S3's XML spells it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def text_of(element: ElementTree.Element, name: str, default: str | None = None) -> str:
    """The text of a child, whatever its namespace; ValueError without it or a default."""
    for child in element.iter():
        if child.tag.rsplit("}", 1)[-1] == name:
            return child.text or ""
    if default is None:
        raise ValueError(name)
    return default


def xml(name: str, inner: str, status: int = 200) -> HTTPAnswer:
    """An XML answer."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{NAMESPACE}">{inner}</{name}>'
    return HTTPAnswer(status, {"Content-Type": "application/xml"}, text.encode())


def refusal(error: S3Error) -> HTTPAnswer:
    """An error as S3 writes it."""
    text = f"<Code>{error.code}</Code><Message>{escape(str(error))}</Message>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'
    headers = {"Content-Type": "application/xml"} | error.headers
    return HTTPAnswer(STATUS[error.code], headers, body.encode())
