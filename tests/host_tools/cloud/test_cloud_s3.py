"""The bucket, by boto3's s3 client and by plain HTTP as a board speaks it."""

import hashlib
import http.client
import io
import os
import socket
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from cloud_world import KEY, signed
from patience import FUSE_S

from sluice.cloud.http.server import WebServer
from sluice.cloud.http.sigv4 import of_header, seal
from sluice.cloud.s3.bucket import GONE_S, Bucket
from sluice.cloud.s3.face import S3
from sluice.cloud.s3.presigned import presign
from sluice.cloud.store import Store

DATA = bytes(n % 251 for n in range(10_000))
CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
COPY = {"Bucket": "images", "Key": "a"}
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"


@pytest.fixture
def ahead():
    """Seconds by which the bucket's clock is ahead, in a list that a test may change."""
    return [0]


@pytest.fixture
def bucket(tmp_path, ahead):
    store = Store(tmp_path / "cloud.db")
    yield Bucket(store, tmp_path / "objects", lambda: ahead[0])
    store.close()


@pytest.fixture
def web(bucket, ahead):
    """The bucket behind HTTP."""
    made = WebServer(0, {"s3": S3(bucket, KEY, lambda: time.time() + ahead[0])})
    made.start()
    yield made
    made.stop()


@pytest.fixture
def served(web, bucket):
    """(The bucket's address, the bucket)."""
    return web.endpoint, bucket


def client(endpoint: str, **options):
    settings = Config(retries={"total_max_attempts": 1}, **options)
    keys = {"aws_access_key_id": KEY.name, "aws_secret_access_key": KEY.secret}
    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", config=settings, **keys
    )


@pytest.fixture
def s3(served):
    made = client(served[0])
    made.create_bucket(Bucket="images")
    return made


def fetch(
    url: str, method: str = "GET", data: bytes | None = None, **headers: str
) -> tuple[int, dict, bytes]:
    """A plain HTTP request, as (status, headers, body)."""
    request = urllib.request.Request(url, data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=FUSE_S) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def url_of(served, key: str = "a", expires_s: int = 60, now: float | None = None) -> str:
    return presign(
        served[0], f"/images/{key}", expires_s, time.time() if now is None else now, KEY
    )


def test_object_comes_back_with_its_headers(s3):
    put = s3.put_object(
        Bucket="images", Key="a/ü b+c", Body=DATA, ContentType="x/y", Metadata={"version": "1"}
    )
    got = s3.get_object(Bucket="images", Key="a/ü b+c")
    assert got["Body"].read() == DATA
    assert (got["ContentLength"], got["ContentType"], got["Metadata"]) == (
        10_000,
        "x/y",
        {"version": "1"},
    )
    assert got["ETag"] == put["ETag"]
    assert s3.head_object(Bucket="images", Key="a/ü b+c")["ContentLength"] == 10_000


@pytest.mark.parametrize("size", [0, 1, 65_536, 200_001])
def test_file_of_any_size_is_uploaded_whole(s3, size):
    data = os.urandom(size)
    s3.upload_fileobj(io.BytesIO(data), "images", "file")
    assert s3.get_object(Bucket="images", Key="file")["Body"].read() == data


def test_large_file_is_uploaded_in_parts(s3):
    data = os.urandom(11 << 20)
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(data), "images", "large", Config=parts)
    got = s3.get_object(Bucket="images", Key="large")
    assert got["ETag"].strip('"').endswith("-3")
    assert got["Body"].read() == data


