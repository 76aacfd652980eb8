"""Only who has the cloud's key is answered, and only for just what was signed."""

import hashlib
import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from stat import S_IMODE
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from cloud_world import KEY, signed
from patience import FUSE_S

from sluice.cloud.http.reads import reads
from sluice.cloud.http.rest import REST
from sluice.cloud.http.server import WebServer
from sluice.cloud.http.signed import Signed, own_key
from sluice.cloud.http.sigv4 import Claim, Key, Unproved, of_header
from sluice.cloud.s3.bucket import Bucket
from sluice.cloud.s3.chunks import Chain
from sluice.cloud.s3.face import S3
from sluice.cloud.store import Store

OTHER = Key("AKIAIOSFODNN7EXAMPLE", KEY.secret)  # another name
WRONG = Key(KEY.name, "another secret")
EMPTY = hashlib.sha256(b"").hexdigest()


@pytest.fixture
def ahead():
    """Seconds by which the cloud's clock is ahead, in a list that a test may change."""
    return [0]


@pytest.fixture
def called():
    """The parameters of each call that was let through."""
    return []


@pytest.fixture
def endpoint(tmp_path, ahead, called):
    """One service by REST and the bucket, behind their proofs."""

    def now() -> float:
        return time.time() + ahead[0]

    store = Store(tmp_path / "cloud.db")
    bucket = Bucket(store, tmp_path / "objects")
    bucket.create("images")
    bucket.publish("images", "a", bucket.write([b"data"]), {})

    @reads("thingName", "attributePayload")
    def call(parameters: dict) -> dict:
        called.append(parameters)
        return {"things": []}

    iot = REST("iot", {"CreateThing": call, "ListThings": call})
    web = WebServer(0, {"s3": S3(bucket, KEY, now), "iot": Signed(iot, KEY, now)})
    web.start()
    yield web.endpoint
    web.stop()
    store.close()


def client(service: str, endpoint: str, key: Key = KEY, **options):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key.name,
        aws_secret_access_key=key.secret,
        config=Config(retries={"total_max_attempts": 1}, **options),
    )


def code_of(call) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response["Error"]["Code"]


def calls(service: str, endpoint: str, key: Key = KEY, **options) -> list:
    """Two calls of a service: one with a body, one without."""
    made = client(service, endpoint, key, **options)
    if service == "iot":
        return [made.list_things, lambda: made.create_thing(thingName="pump")]
    return [
        made.list_buckets,
        lambda: made.put_object(Bucket="images", Key="b", Body=b"b"),
    ]


@pytest.mark.parametrize("service", ["iot", "s3"])
def test_who_has_the_key_is_answered(endpoint, called, service):
    for call in calls(service, endpoint):
        call()
    assert called == ([{}, {"thingName": "pump"}] if service == "iot" else [])


