"""Copies of objects: which one, under which condition, and with which headers.

source   Amazon S3 API reference: CopyObject
"""

from urllib.parse import unquote

from sluice.cloud.http.server import HTTPAnswer, HTTPRequest
from sluice.cloud.s3.bucket import Bucket, StoredObject
from sluice.cloud.s3.wording import S3Error, kept, missing, stamp, versioned, xml

SOURCE = "x-amz-copy-source"
KNOWN = (SOURCE, f"{SOURCE}-range", f"{SOURCE}-if-match")


def source(request: HTTPRequest, bucket: Bucket) -> StoredObject:
    """The object that is to be copied; S3Error when there is none, or it is another."""
    others = [name for name in request.headers if name.startswith(SOURCE) and name not in KNOWN]
    if others:
        raise S3Error("NotImplemented", f"{', '.join(others)} is not known here")
    path, _, version = request.headers[SOURCE].partition("?versionId=")
    name, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket.known(name):
        raise S3Error("NoSuchBucket", f"no bucket {name}")
    stored = bucket.find(name, key, version or None)
    if stored is None:
        raise missing(name, key, version)
    wanted = request.headers.get(f"{SOURCE}-if-match", "").strip('"')
    if wanted not in ("", "*", stored.etag):
        raise S3Error("PreconditionFailed", "the object's ETag is another")
    return stored


def copied(request: HTTPRequest, bucket: Bucket, name: str, key: str) -> HTTPAnswer:
    """CopyObject, to that bucket and key."""
    stored = source(request, bucket)
    directive = request.headers.get("x-amz-metadata-directive", "COPY")
    if directive not in ("COPY", "REPLACE"):
        raise S3Error("InvalidArgument", "x-amz-metadata-directive must be COPY or REPLACE")
    newest = bucket.find(name, key)
    if directive == "COPY" and newest and newest.file == stored.file:
        raise S3Error("InvalidRequest", "an object is copied to itself only with other metadata")
    written = bucket.write(stored.pieces(0, stored.size))
    headers = stored.headers if directive == "COPY" else kept(request)
    version = bucket.publish(name, key, written, headers)
    made = bucket.find(name, key, version)
    when = f"<LastModified>{stamp(made.modified_at)}</LastModified>" if made else ""
    answer = xml("CopyObjectResult", f"{when}<ETag>&quot;{written.etag}&quot;</ETag>")
    answer.headers |= versioned(version)
    if stored.version != "null":
        answer.headers["x-amz-copy-source-version-id"] = stored.version
    return answer