def test_upload_wrapped_in_chunks_is_unwrapped(served, s3):
    for data in (b"", DATA, os.urandom(300_000)):
        chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in split(data, 70_000)]
        body = b"".join(chunks) + b"0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n"
        assert put(served[0], body, CHUNKS) == 200
        assert s3.get_object(Bucket="images", Key="a")["Body"].read() == data


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body,
        lambda body: body.replace(b"\x05\x06", b"\x06\x05", 1),
        lambda body: body.replace(b"ff-8", b"ff-9"),
        lambda body: body.replace(b";chunk-signature=", b";no-signature="),
    ],
)
def test_upload_wrapped_in_signed_chunks_is_proved_chunk_by_chunk(served, s3, spoil):
    headers = signed("PUT", served[0] + "/images/a", SIGNED_CHUNKS)
    claim = of_header({name.lower(): text for name, text in headers.items()})
    last, body = claim.signature, b""
    for part in [*split(DATA, 7000), b""]:
        digests = (hashlib.sha256(data).hexdigest() for data in (b"", part))
        last = seal(claim, KEY, "PAYLOAD", last, *digests)
        body += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(part), last.encode(), part)
    trailer = "x-amz-checksum-crc32:ff-8"
    digest = hashlib.sha256(f"{trailer}\n".encode()).hexdigest()
    last = seal(claim, KEY, "TRAILER", last, digest)
    body = body[:-2] + f"{trailer}\r\nx-amz-trailer-signature:{last}\r\n\r\n".encode()
    status = fetch(served[0] + "/images/a", "PUT", spoil(body), **headers)[0]
    assert status == (200 if spoil(body) == body else 403)
    assert (served[1].find("images", "a") is not None) == (status == 200)


def split(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def put(endpoint: str, body: bytes, payload: str) -> int:
    """Upload by a request whose body is told of in that way; returns the status."""
    url = endpoint + "/images/a"
    return fetch(url, "PUT", body, **signed("PUT", url, payload))[0]


def head_of(endpoint: str, payload: str, *lines: str) -> bytes:
    """The head of such a request, with lines more."""
    headers = signed("PUT", endpoint + "/images/a", payload)
    told = [f"{name}: {text}" for name, text in headers.items()]
    return "\r\n".join(["PUT /images/a HTTP/1.1", *told, *lines, "", ""]).encode()


def test_upload_cut_off_leaves_no_object_and_no_file(served, web, s3):
    where = urlsplit(served[0])
    with socket.create_connection((where.hostname, where.port), timeout=FUSE_S) as raw:
        raw.sendall(head_of(served[0], "UNSIGNED-PAYLOAD", "Content-Length: 1000") + bytes(400))
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(100) == b""
    web.stop()  # no handler runs any more
    assert list(served[1]._folder.iterdir()) == []
    assert served[1].find("images", "a") is None


@pytest.mark.parametrize(
    ("payload", "header", "body"),
    [
        ("UNSIGNED-PAYLOAD", "Content-Length: -1", b"abc"),
        ("UNSIGNED-PAYLOAD", "Content-Length: 1_0", b"abc"),
        ("UNSIGNED-PAYLOAD", "Transfer-Encoding: chunked", b"-1\r\nabc\r\n0\r\n\r\n"),
        (CHUNKS, "Content-Length: 12", b"-3\r\nabc\r\n0\r\n"),
        (CHUNKS, "Content-Length: 12", b"3\r\nabcd\r\n0\r\n"),
        (CHUNKS, "Content-Length: 9000", b"3" * 9000),
        (CHUNKS, "Content-Length: 20003", b"0\r\n" + b"x" * 20_000),
    ],
)
def test_upload_of_a_length_that_is_none_gives_400_and_ends_the_connection(
    served, web, s3, payload, header, body
):
    where = urlsplit(served[0])
    with socket.create_connection((where.hostname, where.port), timeout=FUSE_S) as raw:
        raw.sendall(head_of(served[0], payload, header) + body)
        answer = raw.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1
    web.stop()  # no handler runs any more
    assert list(served[1]._folder.iterdir()) == []


def test_versioned_bucket_keeps_every_version(s3):
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="images", VersioningConfiguration=enabled)
    assert s3.get_bucket_versioning(Bucket="images")["Status"] == "Enabled"
    versions = [
        s3.put_object(Bucket="images", Key="a", Body=body)["VersionId"] for body in (b"1", b"2")
    ]
    assert s3.get_object(Bucket="images", Key="a")["Body"].read() == b"2"
    got = s3.get_object(Bucket="images", Key="a", VersionId=versions[0])
    assert (got["Body"].read(), got["VersionId"]) == (b"1", versions[0])
    marker = s3.delete_object(Bucket="images", Key="a")
    assert marker["DeleteMarker"] is True
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="images", Key="a")
    got = s3.get_object(Bucket="images", Key="a", VersionId=versions[1])
    assert got["Body"].read() == b"2"


