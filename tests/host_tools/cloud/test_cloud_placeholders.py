"""Placeholders in job documents: expanded anew for each request, and expired when they say so."""

import base64
import json
from urllib.parse import parse_qsl, urlsplit

import pytest
from cloud_world import KEY
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sluice.cloud.http.server import HTTPRequest
from sluice.cloud.names import arn
from sluice.cloud.s3 import presigned
from sluice.cloud.s3.face import S3

ENDPOINT = "http://127.0.0.1:1234"
IMAGE = bytes(range(256)) * 9
HOLDER = "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/images/image.bin}"


@pytest.fixture
def expanding(world):
    """A world with an image in its bucket."""
    world.endpoint = ENDPOINT
    world.put(IMAGE)
    return world


def fetch(world, url: str) -> tuple[int, bytes]:
    """A GET of a URL at the world's time."""
    parts = urlsplit(url)
    headers = {"host": parts.netloc}
    request = HTTPRequest("GET", parts.path, parse_qsl(parts.query), headers, iter(()))
    answer = S3(world.bucket, KEY, lambda: world.now)(request)
    return answer.status, answer.body if answer.status != 200 else b"".join(answer.body)


def url_of(answers: list) -> str:
    return answers[0][1]["execution"]["jobDocument"]["url"]


@pytest.mark.parametrize(("config", "lifetime_s"), [({"expiresInSec": 60}, 60), ({}, 3600)])
def test_url_expires_as_the_job_says_and_the_next_request_gets_a_new_one(
    expanding, config, lifetime_s
):
    expanding.job("one", {"operation": "install", "url": HOLDER}, presignedUrlConfig=config)
    first = url_of(expanding.ask("jobs/start-next"))
    expanding.now += lifetime_s - 1
    assert fetch(expanding, first) == (200, IMAGE)
    expanding.now += 1
    status, body = fetch(expanding, first)
    assert (status, b"Request has expired" in body) == (403, True)
    second = url_of(expanding.ask("jobs/$next/get"))
    assert second != first
    assert fetch(expanding, second) == (200, IMAGE)


def test_every_answer_with_a_document_has_its_url(expanding):
    expanding.job("one", {"operation": "install", "url": HOLDER})
    [_, (path, announced)] = expanding.notices()
    assert path == "jobs/notify-next"
    assert announced["execution"]["jobDocument"]["url"].startswith(ENDPOINT)
    request = {"status": "IN_PROGRESS", "includeJobDocument": True}
    [(_, body)] = expanding.ask("jobs/one/update", request)
    assert body["jobDocument"]["url"].startswith(ENDPOINT)
    assert expanding.job_calls.document({"jobId": "one"})["document"].count(HOLDER) == 1


def test_ota_update_over_http_has_a_url_of_its_own_lifetime(expanding):
    where = {"bucket": "images", "key": "image.bin"}
    expanding.updates.create(
        {
            "otaUpdateId": "u",
            "targets": [arn("thing", "pump")],
            "roleArn": "arn:aws:iam::123456789012:role/any",
            "protocols": ["HTTP"],
            "awsJobPresignedUrlConfig": {"expiresInSec": 120},
            "files": [{"fileName": "image.bin", "fileLocation": {"s3Location": where}}],
        }
    )
    [(_, body)] = expanding.ask("jobs/start-next")
    update = body["execution"]["jobDocument"]["afr_ota"]
    [file] = update["files"]
    assert (update["protocols"], file["auth_scheme"]) == (["HTTP"], "aws.s3.presigned")
    assert file["filesize"] == len(IMAGE)
    expanding.now += 119
    assert fetch(expanding, file["update_data_url"]) == (200, IMAGE)
    expanding.now += 1
    assert fetch(expanding, file["update_data_url"])[0] == 403


def test_placeholder_is_found_however_json_spells_it():
    plain = json.dumps({"a": [HOLDER, f"see {HOLDER} and {HOLDER}"]})
    for text in (plain, plain.replace("/", "\\/"), plain.replace("i", "\\u0069")):
        [one, several] = json.loads(presigned.expand(text, ENDPOINT, 60, 0, KEY))["a"]
        assert one.startswith(f"{ENDPOINT}/images/image.bin?")
        assert several == f"see {one} and {one}"


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"${aws:iot:parameter:b}","c":"\\"quoted\\" \\\\"}',
        '{"a":"${aws:iot:s3-presigned-url:https://example.com/file}"}',
        '{"a":"${aws:iot:s3-presigned-url:https://[file}"}',
        '{ "a" : 1.50 }',
    ],
)
def test_what_is_no_placeholder_of_ours_stays_letter_by_letter(text):
    assert json.loads(presigned.expand(text, ENDPOINT, 60, 0, KEY)) == json.loads(text)
    if "${" not in text:
        assert presigned.expand(text, ENDPOINT, 60, 0, KEY) == text


@pytest.mark.parametrize("bucket", ["signed-images", "us-east-1.signed-images"])
def test_signature_placeholder_becomes_one_that_the_signers_certificate_proves(
    cloud, device, bucket
):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="signed-images")
    s3.put_object(Bucket="signed-images", Key="a/b.bin", Body=IMAGE)
    thing = "signed-" + bucket.partition(".")[0]
    holder = f"${{aws:iot:code-sign-signature:s3://{bucket}/a/b.bin}}"
    missing = holder.replace("b.bin", "nothing@here")
    one = device(cloud, thing)
    cloud.client("iot").create_job(
        jobId=thing,
        targets=[arn("thing", thing)],
        document=json.dumps({"operation": "x", "signature": holder, "other": missing}),
    )
    found = [one.next() for _ in range(2)][1][1]["execution"]["jobDocument"]
    assert found["other"] == missing
    certificate = x509.load_pem_x509_certificate(cloud.state.signer_certificate.read_bytes())
    signature = base64.b64decode(found["signature"], validate=True)
    certificate.public_key().verify(signature, IMAGE, ec.ECDSA(hashes.SHA256()))
