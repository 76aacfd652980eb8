"""Uploads in parts, as S3's clients make them of long files, and copies of long objects.

source   Amazon S3 API reference: CreateMultipartUpload, UploadPart, UploadPartCopy,
         CompleteMultipartUpload, AbortMultipartUpload
"""

import base64
import re
from sqlite3 import Row
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from sluice.cloud.http.server import HTTPAnswer, HTTPRequest
from sluice.cloud.s3.bucket import Bucket, Written
from sluice.cloud.s3.copies import SOURCE, source
from sluice.cloud.s3.parts import Part, Parts
from sluice.cloud.s3.wording import XML_BYTES, S3Error, kept, stamp, text_of, versioned, xml

PARTS = range(1, 10_001)


class Uploads:
    """Answers what names an upload, or begins one."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._parts = Parts(bucket.store, bucket)

    def __call__(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        """The one entry."""
        if request.argument("uploads") is not None:
            return self._begin(request, bucket, key)
        upload = self._parts.upload(request.argument("uploadId") or "", bucket, key)
        if request.method == "PUT":
            return self._part(request, upload)
        if request.method == "DELETE":
            self._parts.abort(upload)
            return HTTPAnswer(204)
        if request.method == "POST":
            return self._complete(request, upload)
        raise S3Error("NotImplemented", f"{request.method} on an upload")

    def _begin(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        if request.method != "POST":
            raise S3Error("NotImplemented", f"{request.method} on uploads")
        identity = self._parts.begin(bucket, key, kept(request))
        names = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
        text = f"{names}<UploadId>{identity}</UploadId>"
        return xml("InitiateMultipartUploadResult", text)

    def _part(self, request: HTTPRequest, upload: Row) -> HTTPAnswer:
        number = request.argument("partNumber") or ""
        if not re.fullmatch("[0-9]{1,5}", number) or int(number) not in PARTS:
            raise S3Error("InvalidArgument", f"partNumber must be 1 to {PARTS[-1]}")
        if SOURCE not in request.headers:
            written = received(request, self._bucket)
            self._parts.add(upload, int(number), written)
            return HTTPAnswer(headers={"ETag": f'"{written.etag}"'})
        stored = source(request, self._bucket)
        first, count = 0, stored.size
        if (span := request.headers.get(f"{SOURCE}-range")) is not None:
            found = re.fullmatch(r"bytes=(\d{1,15})-(\d{1,15})", span)
            if not found or not int(found[1]) <= int(found[2]) < stored.size:
                raise S3Error("InvalidArgument", f"{SOURCE}-range is not within the object")
            first, count = int(found[1]), int(found[2]) - int(found[1]) + 1
        written = self._bucket.write(stored.pieces(first, count))
        self._parts.add(upload, int(number), written)
        when = f"<LastModified>{stamp(stored.modified_at)}</LastModified>"
        return xml("CopyPartResult", f"{when}<ETag>&quot;{written.etag}&quot;</ETag>")

    def _complete(self, request: HTTPRequest, upload: Row) -> HTTPAnswer:
        tree = ElementTree.fromstring(request.read(XML_BYTES))
        wanted = [
            Part(int(text_of(row, "PartNumber")), text_of(row, "ETag").strip('"'))
            for row in tree
            if row.tag.endswith("Part")
        ]
        made = self._parts.complete(upload, wanted)
        names = f"<Bucket>{upload['bucket']}</Bucket><Key>{escape(upload['key'])}</Key>"
        text = f"{names}<ETag>&quot;{made.etag}&quot;</ETag>"
        answer = xml("CompleteMultipartUploadResult", text)
        answer.headers |= versioned(made.version)
        return answer


def received(request: HTTPRequest, bucket: Bucket) -> Written:
    """The body of a request as a file; S3Error when it is not the one that its sender has."""
    told = request.headers.get("content-md5")
    try:
        wanted = None if told is None else base64.b64decode(told, validate=True).hex()
    except ValueError:
        raise S3Error("InvalidDigest", "Content-MD5 is not base64") from None
    written = bucket.write(request.body)
    with bucket.unless_refused(written):
        if wanted not in (None, written.etag):
            raise S3Error("BadDigest", "the body is not the one whose Content-MD5 was sent")
    return written