def test_object_replaced_while_it_is_read_is_read_to_its_end(served, s3):
    s3.put_object(Bucket="images", Key="a", Body=b"old")
    reading = served[1].find("images", "a").pieces(0, 3)
    s3.put_object(Bucket="images", Key="a", Body=b"new")
    assert b"".join(reading) == b"old"


def test_plain_bucket_replaces_and_removes(served, s3, ahead):
    for body in (b"1", b"2"):
        ahead[0] += GONE_S
        assert "VersionId" not in s3.put_object(Bucket="images", Key="a", Body=body)
    assert s3.get_object(Bucket="images", Key="a")["Body"].read() == b"2"
    ahead[0] += GONE_S
    s3.delete_object(Bucket="images", Key="a")
    (left,) = served[1]._folder.iterdir()
    assert left.read_bytes() == b"2"


def test_object_that_is_removed_after_it_was_found_can_be_read(served, s3):
    s3.put_object(Bucket="images", Key="a", Body=b"old")
    found = served[1].find("images", "a")
    s3.delete_object(Bucket="images", Key="a")
    assert found.read(0, 3) == b"".join(found.pieces(0, 3)) == b"old"


def test_files_are_their_owners_alone(served, s3):
    s3.put_object(Bucket="images", Key="a", Body=b"secret")
    (file,) = served[1]._folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_bucket_that_is_deleted_during_a_request_is_missed(served, s3, monkeypatch):
    write = served[1].write

    def meanwhile(pieces):
        written = write(pieces)
        served[1].remove("images")
        return written

    monkeypatch.setattr(served[1], "write", meanwhile)
    with pytest.raises(ClientError, match="NoSuchBucket"):
        s3.put_object(Bucket="images", Key="a", Body=b"late")
    assert list(served[1]._folder.iterdir()) == []


def test_listing_comes_in_pages_by_prefix(s3):
    for number in range(5):
        s3.put_object(Bucket="images", Key=f"in/{number}&", Body=b"x")
    s3.put_object(Bucket="images", Key="out", Body=b"x")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="images", Prefix="in/", PaginationConfig={"PageSize": 2}
    )
    keys = [item["Key"] for page in pages for item in page["Contents"]]
    assert keys == [f"in/{number}&" for number in range(5)]
    assert [row["Name"] for row in s3.list_buckets()["Buckets"]] == ["images"]


def test_listing_of_nothing_is_an_empty_page(s3):
    assert s3.list_objects_v2(Bucket="images")["KeyCount"] == 0
    s3.put_object(Bucket="images", Key="a", Body=b"x")
    none = s3.list_objects_v2(Bucket="images", MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)


