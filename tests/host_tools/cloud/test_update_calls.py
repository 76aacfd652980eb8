"""The calls of an update where the local cloud does not answer as AWS may: told what to say."""

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from cryptography.hazmat.primitives.asymmetric import ec

from sluice.errors import SluiceError
from sluice.fleet import update
from sluice.fleet.clients import Clients

REGION = "eu-west-1"
MADE = {"Bucket": "mine", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
ROLE = "arn:aws:iam::123456789012:role/any"
TARGETS = ["arn:aws:iot:eu-west-1:123456789012:thing/pump"]


@pytest.fixture
def account(monkeypatch):
    """(clients, stub of S3, stub of iot), which expect what they were told, in that order."""
    monkeypatch.setitem(update.POLL_S, True, 0)
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "thing"}
    iot, s3 = (boto3.client(name, region_name=REGION, **keys) for name in ("iot", "s3"))
    with Stubber(s3) as of_s3, Stubber(iot) as of_iot:
        yield Clients(iot, s3, REGION, local=False, near=True), of_s3, of_iot
        of_s3.assert_no_pending_responses()
        of_iot.assert_no_pending_responses()


def test_bucket_that_is_there_is_left_as_it_is(account):
    """In us-east-1, to make it again would succeed."""
    cloud, s3, _ = account
    s3.add_response("get_bucket_versioning", {}, {"Bucket": "mine"})
    update.make_bucket(cloud, "mine")


def test_bucket_that_came_to_be_ones_own_meanwhile_is_left_as_it_is(account):
    cloud, s3, _ = account
    s3.add_client_error("get_bucket_versioning", "NoSuchBucket")
    s3.add_client_error("create_bucket", "BucketAlreadyOwnedByYou", expected_params=MADE)
    update.make_bucket(cloud, "mine")


def test_bucket_of_somebody_else_is_refused(account):
    cloud, s3, _ = account
    s3.add_client_error("get_bucket_versioning", "AccessDenied")
    with pytest.raises(SluiceError, match="mine is somebody else's, or you lack s3:GetBucketV"):
        update.make_bucket(cloud, "mine")
    s3.add_client_error("get_bucket_versioning", "NoSuchBucket")
    s3.add_client_error("create_bucket", "BucketAlreadyExists", expected_params=MADE)
    with pytest.raises(ClientError, match="BucketAlreadyExists"):
        update.make_bucket(cloud, "mine")


def offered(cloud: Clients, tmp_path, signing: dict | None = None, **job: object) -> str:
    where = {"bucket": "mine", "key": "app.bin", "version": "1"}
    signing = signing or update.by_signer("profile", "mine")
    file = update.File(tmp_path / "app.bin", where, signing)
    return update.offer(cloud, [file], TARGETS, "mqtt", ROLE, job)


def status(iot: Stubber, text: str, **more: object) -> None:
    """Have GetOTAUpdate answer so, once."""
    iot.add_response("get_ota_update", {"otaUpdateInfo": {"otaUpdateStatus": text, **more}})


def test_update_is_waited_for_until_its_job_is_there(account, tmp_path):
    cloud, _, iot = account
    iot.add_response("create_ota_update", {"otaUpdateStatus": "CREATE_PENDING"})
    status(iot, "CREATE_PENDING")
    status(iot, "CREATE_IN_PROGRESS")
    status(iot, "CREATE_COMPLETE", awsIotJobId="AFR_OTA-x")
    assert offered(cloud, tmp_path) == "AFR_OTA-x"


def test_update_that_cannot_be_made_says_why(account, tmp_path):
    cloud, _, iot = account
    iot.add_response("create_ota_update", {"otaUpdateStatus": "CREATE_PENDING"})
    status(iot, "CREATE_FAILED", errorInfo={"code": "400", "message": "no such profile"})
    with pytest.raises(SluiceError, match="^OTA update sluice-[0-9a-f]{12}: no such profile$"):
        offered(cloud, tmp_path)


@pytest.mark.parametrize(
    ("code", "goes"), [("LimitExceededException", True), ("ResourceAlreadyExistsException", False)]
)
def test_job_that_is_refused_leaves_no_stream(account, tmp_path, code: str, goes: bool):
    """It is not refused when it is there already: then the answer to the first try was lost."""
    cloud, _, iot = account
    (tmp_path / "app.bin").write_bytes(b"image")
    key = ec.generate_private_key(ec.SECP256R1())
    signing = update.own_signature(tmp_path / "app.bin", key, "signer.crt")
    iot.add_response("create_stream", {})
    iot.add_client_error("create_job", code)
    if goes:
        iot.add_response("delete_stream", {}, {"streamId": ANY})
    with pytest.raises(ClientError, match=code):
        offered(cloud, tmp_path, signing, schedulingConfig={})