@pytest.mark.parametrize(
    ("key", "options", "codes"),
    [
        (OTHER, {}, {"iot": "UnrecognizedClientException", "s3": "InvalidAccessKeyId"}),
        (WRONG, {}, {"iot": "InvalidSignatureException", "s3": "SignatureDoesNotMatch"}),
        (KEY, {"signature_version": UNSIGNED},
         {"iot": "MissingAuthenticationTokenException", "s3": "AccessDenied"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("service", ["iot", "s3"])
def test_who_has_not_is_refused_in_the_words_of_the_service(
    endpoint, called, service, key, options, codes
):
    for call in calls(service, endpoint, key, **options):
        assert code_of(call) == codes[service]
    assert called == []


@pytest.mark.parametrize("off_s", [16 * 60, -16 * 60])
def test_request_that_was_signed_at_another_time_is_refused(endpoint, ahead, called, off_s):
    ahead[0] = off_s
    assert {code_of(call) for call in calls("iot", endpoint)} == {"InvalidSignatureException"}
    assert {code_of(call) for call in calls("s3", endpoint)} == {"RequestTimeTooSkewed"}
    assert called == []
    ahead[0] = off_s * 14 // 16
    for call in calls("iot", endpoint) + calls("s3", endpoint):
        call()


def sent(method: str, url: str, body: bytes, headers: dict) -> tuple[int, str, bytes]:
    """(status, the error's name in its header, body)."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.netloc, timeout=FUSE_S)
    told = {name: text for name, text in headers.items() if name != "Content-Length"}
    line.request(method, url.removeprefix(f"http://{parts.netloc}"), body, told)
    answer = line.getresponse()
    found = answer.status, answer.getheader("x-amzn-ErrorType", ""), answer.read()
    line.close()
    return found


def caught(endpoint: str, call) -> tuple[str, str, bytes, dict]:
    """What boto3 would send: (method, URL, body, headers)."""
    seen = []

    def keep(request, **_):
        seen.append(request)
        raise KeyboardInterrupt

    made = client("iot", endpoint)
    made.meta.events.register("before-send.iot", keep)
    with pytest.raises(KeyboardInterrupt):
        call(made)
    [request] = seen
    headers = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in request.headers.items()
    }
    return request.method, request.url, request.body or b"", headers


@pytest.mark.parametrize(
    "spoil",
    [
        lambda method, url, body, headers: (method, url, body.replace(b"1", b"2"), headers),
        lambda method, url, body, headers: (method, url, body + b" ", headers),
        lambda method, url, body, headers: ("PATCH", url, body, headers),
        lambda method, url, body, headers: (method, url + "?thingTypeName=x", body, headers),
        lambda method, url, body, headers: (method, url.replace("pump", "pomp"), body, headers),
        lambda method, url, body, headers: (method, url, body, headers | {"X-Amz-Else": "1"}),
        lambda method, url, body, headers: (
            method, url, body + b" ", headers | {"X-Amz-Content-SHA256": EMPTY}),
        lambda method, url, body, headers: (
            method, url, body, headers | {"host": "localhost"}),
        lambda method, url, body, headers: (
            method, url, body,
            headers | {"X-Amz-Date": later(headers["X-Amz-Date"])}),
    ],
)  # fmt: skip
def test_request_that_was_altered_is_refused(endpoint, called, spoil):
    attributes = {"attributes": {"room": "1"}}
    request = caught(
        endpoint, lambda iot: iot.create_thing(thingName="pump", attributePayload=attributes)
    )
    status, code, _ = sent(*spoil(*request))
    assert (status, code) == (403, "InvalidSignatureException")
    assert called == []
    assert sent(*request)[0] == 200
    assert called == [{"thingName": "pump", "attributePayload": attributes}]


def later(stamp: str) -> str:
    form = "%Y%m%dT%H%M%SZ"
    moved = datetime.strptime(stamp, form).replace(tzinfo=UTC) + timedelta(seconds=1)
    return moved.strftime(form)


@pytest.mark.parametrize(
    "authorization",
    [
        "", "AWS key:signature", "Bearer x", "AWS4-HMAC-SHA256 x",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00",
        "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/iot/aws4_request, "
        "SignedHeaders=host, Signature=00",
    ],
)  # fmt: skip
def test_authorization_that_is_none_is_refused(authorization):
    headers = {"authorization": authorization, "x-amz-date": "20260102T000000Z"}
    with pytest.raises(Unproved):
        of_header(headers)


def test_header_of_signature_version_2_is_refused(endpoint):
    s3 = client("s3", endpoint, signature_version="s3")
    assert code_of(s3.list_buckets) == "InvalidRequest"


def test_host_that_is_not_signed_is_refused():
    words = "Credential=a/20260102/us-east-1/iot/aws4_request, SignedHeaders=x-amz-date"
    text = f"AWS4-HMAC-SHA256 {words}, Signature=00"
    with pytest.raises(Unproved, match="the host is not signed"):
        of_header({"authorization": text, "x-amz-date": "20260102T000000Z"})


def test_body_of_a_stranger_is_not_read(endpoint):
    """A body that stands still would keep a thread: so many ask that none were left."""
    where = urlsplit(endpoint)
    scope = "AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/iot/aws4_request"
    head = (
        "POST /things/pump HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n"
        f"Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\n"
        "X-Amz-Date: 20260101T000000Z\r\n\r\n"
    )
    lines = []
    for _ in range(40):
        line = http.client.HTTPConnection(where.netloc, timeout=FUSE_S)
        line.connect()
        line.sock.sendall(head.encode())
        lines.append(line)
    client("iot", endpoint).list_things()
    for line in lines:
        line.close()


def test_body_that_is_too_long_is_refused(endpoint, called):
    request = caught(
        endpoint, lambda iot: iot.create_thing(thingName="pump", billingGroupName="x" * (1 << 20))
    )
    assert sent(*request)[:2] == (413, "RequestEntityTooLargeException")
    assert called == []


def upload(endpoint: str, body: bytes, payload: str, **headers: str) -> bytes:
    url = endpoint + "/images/b"
    return sent("PUT", url, body, signed("PUT", url, payload, **headers))[2]


def test_object_that_is_not_the_one_that_was_signed_is_not_kept(endpoint):
    assert b"<Code>XAmzContentSHA256Mismatch</Code>" in upload(endpoint, b"other", EMPTY)
    assert b"<Code>InvalidArgument</Code>" in upload(endpoint, b"other", "word")
    assert code_of(lambda: client("s3", endpoint).head_object(Bucket="images", Key="b")) == "404"
    assert upload(endpoint, b"other", hashlib.sha256(b"other").hexdigest()) == b""


def test_request_to_s3_says_what_its_body_is(endpoint):
    url = endpoint + "/images/a"
    headers = signed("GET", url, EMPTY)
    del headers["X-Amz-Content-SHA256"]
    assert b"<Code>InvalidRequest</Code>" in sent("GET", url, b"", headers)[2]


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize(
    ("key", "code"),
    [(KEY, None), (WRONG, b"SignatureDoesNotMatch"), (OTHER, b"InvalidAccessKeyId")],
)
def test_presigned_url_is_proved_for_this_clouds_key(endpoint, version, key, code):
    made = client("s3", endpoint, key, signature_version=version)
    url = made.generate_presigned_url("get_object", {"Bucket": "images", "Key": "a"}, 60)
    status, _, body = sent("GET", url, b"", {})
    if code is None:
        assert (status, body) == (200, b"data")
    else:
        assert (status, b"<Code>" + code + b"</Code>" in body) == (403, True)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_url_is_good_for_just_what_was_signed(endpoint, version):
    s3 = client("s3", endpoint, signature_version=version)
    url = s3.generate_presigned_url("get_object", {"Bucket": "images", "Key": "a"}, 60)
    expiry = "X-Amz-Expires=60" if version == "s3v4" else "Expires="
    for method, other, headers in (
        ("DELETE", url, {}),
        ("GET", url.replace("/images/a", "/images/b"), {}),
        ("GET", url + "&versionId=x", {}),
        ("GET", url.replace(expiry, f"{expiry}9"), {}),
        ("GET", url, {"X-Amz-Else": "1"}),
    ):
        status, _, body = sent(method, other, b"", headers)
        assert status in (400, 403), (method, other)
        assert b"<Code>NoSuchKey" not in body
    assert sent("GET", url, b"", {})[0] == 200


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned_upload_takes_the_object(endpoint, version):
    s3 = client("s3", endpoint, signature_version=version)
    url = s3.generate_presigned_url("put_object", {"Bucket": "images", "Key": "c"}, 60)
    assert sent("PUT", url, b"new", {})[0] == 200
    assert client("s3", endpoint).get_object(Bucket="images", Key="c")["Body"].read() == b"new"


def test_presigned_url_may_be_of_a_host_name_of_the_bucket(endpoint):
    port = urlsplit(endpoint).port
    for version in ("s3v4", "s3"):
        style = {"addressing_style": "virtual"}
        s3 = client("s3", f"http://localhost:{port}", signature_version=version, s3=style)
        url = s3.generate_presigned_url("get_object", {"Bucket": "images", "Key": "a"}, 60)
        host = urlsplit(url).netloc
        assert host == f"images.localhost:{port}"
        here = url.replace(host, f"127.0.0.1:{port}")
        assert sent("GET", here, b"", {"Host": host})[::2] == (200, b"data")


def test_presigned_url_of_too_long_a_life_or_of_a_time_to_come_is_refused(endpoint, ahead):
    s3 = client("s3", endpoint, signature_version="s3v4")
    words = {"Bucket": "images", "Key": "a"}
    week_s = 7 * 24 * 3600
    assert sent("GET", s3.generate_presigned_url("get_object", words, week_s), b"", {})[0] == 200
    long = s3.generate_presigned_url("get_object", words, week_s + 1)
    assert b"AuthorizationQueryParametersError" in sent("GET", long, b"", {})[2]
    ahead[0] = -16 * 60
    early = sent("GET", s3.generate_presigned_url("get_object", words, 60), b"", {})
    assert (early[0], b"Request is not valid yet" in early[2]) == (403, True)


def test_chunks_are_signed_as_in_the_examples_of_aws():
    key = Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    digests = [hashlib.sha256(data).hexdigest() for data in (b"a" * 65_536, b"a" * 1024, b"")]
    plain = (
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    )
    trailed = (
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    )
    for seed, *seals in (plain, trailed):
        claim = Claim(key.name, "20130524", "us-east-1", "s3", "20130524T000000Z", (), seed)
        chain = Chain(claim, key)
        for digest, one in zip(digests, seals, strict=True):
            chain.chunk(digest, one.encode())
    last = b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
    chain.trailers("x-amz-checksum-crc32c:sOO8/Q==\n", last)


def test_key_is_made_once_for_each_state_folder(tmp_path):
    keys = []
    for name in ("one", "one", "two"):
        store = Store(tmp_path / name)
        keys.append(own_key(store))
        store.close()
    assert keys[0] == keys[1] != keys[2]
    assert {len(keys[0].name), len(keys[2].name)} == {20}
    assert {len(keys[0].secret), len(keys[2].secret)} == {40}


def test_key_is_told_to_the_owner_alone(cloud, command):
    file = cloud.state.ready
    assert S_IMODE(file.stat().st_mode) == 0o600
    about = json.loads(file.read_text())
    lines = command("cloud", "env", "--state", cloud.state.root).stdout.splitlines()
    assert f"export AWS_ACCESS_KEY_ID={about['access_key']}" in lines
    assert f"export AWS_SECRET_ACCESS_KEY={about['secret_key']}" in lines
    assert about["secret_key"] not in cloud.log()


@pytest.mark.parametrize(
    ("service", "call", "words"),
    [
        ("iot", "list_things", {}),
        ("iot-data", "get_thing_shadow", {"thingName": "pump"}),
        ("iot-jobs-data", "get_pending_job_executions", {"thingName": "pump"}),
        ("s3", "list_buckets", {}),
    ],
)
def test_every_service_of_a_running_cloud_wants_the_key(cloud, service, call, words):
    about = json.loads(cloud.state.ready.read_text())
    made = client(service, about["http_endpoint"], Key(about["access_key"], "another"))
    expected = "SignatureDoesNotMatch" if service == "s3" else "InvalidSignatureException"
    assert code_of(lambda: getattr(made, call)(**words)) == expected


def test_page_of_another_name_has_nothing_signed(cloud):
    """What was shown: a name that leads to this machine, and a job whose update is signed here."""
    about = json.loads(cloud.state.ready.read_text())
    request = urllib.request.Request(
        about["http_endpoint"] + "/otaUpdates/evil", b"{}", {"Host": "evil.example:8080"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=FUSE_S)
    with caught.value as error:
        assert (error.code, b"is no name of this cloud" in error.read()) == (403, True)


def test_requests_at_once_are_each_proved(endpoint, called):
    makers = [threading.Thread(target=client("iot", endpoint).list_things) for _ in range(8)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join(FUSE_S)
    assert len(called) == 8