@pytest.mark.parametrize(
    ("call", "given", "code"),
    [
        ("get_object", {"Bucket": "images", "Key": "none"}, "NoSuchKey"),
        ("get_object", {"Bucket": "absent", "Key": "none"}, "NoSuchBucket"),
        ("head_object", {"Bucket": "images", "Key": "none"}, "404"),
        ("list_objects_v2", {"Bucket": "absent"}, "NoSuchBucket"),
        ("list_objects_v2", {"Bucket": "images", "MaxKeys": -1}, "InvalidArgument"),
        ("get_object", {"Bucket": "images", "Key": "none", "VersionId": "0"}, "NoSuchVersion"),
        ("list_objects_v2", {"Bucket": "images", "ContinuationToken": "é"}, "InvalidArgument"),
        ("list_object_versions", {"Bucket": "images", "VersionIdMarker": "0"}, "InvalidArgument"),
        ("delete_objects", {"Bucket": "images", "Delete": {"Objects": []}}, "MalformedXML"),
        ("copy_object", COPY | {"CopySource": "images/none"}, "NoSuchKey"),
        ("copy_object", COPY | {"CopySource": "absent/a"}, "NoSuchBucket"),
        ("create_bucket", {"Bucket": "x" * 64}, "InvalidBucketName"),
        ("create_bucket", {"Bucket": "a..b"}, "InvalidBucketName"),
        ("create_bucket", {"Bucket": "192.168.1.1"}, "InvalidBucketName"),
        ("put_object", {"Bucket": "images", "Key": "k" * 1025}, "KeyTooLongError"),
        ("put_object", COPY | {"Body": b"a", "ContentMD5": "?"}, "InvalidDigest"),
        ("put_object", COPY | {"Body": b"a", "ContentMD5": "A" * 22 + "=="}, "BadDigest"),
        ("get_bucket_policy", {"Bucket": "images"}, "NotImplemented"),
        ("get_object_acl", {"Bucket": "images", "Key": "none"}, "NotImplemented"),
        ("list_parts", {"Bucket": "images", "Key": "a", "UploadId": "x"}, "NoSuchUpload"),
    ],
)  # fmt: skip
def test_refusals_carry_the_codes_of_s3(s3, call, given, code):
    with pytest.raises(ClientError) as caught:
        getattr(s3, call)(**given)
    assert caught.value.response["Error"]["Code"] == code


def test_listing_with_a_delimiter_tells_folders(s3):
    keys = ["a", "dir/1", "dir/2", "dir/in/3", "dir2/4", "dir/&5", "e/", "e/6", "ü/7"]
    for key in keys:
        s3.put_object(Bucket="images", Key=key, Body=b"x")

    def told(**words) -> tuple[list, list]:
        keys, folders = [], []
        for call in ("list_objects_v2", "list_objects"):
            pages = s3.get_paginator(call).paginate(Bucket="images", Delimiter="/", **words)
            pages = list(pages)
            keys.append([row["Key"] for page in pages for row in page.get("Contents", ())])
            rows = (row for page in pages for row in page.get("CommonPrefixes", ()))
            folders.append([row["Prefix"] for row in rows])
        assert keys[0] == keys[1] and folders[0] == folders[1]
        return keys[0], folders[0]

    for size in (1, 2, 3, 1000):
        few = {"PaginationConfig": {"PageSize": size}}
        assert told(**few) == (["a"], ["dir/", "dir2/", "e/", "ü/"])
        assert told(Prefix="dir", **few) == ([], ["dir/", "dir2/"])
        assert told(Prefix="dir/", **few) == (["dir/&5", "dir/1", "dir/2"], ["dir/in/"])
        assert told(Prefix="e/", **few) == (["e/", "e/6"], [])
        assert told(Prefix="none/", **few) == ([], [])
    page = s3.list_objects_v2(Bucket="images", Delimiter="/", StartAfter="dir/in/3")
    assert [row["Prefix"] for row in page["CommonPrefixes"]] == ["dir2/", "e/", "ü/"]
    assert page["KeyCount"] == 3


def test_listing_spells_keys_that_xml_cannot(s3):
    for key in ("a\x01b", "c<d>", "e\nf", "g%2Bh +"):
        s3.put_object(Bucket="images", Key=key, Body=b"x")
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket="images")["Contents"]]
    assert keys == ["a\x01b", "c<d>", "e\nf", "g%2Bh +"]


