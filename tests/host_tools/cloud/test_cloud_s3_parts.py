"""Uploads in parts: which parts make an object, and requests that come at once."""

import pytest
import test_cloud_s3
from botocore.exceptions import ClientError
from cloud_world import signed

from sluice.cloud.s3.bucket import GONE_S
from sluice.cloud.s3.parts import LEAST_BYTES

ahead, bucket, web = test_cloud_s3.ahead, test_cloud_s3.bucket, test_cloud_s3.web
served, s3, fetch = test_cloud_s3.served, test_cloud_s3.s3, test_cloud_s3.fetch
PARTS = {1: b"a" * LEAST_BYTES, 2: b"b" * LEAST_BYTES, 3: b"c"}


class Upload:
    """An upload that is not complete."""

    def __init__(self, s3, parts: dict[int, bytes]) -> None:
        self.where = {"Bucket": "images", "Key": "long"}
        self.where["UploadId"] = s3.create_multipart_upload(**self.where)["UploadId"]
        self._s3 = s3
        self.etags = {number: self.send(number, data) for number, data in parts.items()}

    def send(self, number: int, data: bytes) -> str:
        return self._s3.upload_part(PartNumber=number, Body=data, **self.where)["ETag"]

    def complete(self, *numbers: int, **etags: str):
        named = {str(number): self.etags.get(number, "none") for number in numbers} | etags
        parts = [{"PartNumber": int(number), "ETag": etag} for number, etag in named.items()]
        return self._s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **self.where)

    def abort(self) -> None:
        self._s3.abort_multipart_upload(**self.where)


@pytest.fixture
def upload(s3):
    return Upload(s3, PARTS)


@pytest.mark.parametrize(
    ("numbers", "etags", "code"),
    [
        ((2, 1), {}, "InvalidPartOrder"),
        ((1, 4), {}, "InvalidPart"),
        ((1,), {"2": f'"{"0" * 32}"'}, "InvalidPart"),
        ((1, 3), {"4": "none"}, "InvalidPart"),
        ((), {}, "MalformedXML"),
    ],
)
def test_parts_that_make_no_object_are_refused(served, upload, numbers, etags, code):
    with pytest.raises(ClientError) as caught:
        upload.complete(*numbers, **etags)
    assert caught.value.response["Error"]["Code"] == code
    assert served[1].find("images", "long") is None
    upload.complete(1, 3)  # it is still under way
    assert served[1].find("images", "long").size == LEAST_BYTES + 1


def test_part_that_is_too_small_is_refused_unless_it_is_the_last(s3):
    small = Upload(s3, {1: b"a", 2: b"b"})
    with pytest.raises(ClientError, match="EntityTooSmall"):
        small.complete(1, 2)
    small.complete(2)


def test_part_that_is_sent_again_takes_the_place_of_the_first(served, ahead, s3):
    twice = Upload(s3, {1: b"first"})
    twice.etags[1] = twice.send(1, b"second")
    ahead[0] += GONE_S
    twice.complete(1)
    assert s3.get_object(Bucket="images", Key="long")["Body"].read() == b"second"
    kept = {file.read_bytes() for file in served[1]._folder.iterdir()}
    assert kept == {b"second"}


def test_part_that_comes_after_the_end_of_its_upload_is_no_part(served, s3, monkeypatch):
    ended = Upload(s3, {})
    write = served[1].write

    def meanwhile(pieces):
        written = write(pieces)
        ended.abort()
        return written

    monkeypatch.setattr(served[1], "write", meanwhile)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        ended.send(1, b"late")
    assert list(served[1]._folder.iterdir()) == []


def test_upload_that_is_completed_twice_at_once_is_one_object(served, s3, monkeypatch):
    twice = Upload(s3, {1: b"data"})
    write = served[1].write

    def meanwhile(pieces):
        monkeypatch.undo()
        written = write(pieces)
        twice.complete(1)
        return written

    monkeypatch.setattr(served[1], "write", meanwhile)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        twice.complete(1)
    assert served[1].find("images", "long").read(0, 9) == b"data"


@pytest.mark.parametrize("path", ["/images/%ff", "/images/a%fe%ff"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_key_that_is_no_text_is_refused(served, s3, path, method):
    url = served[0] + path
    headers = signed(method, url, "UNSIGNED-PAYLOAD")
    status, _, body = fetch(url, method, b"x" if method == "PUT" else None, **headers)
    assert (status, b"InvalidURI" in body) == (400, True)


def test_several_objects_are_deleted_only_if_all_are_named(s3, served):
    s3.put_object(Bucket="images", Key="a", Body=b"1")
    body = b"<Delete><Object><Key>a</Key></Object><Object/></Delete>"
    url = f"{served[0]}/images?delete="
    headers = signed("POST", url, "UNSIGNED-PAYLOAD")
    assert fetch(url, "POST", body, **headers)[0] == 400
    assert s3.get_object(Bucket="images", Key="a")["Body"].read() == b"1"
