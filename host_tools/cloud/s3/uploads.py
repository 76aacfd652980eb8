"""Uploads in parts, as S3's clients make them of long files, and copies of long objects.

source   Amazon S3 API reference: CreateMultipartUpload, UploadPart, UploadPartCopy,
         CompleteMultipartUpload, AbortMultipartUpload
"""

import re
from sqlite3 import Row
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from sluice.cloud.http.server import HTTPAnswer, HTTPRequest
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.s3.copies import SOURCE, source
from sluice.cloud.s3.wording import XML_BYTES, S3Error, kept, stamp, text_of, versioned, xml

PARTS = range(1, 10_001)


class Uploads:
    """Answers what names an upload, or begins one."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __call__(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        """The one entry."""
        if request.argument("uploads") is not None:
            return self._begin(request, bucket, key)
        upload = self._bucket.upload(request.argument("uploadId") or "", bucket, key)
        if not upload:
            raise S3Error("NoSuchUpload", "no such upload")
        if request.method == "PUT":
            return self._part(request, upload)
        if request.method == "DELETE":
            self._bucket.abort(upload["id"])
            return HTTPAnswer(204)
        if request.method == "POST":
            return self._complete(request, upload)
        raise S3Error("NotImplemented", f"{request.method} on an upload")

    def _begin(self, request: HTTPRequest, bucket: str, key: str) -> HTTPAnswer:
        if request.method != "POST":
            raise S3Error("NotImplemented", f"{request.method} on uploads")
        identity = self._bucket.begin(bucket, key, kept(request))
        names = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>"
        text = f"{names}<UploadId>{identity}</UploadId>"
        return xml("InitiateMultipartUploadResult", text)

    def _part(self, request: HTTPRequest, upload: Row) -> HTTPAnswer:
        number = request.argument("partNumber") or ""
        if not number.isdecimal() or int(number) not in PARTS:
            raise S3Error("InvalidArgument", f"partNumber must be 1 to {PARTS[-1]}")
        if SOURCE not in request.headers:
            written = self._bucket.write(request.body)
            self._bucket.add_part(upload["id"], int(number), written)
            return HTTPAnswer(headers={"ETag": f'"{written.etag}"'})
        stored = source(request, self._bucket)
        first, count = 0, stored.size
        if (span := request.headers.get(f"{SOURCE}-range")) is not None:
            found = re.fullmatch(r"bytes=(\d{1,15})-(\d{1,15})", span)
            if not found or not int(found[1]) <= int(found[2]) < stored.size:
                raise S3Error("InvalidArgument", f"{SOURCE}-range is not within the object")
            first, count = int(found[1]), int(found[2]) - int(found[1]) + 1
        written = self._bucket.write(stored.pieces(first, count))
        self._bucket.add_part(upload["id"], int(number), written)
        when = f"<LastModified>{stamp(stored.modified_at)}</LastModified>"
        return xml("CopyPartResult", f"{when}<ETag>&quot;{written.etag}&quot;</ETag>")

    def _complete(self, request: HTTPRequest, upload: Row) -> HTTPAnswer:
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