@pytest.fixture
def versions(s3):
    """A bucket with versions: "a" was written three times, "b" was deleted; as listed."""
    enabled = {"Status": "Enabled"}
    s3.put_object(Bucket="images", Key="a", Body=b"before")
    s3.put_bucket_versioning(Bucket="images", VersioningConfiguration=enabled)
    made = [("a", "null", False)]
    for body in (b"1", b"22"):
        version = s3.put_object(Bucket="images", Key="a", Body=body)["VersionId"]
        made.insert(0, ("a", version, body == b"22"))
    written = s3.put_object(Bucket="images", Key="b", Body=b"x")["VersionId"]
    marker = s3.delete_object(Bucket="images", Key="b")["VersionId"]
    return [*made, ("b", marker, True), ("b", written, False)]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_versions_are_listed_the_newest_first(s3, versions, size):
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket="images", PaginationConfig={"PageSize": size}
    )
    rows = [
        (row["Key"], row["VersionId"], row["IsLatest"])
        for page in pages
        for row in page.get("Versions", []) + page.get("DeleteMarkers", [])
    ]
    assert sorted(rows) == sorted(versions)
    page = s3.list_object_versions(Bucket="images", Prefix="a")
    assert [row["VersionId"] for row in page["Versions"]] == [row[1] for row in versions[:3]]
    assert [row["Size"] for row in page["Versions"]] == [2, 1, 6]
    assert s3.list_object_versions(Bucket="images", KeyMarker="a")["DeleteMarkers"]


def test_several_objects_are_deleted_at_once(s3, versions):
    wish = [{"Key": "a"}, {"Key": "b", "VersionId": versions[3][1]}, {"Key": "none"}]
    done = s3.delete_objects(Bucket="images", Delete={"Objects": wish})["Deleted"]
    assert [row["Key"] for row in done] == ["a", "b", "none"]
    assert [row.get("DeleteMarker", False) for row in done] == [True, True, True]
    assert done[1]["DeleteMarkerVersionId"] == versions[3][1]
    assert s3.get_object(Bucket="images", Key="b")["Body"].read() == b"x"
    with pytest.raises(ClientError, match="NoSuchKey"):
        s3.get_object(Bucket="images", Key="a")
    quiet = {"Objects": [{"Key": "b"}], "Quiet": True}
    assert "Deleted" not in s3.delete_objects(Bucket="images", Delete=quiet)


def test_deleting_a_version_says_which_and_whether_it_was_a_marker(s3, versions):
    marker, written = versions[3][1], versions[4][1]
    done = s3.delete_object(Bucket="images", Key="b", VersionId=marker)
    assert (done["VersionId"], done["DeleteMarker"]) == (marker, True)
    done = s3.delete_object(Bucket="images", Key="b", VersionId=written)
    assert (done["VersionId"], "DeleteMarker" in done) == (written, False)


def test_object_is_copied_with_its_headers_or_with_others(s3, versions):
    s3.put_object(Bucket="images", Key="f/ü +%", Body=DATA, ContentType="x/y", Metadata={"n": "1"})
    s3.create_bucket(Bucket="others")
    where = {"Bucket": "images", "Key": "f/ü +%"}
    done = s3.copy_object(Bucket="others", Key="c", CopySource=where)
    got = s3.get_object(Bucket="others", Key="c")
    assert (got["Body"].read(), got["ContentType"], got["Metadata"]) == (DATA, "x/y", {"n": "1"})
    assert (done["CopyObjectResult"]["ETag"], "VersionId" in done) == (got["ETag"], False)
    words = {"MetadataDirective": "REPLACE", "Metadata": {"n": "2"}}
    s3.copy_object(Bucket="others", Key="c", CopySource="others/c", **words)
    assert s3.head_object(Bucket="others", Key="c")["Metadata"] == {"n": "2"}
    old = {"Bucket": "images", "Key": "a", "VersionId": versions[1][1]}
    done = s3.copy_object(Bucket="images", Key="a", CopySource=old)
    assert done["CopySourceVersionId"] == versions[1][1]
    assert s3.get_object(Bucket="images", Key="a")["Body"].read() == b"1"


