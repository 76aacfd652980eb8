"""The bucket's HTTP face: what boto3's s3 client and a board need of Amazon S3.

Addresses are `/bucket/key`, or a host name `bucket.localhost`. Who asks is proved first
(see `proof`).
"""

import re
import time
from collections.abc import Callable
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from sluice.cloud.http.server import HTTPAnswer, HTTPRequest
from sluice.cloud.http.sigv4 import Key
from sluice.cloud.names import REGION
from sluice.cloud.s3 import listing
from sluice.cloud.s3.bucket import Bucket, NoBucket
from sluice.cloud.s3.copies import SOURCE, copied
from sluice.cloud.s3.proof import proved
from sluice.cloud.s3.uploads import Uploads, received
from sluice.cloud.s3.wording import (
    XML_BYTES,
    S3Error,
    address,
    asked,
    described,
    kept,
    missing,
    refusal,
    stamp,
    text_of,
    unknown,
    versioned,
    xml,
)

BUCKET = re.compile(r"(?!.*\.\.|(\d+\.){3}\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
KEY_BYTES = 1024
DELETED_KEYS = 1000  # in one request
INSTEAD = {  # query arguments of a GET, and the headers that they replace
    f"response-{name.lower()}": name
    for name in (
        "Cache-Control",
        "Content-Disposition",
        "Content-Encoding",
        "Content-Language",
        "Content-Type",
        "Expires",
    )
}
SIGNATURE = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
    "AWSAccessKeyId",
    "Signature",
    "Expires",
]


