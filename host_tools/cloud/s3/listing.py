"""Listings of a bucket: its objects, by either version of the call, and all their versions.

Keys that share what follows the prefix up to the delimiter are told as one, as folders are. Keys
and folders are told in order of their bytes, and as many as a page may have, together.

source   Amazon S3 API reference: ListObjectsV2, ListObjects, ListObjectVersions
"""

import base64
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote
from xml.sax.saxutils import escape

from sluice.cloud.http.server import HTTPAnswer, HTTPRequest
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.s3.entries import Entry
from sluice.cloud.s3.wording import S3Error, stamp, unknown, xml

PAGE = 1000
COMMON = ("prefix", "delimiter", "max-keys", "encoding-type")
V1 = (*COMMON, "marker")
V2 = (*COMMON, "list-type", "continuation-token", "start-after", "fetch-owner")
VERSIONS = (*COMMON, "versions", "key-marker", "version-id-marker")
OWNER = "<Owner><ID>local</ID></Owner>"


@dataclass(frozen=True)
class Wanted:
    """What a listing is asked for."""

    prefix: str
    delimiter: str
    limit: int
    text: Callable[[str], str]  # a key as the answer spells it

    def folder(self, key: str) -> str | None:
        """The folder that a key is told by; None when it is told itself."""
        if not self.delimiter:
            return None
        head, found, _ = key[len(self.prefix) :].partition(self.delimiter)
        return f"{self.prefix}{head}{found}" if found else None


def wanted(request: HTTPRequest, known: Iterable[str]) -> Wanted:
    """The arguments that all listings have; S3Error for others than those known, too."""
    if unknown(request, tuple(known)):
        raise S3Error("NotImplemented", f"GET {request.query} on a bucket")
    limit = request.argument("max-keys") or str(PAGE)
    if not re.fullmatch("[0-9]{1,10}", limit):
        raise S3Error("InvalidArgument", "max-keys is no number")
    coding = request.argument("encoding-type")
    if coding not in (None, "url"):
        raise S3Error("InvalidArgument", "encoding-type must be url")
    return Wanted(
        request.argument("prefix") or "",
        request.argument("delimiter") or "",
        min(int(limit), PAGE),
        (lambda text: quote(text, safe="/")) if coding else escape,
    )


@dataclass
class Page:
    """A part of a listing: entries, folders, and whether there is more after the last of them."""

    entries: list[Entry]
    folders: list[str]
    more: bool = False
    last: str = ""  # key or folder
    version: str = ""  # of the last entry; "" when it is a folder


def page(entries: Iterable[Entry], after: str, wish: Wanted) -> Page:
    """The first entries and folders, as many as wished; a folder that is `after` is over."""
    found = Page([], [])
    over = after if wish.delimiter and after.endswith(wish.delimiter) else None
    for entry in entries:
        folder = wish.folder(entry.key)
        if folder is not None and folder in (over, found.last):
            continue
        if len(found.entries) + len(found.folders) == wish.limit:
            found.more = wish.limit > 0  # of no keys S3 says that is all
            break
        if folder is None:
            found.entries.append(entry)
            found.last, found.version = entry.key, entry.version
        else:
            found.folders.append(folder)
            found.last, found.version = folder, ""
    return found


def objects(request: HTTPRequest, bucket: Bucket, name: str) -> HTTPAnswer:
    """ListObjectsV2 or, without its type, ListObjects."""
    if request.argument("list-type") not in (None, "2"):
        raise S3Error("InvalidArgument", "list-type must be 2")
    second = request.argument("list-type") is not None
    wish = wanted(request, V2 if second else V1)
    token, start = request.argument("continuation-token"), request.argument("start-after")
    after = opened(token) if token else start or request.argument("marker") or ""
    found = page(bucket.entries.newest(name, wish.prefix, after), after, wish)
    told = {"Name": name, "Prefix": wish.text(wish.prefix)}
    if second:
        told |= {"KeyCount": str(len(found.entries) + len(found.folders))}
        told |= {"ContinuationToken": token or "", "StartAfter": wish.text(start or "")}
        told |= {"NextContinuationToken": sealed(found.last) if found.more else ""}
    else:
        told |= {"Marker": wish.text(after)}
        told |= {"NextMarker": wish.text(found.last) if found.more else ""}
    rows = (f"<Contents>{described(entry, wish)}</Contents>" for entry in found.entries)
    return listing("ListBucketResult", told, found, wish, rows)


def versions(request: HTTPRequest, bucket: Bucket, name: str) -> HTTPAnswer:
    """ListObjectVersions."""
    wish = wanted(request, VERSIONS)
    after = request.argument("key-marker") or ""
    version = request.argument("version-id-marker") or ""
    if version and not after:
        raise S3Error("InvalidArgument", "a version-id-marker needs a key-marker")
    found = page(bucket.entries.versions(name, wish.prefix, after, version), after, wish)
    told = {"Name": name, "Prefix": wish.text(wish.prefix), "KeyMarker": wish.text(after)}
    told |= {"VersionIdMarker": version}
    if found.more:
        told |= {"NextKeyMarker": wish.text(found.last), "NextVersionIdMarker": found.version}
    rows = (versioned(entry, wish) for entry in found.entries)
    return listing("ListVersionsResult", told, found, wish, rows)


def versioned(entry: Entry, wish: Wanted) -> str:
    """A version's row."""
    kind = "Version" if entry.etag else "DeleteMarker"
    latest = f"<IsLatest>{str(entry.latest).lower()}</IsLatest>"
    about = f"<VersionId>{entry.version}</VersionId>{latest}{OWNER}"
    return f"<{kind}>{described(entry, wish)}{about}</{kind}>"


def described(entry: Entry, wish: Wanted) -> str:
    """What every row says of an object; a delete marker has no content."""
    text = (
        f"<Key>{wish.text(entry.key)}</Key><LastModified>{stamp(entry.modified_at)}</LastModified>"
    )
    if not entry.etag:
        return text
    content = f"<Size>{entry.size}</Size><ETag>&quot;{entry.etag}&quot;</ETag>"
    return f"{text}{content}<StorageClass>STANDARD</StorageClass>"


def listing(
    name: str, told: dict[str, str], found: Page, wish: Wanted, rows: Iterable[str]
) -> HTTPAnswer:
    """The answer of any listing."""
    told |= {"MaxKeys": str(wish.limit), "IsTruncated": str(found.more).lower()}
    told |= {"Delimiter": wish.text(wish.delimiter)}
    if wish.text is not escape:
        told |= {"EncodingType": "url"}
    head = "".join(
        f"<{key}>{text}</{key}>" for key, text in told.items() if text or key == "Prefix"
    )
    folders = "".join(
        f"<CommonPrefixes><Prefix>{wish.text(folder)}</Prefix></CommonPrefixes>"
        for folder in found.folders
    )
    return xml(name, head + "".join(rows) + folders)


def sealed(key: str) -> str:
    """A key as a continuation token, which is letters and digits whatever the key is."""
    return base64.urlsafe_b64encode(key.encode()).decode()


def opened(token: str) -> str:
    """The key of a continuation token; S3Error when it is none."""
    try:
        return base64.b64decode(token, b"-_", validate=True).decode()
    except ValueError:
        raise S3Error("InvalidArgument", "the continuation token is not of this cloud") from None