def test_copy_that_changes_nothing_or_has_a_condition_is_refused(s3):
    etag = s3.put_object(Bucket="images", Key="a", Body=DATA)["ETag"]
    for words, code in (
        ({"Key": "a"}, "InvalidRequest"),
        ({"Key": "b", "CopySourceIfMatch": '"00"'}, "PreconditionFailed"),
        ({"Key": "b", "CopySourceIfNoneMatch": '"00"'}, "NotImplemented"),
        ({"Key": "b", "MetadataDirective": "ELSE"}, "InvalidArgument"),
    ):
        with pytest.raises(ClientError) as caught:
            s3.copy_object(Bucket="images", CopySource="images/a", **words)
        assert caught.value.response["Error"]["Code"] == code
    s3.copy_object(Bucket="images", Key="b", CopySource="images/a", CopySourceIfMatch=etag)


def test_long_object_is_copied_in_parts(s3):
    data = os.urandom(11 << 20)
    parts = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.put_object(Bucket="images", Key="large", Body=data)
    s3.copy({"Bucket": "images", "Key": "large"}, "images", "copy", Config=parts)
    got = s3.get_object(Bucket="images", Key="copy")
    assert got["ETag"].strip('"').endswith("-3")
    assert got["Body"].read() == data


@pytest.mark.parametrize("span", ["bytes=0-10000", "bytes=5-4", "bytes=0-", "0-4"])
def test_part_that_is_copied_lies_within_its_object(s3, span):
    s3.put_object(Bucket="images", Key="a", Body=DATA)
    upload = s3.create_multipart_upload(Bucket="images", Key="b")["UploadId"]
    words = {"Bucket": "images", "Key": "b", "UploadId": upload, "PartNumber": 1}
    with pytest.raises(ClientError, match="InvalidArgument"):
        s3.upload_part_copy(CopySource="images/a", CopySourceRange=span, **words)


def test_object_is_put_only_if_there_is_none(s3):
    s3.put_object(Bucket="images", Key="a", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="images", Key="a", Body=b"2", IfNoneMatch="*")
    assert s3.get_object(Bucket="images", Key="a")["Body"].read() == b"1"


def test_headers_of_an_answer_may_be_said_in_the_query(s3):
    s3.put_object(Bucket="images", Key="a", Body=b"1", ContentType="x/y")
    words = {"ResponseContentType": "a/b", "ResponseContentDisposition": "attachment"}
    got = s3.get_object(Bucket="images", Key="a", **words)
    assert (got["ContentType"], got["ContentDisposition"]) == ("a/b", "attachment")


def test_bucket_with_objects_is_not_deleted(s3):
    s3.put_object(Bucket="images", Key="a", Body=b"x")
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket="images")
    s3.delete_object(Bucket="images", Key="a")
    s3.delete_bucket(Bucket="images")
    assert s3.list_buckets()["Buckets"] == []


@pytest.fixture
def stored(served, s3):
    s3.put_object(Bucket="images", Key="a", Body=DATA)
    return served


def test_presigned_url_gives_the_whole_with_its_length(stored):
    status, headers, body = fetch(url_of(stored))
    assert (status, body) == (200, DATA)
    assert headers["Content-Length"] == "10000"
    assert headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "span", "data"),
    [
        ("bytes=0-0", "0-0", DATA[:1]),
        ("bytes=4096-8191", "4096-8191", DATA[4096:8192]),
        ("bytes=9000-99999", "9000-9999", DATA[9000:]),
        ("bytes=9999-", "9999-9999", DATA[9999:]),
        ("bytes=-10", "9990-9999", DATA[-10:]),
    ],
)
def test_range_gives_206_and_names_what_it_gives(stored, asked, span, data):
    status, headers, body = fetch(url_of(stored), Range=asked)
    assert (status, body) == (206, data)
    assert headers["Content-Range"] == f"bytes {span}/10000"
    assert headers["Content-Length"] == str(len(data))


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "bytes=-"])
def test_range_that_is_none_gives_the_whole(stored, asked):
    status, headers, body = fetch(url_of(stored), Range=asked)
    assert (status, body, "Content-Range" in headers) == (200, DATA, False)