class S3:
    """Answers requests from the bucket that are signed with `key`."""

    def __init__(self, bucket: Bucket, key: Key, now: Callable[[], float] = time.time) -> None:
        self._bucket = bucket
        self._now = now
        self._key = key
        self._uploads = Uploads(bucket)

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        """The one entry."""
        try:
            request = proved(request, self._key, self._now())
            bucket, key = address(request)
            if len(key.encode()) > KEY_BYTES:
                raise S3Error("KeyTooLongError", f"a key has {KEY_BYTES} bytes at most")
            if not bucket:
                return self._list_buckets(request)
            if not key:
                return self._on_bucket(request, bucket)
            if not self._bucket.known(bucket):
                raise S3Error("NoSuchBucket", f"no bucket {bucket}")
            return self._on_object(request, bucket, key)
        except S3Error as error:
            return refusal(error)
        except NoBucket as error:
            return refusal(S3Error("NoSuchBucket", f"no bucket {error}"))
        except (ValueError, ElementTree.ParseError):
            return refusal(S3Error("MalformedXML", "the request's body cannot be read"))

    def _list_buckets(self, request: HTTPRequest) -> HTTPAnswer:
        if request.method != "GET":
            raise S3Error("NotImplemented", f"{request.method} on no bucket")
        rows = [
            f"<Bucket><Name>{row['name']}</Name>"
            f"<CreationDate>{stamp(row['created_at'])}</CreationDate></Bucket>"
            for row in self._bucket.names()
        ]
        return xml("ListAllMyBucketsResult", f"<Buckets>{''.join(rows)}</Buckets>")

    def _on_bucket(self, request: HTTPRequest, name: str) -> HTTPAnswer:
        if request.method == "PUT" and not request.query:
            if not BUCKET.fullmatch(name):
                raise S3Error("InvalidBucketName", f"no bucket name: {name}")
            self._bucket.create(name)
            return HTTPAnswer(headers={"Location": f"/{name}"})
        row = self._bucket.known(name)
        if not row:
            raise S3Error("NoSuchBucket", f"no bucket {name}")
        if request.argument("versioning") is not None:
            return self._versioning(request, name, row["versioning"])
        if request.argument("location") is not None:
            return xml("LocationConstraint", "")
        if request.method == "HEAD":
            return HTTPAnswer(headers={"x-amz-bucket-region": REGION})
        if request.method == "DELETE" and not request.query:
            if not self._bucket.remove(name):
                raise S3Error("BucketNotEmpty", f"bucket {name} is not empty")
            return HTTPAnswer(204)
        if request.method == "POST" and request.argument("delete") is not None:
            return self._delete_several(request, name)
        if request.method == "GET" and request.argument("versions") is not None:
            return listing.versions(request, self._bucket, name)
        if request.method == "GET":
            return listing.objects(request, self._bucket, name)
        raise S3Error("NotImplemented", f"{request.method} {request.query} on a bucket")

    def _versioning(self, request: HTTPRequest, name: str, status: str | None) -> HTTPAnswer:
        if request.method == "GET":
            text = f"<Status>{status}</Status>" if status else ""
            return xml("VersioningConfiguration", text)
        wanted = text_of(ElementTree.fromstring(request.read(XML_BYTES)), "Status")
        if wanted not in ("Enabled", "Suspended"):
            raise S3Error("MalformedXML", "Status must be Enabled or Suspended")
        self._bucket.set_versioning(name, wanted)
        return HTTPAnswer()

    def _delete_several(self, request: HTTPRequest, name: str) -> HTTPAnswer:
        tree = ElementTree.fromstring(request.read(XML_BYTES))
        wanted = [
            (text_of(row, "Key"), text_of(row, "VersionId", "") or None)
            for row in tree
            if row.tag.endswith("Object")
        ]
        if not 0 < len(wanted) <= DELETED_KEYS:
            raise S3Error("MalformedXML", f"1 to {DELETED_KEYS} objects are deleted at once")
        quiet = any(row.tag.endswith("Quiet") and row.text == "true" for row in tree)
        rows = ""
        for key, version in wanted:
            was_marker = version is not None and self._bucket.is_marker(name, key, version)
            marker = self._bucket.delete(name, key, version) or (version if was_marker else None)
            about = f"<Key>{escape(key)}</Key>"
            about += f"<VersionId>{escape(version)}</VersionId>" if version else ""
            if marker:
                about += "<DeleteMarker>true</DeleteMarker>"
                about += f"<DeleteMarkerVersionId>{marker}</DeleteMarkerVersionId>"
            rows += "" if quiet else f"<Deleted>{about}</Deleted>"
        return xml("DeleteResult", rows)

    def _on_object(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        if request.argument("uploadId") is not None or request.argument("uploads") is not None:
            return self._uploads(request, bucket, key)
        operation = {
            "GET": self._get,
            "HEAD": self._get,
            "PUT": self._put,
            "DELETE": self._delete,
        }.get(request.method)
        if operation is None or unknown(request, ("versionId", "x-id", *INSTEAD, *SIGNATURE)):
            raise S3Error("NotImplemented", f"{request.method} {request.query} on an object")
        return operation(request, bucket, key)

    def _get(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        version = request.argument("versionId")
        stored = self._bucket.find(bucket, key, version)
        if stored is None:
            raise missing(bucket, key, version)
        wanted = request.headers.get("if-match", "").strip('"')
        if wanted not in ("", "*", stored.etag):
            raise S3Error("PreconditionFailed", "the object's ETag is another")
        headers = described(stored)
        headers |= {INSTEAD[name]: text for name, text in request.query if name in INSTEAD}
        first, count = 0, stored.size
        span = asked(request.headers.get("range"), stored.size)
        if span:
            first, count = span
            headers["Content-Range"] = f"bytes {first}-{first + count - 1}/{stored.size}"
        status = 206 if span else 200
        return HTTPAnswer(status, headers, stored.pieces(first, count), count)

    def _put(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        if SOURCE in request.headers:
            return copied(request, self._bucket, bucket, key)
        wish = request.headers.get("if-none-match")
        if wish not in (None, "*"):
            raise S3Error("NotImplemented", "If-None-Match must be * here")
        if wish and self._bucket.find(bucket, key):
            raise S3Error("PreconditionFailed", "there is an object of that key")
        written = received(request, self._bucket)
        version = self._bucket.publish(bucket, key, written, kept(request))
        return HTTPAnswer(headers=versioned(version) | {"ETag": f'"{written.etag}"'})

    def _delete(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        version = request.argument("versionId")
        was_marker = version is not None and self._bucket.is_marker(bucket, key, version)
        marker = self._bucket.delete(bucket, key, version)
        headers = versioned(marker or version or "null")
        told = {"x-amz-delete-marker": "true"} if marker or was_marker else {}
        return HTTPAnswer(204, headers | told)
