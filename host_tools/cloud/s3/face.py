"""The bucket's HTTP face: what boto3's s3 client and a board need of Amazon S3.

Addresses are `/bucket/key`, or a host name `bucket.localhost`. Who asks is proved first
(see `proof`).
"""

import re
import time
from collections.abc import Callable
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from host_tools.cloud.http.server import HTTPAnswer, HTTPRequest
from host_tools.cloud.http.sigv4 import Key
from host_tools.cloud.s3.bucket import Bucket
from host_tools.cloud.s3.proof import proved
from host_tools.cloud.s3.wording import (
    S3Error,
    address,
    asked,
    described,
    kept,
    refusal,
    stamp,
    text_of,
    unknown,
    versioned,
    xml,
)

XML_BYTES = 1 << 20  # the longest XML a client may send
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
LISTING = [
    "list-type",
    "prefix",
    "continuation-token",
    "start-after",
    "marker",
    "max-keys",
    "encoding-type",
    "fetch-owner",
]
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

    def __call__(self, request: HTTPRequest) -> HTTPAnswer:
        """The one entry."""
        try:
            request = proved(request, self._key, self._now())
            bucket, key = address(request)
            if not bucket:
                return self._list_buckets(request)
            if not key:
                return self._on_bucket(request, bucket)
            if not self._bucket.known(bucket):
                raise S3Error("NoSuchBucket", f"no bucket {bucket}")
            return self._on_object(request, bucket, key)
        except S3Error as error:
            return refusal(error)
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
            return HTTPAnswer()
        if request.method == "DELETE" and not request.query:
            if not self._bucket.remove(name):
                raise S3Error("BucketNotEmpty", f"bucket {name} is not empty")
            return HTTPAnswer(204)
        if request.method == "GET" and not unknown(request, LISTING):
            return self._list(request, name)
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

    def _list(self, request: HTTPRequest, name: str) -> HTTPAnswer:
        prefix = request.argument("prefix") or ""
        after = request.argument("continuation-token") or request.argument("start-after")
        after = after or request.argument("marker") or ""
        limit = min(int(request.argument("max-keys") or 1000), 1000)
        if limit < 0:
            raise S3Error("InvalidArgument", "max-keys is negative")
        found = [item for item in self._bucket.newest(name, prefix) if item.key > after]
        shown, more = found[:limit], 0 < limit < len(found)  # of no keys S3 says that is all
        rows = [
            f"<Contents><Key>{escape(item.key)}</Key><Size>{item.size}</Size>"
            f"<LastModified>{stamp(item.modified_at)}</LastModified>"
            f"<ETag>&quot;{item.etag}&quot;</ETag></Contents>"
            for item in shown
        ]
        last = escape(shown[-1].key) if more else ""
        token = f"<NextContinuationToken>{last}</NextContinuationToken>"
        head = (
            f"<Name>{name}</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(shown)}</KeyCount>"
            f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>"
        )
        return xml("ListBucketResult", head + (token if more else "") + "".join(rows))

    def _on_object(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        if request.argument("uploadId") is not None or request.argument("uploads") is not None:
            return self._multipart(request, bucket, key)
        operation = {
            "GET": self._get,
            "HEAD": self._get,
            "PUT": self._put,
            "DELETE": self._delete,
        }.get(request.method)
        if operation is None or unknown(request, ("versionId", "x-id", *SIGNATURE)):
            raise S3Error("NotImplemented", f"{request.method} {request.query} on an object")
        return operation(request, bucket, key)

    def _get(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        stored = self._bucket.find(bucket, key, request.argument("versionId"))
        if stored is None:
            raise S3Error("NoSuchKey", f"no object {key} in {bucket}")
        wanted = request.headers.get("if-match", "").strip('"')
        if wanted not in ("", "*", stored.etag):
            raise S3Error("PreconditionFailed", "the object's ETag is another")
        headers = described(stored)
        first, count = 0, stored.size
        span = asked(request.headers.get("range"), stored.size)
        if span:
            first, count = span
            headers["Content-Range"] = f"bytes {first}-{first + count - 1}/{stored.size}"
        status = 206 if span else 200
        return HTTPAnswer(status, headers, stored.pieces(first, count), count)

    def _put(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        if "x-amz-copy-source" in request.headers:
            raise S3Error("NotImplemented", "objects cannot be copied here")
        written = self._bucket.write(request.body)
        version = self._bucket.publish(bucket, key, written, kept(request))
        return HTTPAnswer(headers=versioned(version) | {"ETag": f'"{written.etag}"'})

    def _delete(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        marker = self._bucket.delete(bucket, key, request.argument("versionId"))
        headers = versioned(marker or "null")
        return HTTPAnswer(204, headers | ({"x-amz-delete-marker": "true"} if marker else {}))

    def _multipart(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        if request.method == "POST" and request.argument("uploads") is not None:
            identity = self._bucket.begin(bucket, key, kept(request))
            names = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
            text = f"{names}<UploadId>{identity}</UploadId>"
            return xml("InitiateMultipartUploadResult", text)
        upload = self._bucket.upload(request.argument("uploadId") or "", bucket, key)
        if not upload:
            raise S3Error("NoSuchUpload", "no such upload")
        if request.method == "PUT":
            written = self._bucket.write(request.body)
            self._bucket.add_part(upload["id"], int(request.argument("partNumber")), written)
            return HTTPAnswer(headers={"ETag": f'"{written.etag}"'})
        if request.method == "DELETE":
            self._bucket.abort(upload["id"])
            return HTTPAnswer(204)
        if request.method == "POST":
            return self._complete(request, upload)
        raise S3Error("NotImplemented", f"{request.method} on an upload")

    def _complete(self, request: HTTPRequest, upload) -> HTTPAnswer:
        tree = ElementTree.fromstring(request.read(XML_BYTES))
        parts = [part for part in tree if part.tag.endswith("Part")]
        done = self._bucket.complete(upload, [int(text_of(p, "PartNumber")) for p in parts])
        if done is None:
            raise S3Error("InvalidPart", "a part is missing")
        version, etag = done
        names = f"<Bucket>{upload['bucket']}</Bucket><Key>{escape(upload['key'])}</Key>"
        text = f"{names}<ETag>&quot;{etag}&quot;</ETag>"
        answer = xml("CompleteMultipartUploadResult", text)
        answer.headers |= versioned(version)
        return answer