def test_range_beyond_the_end_gives_416(stored):
    status, _, body = fetch(url_of(stored), Range="bytes=10000-")
    assert (status, b"<Code>InvalidRange</Code>" in body) == (416, True)


def test_expired_url_gives_403_in_xml(stored):
    status, _, body = fetch(url_of(stored, expires_s=60, now=time.time() - 61))
    assert status == 403
    assert b"<Code>AccessDenied</Code><Message>Request has expired</Message>" in body


def test_url_is_bound_to_its_method_and_its_object(stored):
    assert fetch(url_of(stored), "HEAD")[0] == 403
    assert fetch(url_of(stored).replace("/images/a?", "/images/b?"))[0] == 403
    assert fetch(url_of(stored).replace("X-Amz-Expires=60", "X-Amz-Expires=99"))[0] == 403
    assert fetch(stored[0] + "/images/a?X-Amz-Signature=00")[0] == 400


def test_url_is_bound_to_its_version(served, s3):
    enabled = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket="images", VersioningConfiguration=enabled)
    old, new = (s3.put_object(Bucket="images", Key="a", Body=b)["VersionId"] for b in (b"1", b"2"))
    url = presign(served[0], "/images/a", 60, time.time(), KEY, new)
    assert fetch(url)[2] == b"2"
    for other in (url.replace("?", f"?versionId={old}&"), f"{url}&versionId={old}"):
        status, _, body = fetch(other)
        assert (status, b"<Code>InvalidArgument</Code>" in body) == (400, True)


def test_stranger_gets_403(stored):
    status, _, body = fetch(stored[0] + "/images/a")
    assert (status, b"AccessDenied" in body) == (403, True)


def test_other_etag_gives_412(stored):
    etag = fetch(url_of(stored))[1]["ETag"]
    assert fetch(url_of(stored), **{"If-Match": etag})[0] == 200
    assert fetch(url_of(stored), **{"If-Match": '"00"'})[0] == 412


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_url_presigned_by_boto3_works_until_it_expires(stored, ahead, version):
    signer = client(stored[0], signature_version=version)
    given = {"Bucket": "images", "Key": "a"}
    url = signer.generate_presigned_url("get_object", given, ExpiresIn=60)
    assert fetch(url)[2] == DATA
    ahead[0] = 61
    assert fetch(url)[0] == 403


def test_url_presigned_here_is_the_one_that_boto3_would_make(stored):
    ours = presign(stored[0], "/images/a b", 60, time.time(), KEY, "v1")
    request = AWSRequest("GET", stored[0] + "/images/a%20b", params={"versionId": "v1"})
    keys = Credentials(*KEY)
    S3SigV4QueryAuth(keys, "s3", "us-east-1", 60).add_auth(request)
    theirs = request.prepare().url
    assert sorted(urlsplit(ours).query.split("&")) == sorted(urlsplit(theirs).query.split("&"))


def test_connection_is_kept_for_the_next_request(stored):
    where = urlsplit(stored[0])
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=FUSE_S)
    for first in (0, 4096):
        url = urlsplit(url_of(stored))
        span = {"Range": f"bytes={first}-{first + 99}"}
        connection.request("GET", f"{url.path}?{url.query}", headers=span)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (206, DATA[first : first + 100])
    connection.close()


def test_sweep_removes_files_that_nothing_refers_to(stored):
    bucket = stored[1]
    left = bucket.write([b"never published"])
    bucket.sweep()
    assert not (bucket._folder / left.name).exists()
    assert bucket.find("images", "a").read(0, 10) == DATA[:10]
