"""boto3's calls against the control plane and the device plane, by endpoint_url alone."""

import json
import re
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from cloud_world import KEY
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from patience import FUSE_S

from sluice.cloud.http.constraints import pattern
from sluice.cloud.http.rest import REST
from sluice.cloud.http.server import WebServer
from sluice.cloud.jobs.over_https import DeviceCalls
from sluice.cloud.mqtt.publish import PublishCalls
from sluice.cloud.names import arn
from sluice.cloud.s3.face import S3
from sluice.cloud.shadow.api import ShadowCalls
from sluice.cloud.things.api import ThingCalls
from sluice.cloud.things.ca import Authority
from sluice.cloud.things.certificates_api import CertificateCalls
from sluice.cloud.things.groups import Groups
from sluice.cloud.things.groups_api import GroupCalls
from sluice.cloud.things.policies_api import PolicyCalls
from sluice.cloud.things.rights import Access
from sluice.cloud.things.things import Things, thing_policy

POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})
ROLE = "arn:aws:iam::123456789012:role/any"
PUMP = arn("thing", "pump")


@pytest.fixture
def served(world):
    """The REST faces over a world without a broker; gives a maker of boto3 clients."""
    world.things = Things(world.store, Authority(world.state))
    world.changes = 0

    def changed(*certificates: str) -> None:
        world.changes += 1

    things = ThingCalls(world.things, changed, lambda kind: f"host-of-{kind}")
    control = {}
    for calls in (
        things,
        CertificateCalls(world.things, changed),
        PolicyCalls(world.things, lambda: world.now, changed),
        GroupCalls(Groups(world.store), world.things, lambda: world.now, changed),
        world.stream_calls,
        world.job_calls,
        world.execution_calls,
        world.updates,
        world.template_calls,
        world.tag_calls,
        world.event_calls,
    ):
        control |= calls.operations()
    device = DeviceCalls(world.jobs, world.sent.extend)
    world.implemented = {"iot": set(control), "iot-jobs-data": set(device.operations())}
    shadows = ShadowCalls(world.shadows, world.sent.extend).operations()
    publishing = PublishCalls(world.sent.append).operations()
    services = (
        REST("iot", control),
        REST("iot-jobs-data", device.operations()),
        REST("iot-data", shadows | publishing),
    )
    world.services = services
    handlers = {service.signing_name: service for service in services}
    web = WebServer(0, {"s3": S3(world.bucket, KEY, lambda: world.now), **handlers})
    world.endpoint = f"http://127.0.0.1:{web.server_port}"
    web.start()

    def client(service: str):
        return boto3.client(
            service,
            endpoint_url=world.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEY.name,
            aws_secret_access_key=KEY.secret,
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )

    yield client
    web.stop()


@pytest.fixture
def iot(served):
    return served("iot")


@pytest.fixture
def data(served):
    return served("iot-jobs-data")


def code_of(call, **given) -> str:
    with pytest.raises(ClientError) as caught:
        call(**given)
    error = caught.value.response["Error"]
    assert error["Message"]
    return error["Code"]


def fetched(url: str) -> tuple[int, bytes]:
    """A GET without any credentials but the URL's own."""
    try:
        with urllib.request.urlopen(url, timeout=FUSE_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_thing_is_created_described_listed_and_deleted(iot):
    made = iot.create_thing(thingName="valve", attributePayload={"attributes": {"site": "north"}})
    assert made["thingArn"] == arn("thing", "valve")
    found = iot.describe_thing(thingName="valve")
    assert (found["thingId"], found["attributes"]) == (made["thingId"], {"site": "north"})
    assert found["version"] == 1
    listed = iot.list_things(attributeName="site", attributeValue="north")["things"]
    assert [row["thingName"] for row in listed] == ["valve"]
    iot.delete_thing(thingName="valve")
    assert code_of(iot.describe_thing, thingName="valve") == "ResourceNotFoundException"
    iot.delete_thing(thingName="valve")


def test_thing_created_twice_is_a_conflict_only_if_it_differs(iot):
    iot.create_thing(thingName="valve")
    iot.create_thing(thingName="valve")
    other = {"attributes": {"a": "b"}}
    code = code_of(iot.create_thing, thingName="valve", attributePayload=other)
    assert code == "ResourceAlreadyExistsException"


def test_thing_with_a_certificate_is_not_deleted(iot, world):
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_thing_principal(thingName="pump", principal=made["certificateArn"])
    assert iot.list_thing_principals(thingName="pump")["principals"] == [made["certificateArn"]]
    assert code_of(iot.delete_thing, thingName="pump") == "InvalidRequestException"
    iot.detach_thing_principal(thingName="pump", principal=made["certificateArn"])
    iot.delete_thing(thingName="pump")
    assert world.changes == 2


def test_certificate_speaks_for_its_thing_only_while_active(iot, world):
    made = iot.create_keys_and_certificate(setAsActive=True)
    access, identity = Access(world.store), made["certificateId"]
    iot.create_policy(policyName="own", policyDocument=thing_policy())
    iot.attach_policy(policyName="own", target=made["certificateArn"])
    assert access.rights(identity).allowed == set()
    iot.attach_thing_principal(thingName="pump", principal=made["certificateArn"])
    assert ("publishClientSend", "$aws/things/pump/+/#") in access.rights(identity).allowed
    assert len(access.all()) == 1
    iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    assert access.all() == {}
    found = iot.describe_certificate(certificateId=made["certificateId"])
    assert found["certificateDescription"]["status"] == "INACTIVE"
    gone = made["certificateId"]
    iot.detach_policy(policyName="own", target=made["certificateArn"])
    assert code_of(iot.delete_certificate, certificateId=gone) == "DeleteConflictException"
    iot.detach_thing_principal(thingName="pump", principal=made["certificateArn"])
    iot.delete_certificate(certificateId=gone)
    assert code_of(iot.describe_certificate, certificateId=gone) == "ResourceNotFoundException"


def test_key_pair_fits_its_certificate(iot):
    made = iot.create_keys_and_certificate(setAsActive=True)
    key = serialization.load_pem_private_key(made["keyPair"]["PrivateKey"].encode(), None)
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert key.public_key() == certificate.public_key()
    assert certificate.fingerprint(hashes.SHA256()).hex() == made["certificateId"]
    public = serialization.load_pem_public_key(made["keyPair"]["PublicKey"].encode())
    assert public == key.public_key()


def request_for(key) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "cloud-service")])
    built = x509.CertificateSigningRequestBuilder().subject_name(name)
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_signing_request_keeps_its_key_and_gets_a_name_of_ours(iot):
    key = ec.generate_private_key(ec.SECP256R1())
    made = iot.create_certificate_from_csr(certificateSigningRequest=request_for(key))
    certificate = x509.load_pem_x509_certificate(made["certificatePem"].encode())
    assert certificate.public_key() == key.public_key()
    assert "cloud-service" not in certificate.subject.rfc4514_string()
    assert "keyPair" not in made


def test_signing_request_of_no_use_is_invalid(iot):
    code = code_of(iot.create_certificate_from_csr, certificateSigningRequest="no pem")
    assert code == "InvalidRequestException"


def test_policy_is_kept_but_must_be_json(iot):
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    made = iot.create_policy(policyName="p", policyDocument=document)
    assert (made["policyDocument"], made["policyVersionId"]) == (document, "1")
    given = {"policyName": "p", "policyDocument": document}
    assert code_of(iot.create_policy, **given) == "ResourceAlreadyExistsException"
    given = {"policyName": "q", "policyDocument": "{"}
    assert code_of(iot.create_policy, **given) == "MalformedPolicyException"
    made = iot.create_keys_and_certificate()
    iot.attach_policy(policyName="p", target=made["certificateArn"])
    given = {"policyName": "none", "target": made["certificateArn"]}
    assert code_of(iot.attach_policy, **given) == "ResourceNotFoundException"


def test_endpoint_of_each_kind_is_told(iot):
    found = iot.describe_endpoint(endpointType="iot:Data-ATS")
    assert found["endpointAddress"] == "host-of-iot:Data-ATS"


def test_operation_not_known_here_is_said_to_be(iot):
    with pytest.raises(ClientError) as caught:
        iot.list_billing_groups()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert "ListBillingGroups" in caught.value.response["Error"]["Message"]


def create(iot, name: str = "one", **more) -> dict:
    given = {"jobId": name, "targets": [PUMP], "document": '{"operation":"echo"}'}
    return iot.create_job(**given | more)


def test_job_is_created_described_and_listed(iot, world):
    made = create(iot, description="hello", timeoutConfig={"inProgressTimeoutInMinutes": 5})
    assert (made["jobArn"], made["description"]) == (arn("job", "one"), "hello")
    job = iot.describe_job(jobId="one")["job"]
    assert (job["status"], job["targets"], job["targetSelection"]) == (
        "IN_PROGRESS",
        [PUMP],
        "SNAPSHOT",
    )
    assert job["createdAt"].timestamp() == world.now
    assert job["jobProcessDetails"]["numberOfQueuedThings"] == 1
    assert iot.get_job_document(jobId="one")["document"] == '{"operation":"echo"}'
    assert [row["jobId"] for row in iot.list_jobs(status="IN_PROGRESS")["jobs"]] == ["one"]
    assert iot.list_jobs(status="COMPLETED")["jobs"] == []
    [row] = iot.list_job_executions_for_job(jobId="one")["executionSummaries"]
    assert (row["thingArn"], row["jobExecutionSummary"]["status"]) == (PUMP, "QUEUED")
    [row] = iot.list_job_executions_for_thing(thingName="pump")["executionSummaries"]
    assert row["jobId"] == "one"
    assert len(world.sent) == 2


def test_job_execution_is_described_as_the_device_left_it(iot, world):
    create(iot)
    request = {"status": "IN_PROGRESS", "statusDetails": {"receive": "1/9"}}
    world.ask("jobs/one/update", request | {"stepTimeoutInMinutes": 1})
    execution = iot.describe_job_execution(jobId="one", thingName="pump")["execution"]
    assert execution["statusDetails"] == {"detailsMap": {"receive": "1/9"}}
    assert (execution["status"], execution["versionNumber"]) == ("IN_PROGRESS", 2)
    assert execution["approximateSecondsBeforeTimedOut"] == 59
    assert execution["thingArn"] == PUMP


def test_job_is_canceled_and_deleted(iot):
    create(iot)
    iot.cancel_job(jobId="one", reasonCode="BECAUSE", comment="of this")
    job = iot.describe_job(jobId="one")["job"]
    assert (job["status"], job["reasonCode"], job["comment"]) == (
        "CANCELED",
        "BECAUSE",
        "of this",
    )
    iot.delete_job(jobId="one")
    assert code_of(iot.describe_job, jobId="one") == "ResourceNotFoundException"


def test_job_execution_is_canceled_and_deleted(iot):
    create(iot)
    wanted = {"jobId": "one", "thingName": "pump", "executionNumber": 1}
    code = code_of(iot.delete_job_execution, **wanted)  # it is QUEUED, which is no end
    assert code == "InvalidStateTransitionException"
    iot.cancel_job_execution(jobId="one", thingName="pump", statusDetails={"why": "x"})
    execution = iot.describe_job_execution(jobId="one", thingName="pump")["execution"]
    assert (execution["status"], execution["statusDetails"]["detailsMap"]) == (
        "CANCELED",
        {"why": "x"},
    )
    iot.delete_job_execution(jobId="one", thingName="pump", executionNumber=1)
    given = {"jobId": "one", "thingName": "pump"}
    assert code_of(iot.describe_job_execution, **given) == "ResourceNotFoundException"
    given["executionNumber"] = 10**30
    assert code_of(iot.describe_job_execution, **given) == "InvalidRequestException"


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"jobId": "a.b"}, "InvalidRequestException"),
        ({"jobId": "x" * 65}, "InvalidRequestException"),
        ({"document": "not json"}, "InvalidRequestException"),
        ({"document": "[1]"}, "InvalidRequestException"),
        ({"document": '{"text":"\\ud800"}'}, "InvalidRequestException"),
        ({"document": '{"x":1e400}'}, "InvalidRequestException"),
        ({"document": '{"x":[NaN]}'}, "InvalidRequestException"),
        ({"document": '{"a":"' + "x" * 32_768 + '"}'}, "InvalidRequestException"),
        ({"targets": [arn("thing", "nobody")]}, "ResourceNotFoundException"),
        ({"targets": [arn("thinggroup", "all")]}, "ResourceNotFoundException"),
        ({"targets": []}, "InvalidRequestException"),
        ({"description": "two\nlines"}, "InvalidRequestException"),
        ({"targetSelection": "SOME"}, "InvalidRequestException"),
        ({"timeoutConfig": {"inProgressTimeoutInMinutes": 0}}, "InvalidRequestException"),
        ({"schedulingConfig": {"startTime": "2030-01-01 00:00"}}, "InvalidRequestException"),
        ({"documentSource": "https://s3.amazonaws.com/none/none"}, "InvalidRequestException"),
    ],
)
def test_job_that_makes_no_sense_is_refused(iot, world, given, code):
    assert code_of(create, iot=iot, name=given.pop("jobId", "one"), **given) == code
    assert iot.list_jobs()["jobs"] == []
    assert world.sent == []


def test_job_created_twice_is_a_conflict_that_names_it(iot):
    create(iot)
    with pytest.raises(ClientError) as caught:
        create(iot)
    response = caught.value.response
    assert response["Error"]["Code"] == "ResourceAlreadyExistsException"
    assert response["resourceArn"] == arn("job", "one")


def test_job_document_may_come_from_the_bucket_once(iot, world):
    world.put(b'{"operation":"first"}', "job.json")
    source = "https://s3.us-east-1.amazonaws.com/images/job.json"
    iot.create_job(jobId="one", targets=[PUMP], documentSource=source)
    world.put(b'{"operation":"second"}', "job.json")
    assert iot.get_job_document(jobId="one")["document"] == '{"operation":"first"}'
    assert iot.describe_job(jobId="one")["documentSource"] == source


def test_document_parameters_are_for_managed_templates_only(iot):
    text = '{"a":"${aws:iot:parameter:name}"}'
    given = {"jobId": "one", "targets": [PUMP], "document": text}
    call = iot.create_job
    assert code_of(call, **given, documentParameters={"a": "b"}) == "InvalidRequestException"
    call(**given)
    assert iot.get_job_document(jobId="one")["document"] == text


def test_device_plane_walks_a_job_with_a_document_of_text(iot, data):
    create(iot)
    [row] = data.get_pending_job_executions(thingName="pump")["queuedJobs"]
    assert row["jobId"] == "one"
    found = data.describe_job_execution(thingName="pump", jobId="$next")["execution"]
    assert (found["status"], found["thingName"]) == ("QUEUED", "pump")
    started = data.start_next_pending_job_execution(
        thingName="pump", statusDetails={"a": "b"}, stepTimeoutInMinutes=5
    )["execution"]
    assert started["jobDocument"] == json.dumps({"operation": "echo"})
    assert (started["statusDetails"], started["versionNumber"]) == ({"a": "b"}, 2)
    updated = data.update_job_execution(
        thingName="pump",
        jobId="one",
        status="SUCCEEDED",
        expectedVersion=2,
        includeJobExecutionState=True,
        includeJobDocument=True,
    )
    assert updated["executionState"]["status"] == "SUCCEEDED"
    assert updated["jobDocument"] == json.dumps({"operation": "echo"})
    assert "execution" not in data.start_next_pending_job_execution(thingName="pump")


def test_device_plane_refuses_with_the_models_errors(iot, data, world):
    create(iot)
    given = {"thingName": "pump", "jobId": "one"}
    code = code_of(data.update_job_execution, status="CANCELED", **given)
    assert code == "InvalidRequestException"
    code = code_of(data.update_job_execution, status="IN_PROGRESS", expectedVersion=9, **given)
    assert code == "InvalidStateTransitionException"
    data.update_job_execution(status="SUCCEEDED", **given)
    with pytest.raises(ClientError) as caught:
        data.describe_job_execution(**given)
    assert caught.value.response["Error"]["Code"] == "TerminalStateException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 410
    code = code_of(data.get_pending_job_executions, thingName="nobody")
    assert code == "ResourceNotFoundException"


def test_stream_is_created_updated_listed_and_deleted(iot, world):
    world.put(b"data")
    files = [{"fileId": 1, "s3Location": {"bucket": "images", "key": "image.bin"}}]
    given = {"streamId": "flow", "files": files, "roleArn": ROLE}
    assert iot.create_stream(**given)["streamVersion"] == 1
    assert code_of(iot.create_stream, **given) == "ResourceAlreadyExistsException"
    assert iot.update_stream(streamId="flow", description="d")["streamVersion"] == 2
    found = iot.describe_stream(streamId="flow")["streamInfo"]
    assert (found["description"], found["files"]) == ("d", files)
    assert [row["streamId"] for row in iot.list_streams()["streams"]] == ["flow"]
    iot.delete_stream(streamId="flow")
    assert code_of(iot.describe_stream, streamId="flow") == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([{"fileId": 0, "s3Location": {"bucket": "images", "key": "no"}}], "ResourceNotFound"),
        ([{"fileId": 256, "s3Location": {"bucket": "images", "key": "no"}}], "InvalidRequest"),
        ([{"fileId": 0}], "InvalidRequest"),
        ([], "InvalidRequest"),
        ([{"fileId": 0, "s3Location": {"bucket": "images", "key": "image.bin"}}] * 2, "Invalid"),
    ],
)
def test_stream_of_files_that_cannot_be_streamed_is_refused(iot, world, files, code):
    world.put(b"data")
    assert code_of(iot.create_stream, streamId="flow", files=files, roleArn=ROLE).startswith(code)


SIGNED = {
    "fileName": "app.bin",
    "fileType": 0,
    "fileLocation": {"s3Location": {"bucket": "images", "key": "image.bin"}},
    "codeSigning": {
        "customCodeSigning": {
            "signature": {"inlineDocument": b"\x30\x44"},
            "hashAlgorithm": "SHA256",
            "signatureAlgorithm": "ECDSA",
            "certificateChain": {"certificateName": "s.crt"},
        }
    },
}


def update(iot, **more) -> dict:
    given = {"otaUpdateId": "u1", "targets": [PUMP], "files": [SIGNED], "roleArn": ROLE}
    return iot.create_ota_update(**given | more)


def test_ota_update_makes_a_stream_and_a_job_that_names_it(iot, world):
    world.put(b"x" * 300)
    made = update(iot, awsJobExecutionsRolloutConfig={"maximumPerMinute": 9})
    assert (made["awsIotJobId"], made["otaUpdateStatus"]) == ("AFR_OTA-u1", "CREATE_PENDING")
    found = iot.get_ota_update(otaUpdateId="u1")["otaUpdateInfo"]
    assert (found["otaUpdateStatus"], found["awsIotJobId"]) == ("CREATE_COMPLETE", "AFR_OTA-u1")
    assert found["otaUpdateFiles"] == [SIGNED]
    assert found["awsJobExecutionsRolloutConfig"] == {"maximumPerMinute": 9}
    [(_, body)] = world.ask("jobs/$next/get")
    ota = body["execution"]["jobDocument"]["afr_ota"]
    assert ota["protocols"] == ["MQTT"]
    assert ota["files"] == [
        {
            "filepath": "app.bin",
            "filesize": 300,
            "fileid": 0,
            "certfile": "s.crt",
            "sig-sha256-ecdsa": "MEQ=",
            "fileType": 0,
        }
    ]
    [(_, body)] = world.ask(f"streams/{ota['streamname']}/describe/json")
    assert body == {"s": 1, "d": "Stream for OTAUpdate u1", "r": [{"f": 0, "z": 300}]}


def test_ota_update_over_http_carries_a_placeholder_that_is_expanded(iot, world):
    version = world.put(b"x" * 300)
    file = {"fileLocation": {"s3Location": {"bucket": "images", "key": "image.bin"}}}
    file["fileLocation"]["s3Location"]["version"] = version
    update(iot, protocols=["MQTT", "HTTP"], files=[file])
    raw = json.loads(iot.get_job_document(jobId="AFR_OTA-u1")["document"])["afr_ota"]
    [raw_file] = raw["files"]
    assert raw_file["update_data_url"].startswith("${aws:iot:s3-presigned-url:https://")
    assert raw_file["auth_scheme"] == "aws.s3.presigned"
    job = iot.describe_job(jobId="AFR_OTA-u1")["job"]
    assert job["presignedUrlConfig"]["expiresInSec"] == 1800
    [(_, body)] = world.ask("jobs/start-next")
    [file] = body["execution"]["jobDocument"]["afr_ota"]["files"]
    world.put(b"y")  # another version, which is not the one that was ordered
    assert fetched(file["update_data_url"]) == (200, b"x" * 300)


def test_described_document_has_a_url_of_that_moment_until_it_expires(data, world):
    world.put(b"x" * 300)
    holder = "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/images/image.bin}"
    config = {"roleArn": ROLE, "expiresInSec": 60}
    world.job("one", {"operation": "x", "url": holder}, presignedUrlConfig=config)

    def url() -> str:
        words = {"thingName": "pump", "jobId": "one", "includeJobDocument": True}
        execution = data.describe_job_execution(**words)["execution"]
        return json.loads(execution["jobDocument"])["url"]

    first = url()
    assert fetched(first) == (200, b"x" * 300)
    world.now += 59
    second = url()
    assert second != first and fetched(first)[0] == 200
    world.now += 1
    assert (fetched(first)[0], fetched(second)[0]) == (403, 200)


def test_ota_update_is_listed_and_deleted_with_its_job_and_stream(iot, world):
    world.put(b"x")
    update(iot)
    assert [row["otaUpdateId"] for row in iot.list_ota_updates()["otaUpdates"]] == ["u1"]
    assert code_of(iot.delete_ota_update, otaUpdateId="u1") == "InvalidRequestException"
    iot.delete_ota_update(otaUpdateId="u1", deleteStream=True, forceDeleteAWSJob=True)
    assert iot.list_ota_updates()["otaUpdates"] == []
    assert iot.list_streams()["streams"] == []
    assert iot.list_jobs()["jobs"] == []


BUCKET = {"s3Destination": {"bucket": "images", "prefix": "signed/"}}


def signed(code: dict) -> dict:
    """The member `files` of an update whose only file is signed so."""
    where = {"s3Location": {"bucket": "images", "key": "image.bin"}}
    return {"files": [{"fileName": "app", "fileLocation": where, "codeSigning": code}]}


@pytest.mark.parametrize("path", [None, "certs/of-signer.crt"])
def test_ota_update_may_start_a_signing_job(iot, world, path):
    world.put(b"x")
    job = {"signingProfileName": "any", "destination": BUCKET}
    if path:
        job["signingProfileParameter"] = {"certificatePathOnDevice": path}
    update(iot, **signed({"startSigningJobParameter": job}))
    document = json.loads(iot.get_job_document(jobId="AFR_OTA-u1")["document"])
    [file] = document["afr_ota"]["files"]
    assert file["certfile"] == (path or "signer.crt")
    assert file["sig-sha256-ecdsa"] == "signature of images/image.bin@None"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"otaUpdateId": "x" * 57}, "64 characters"),
        ({"files": [{"fileName": "a"}]}, "s3Location"),
        ({"files": [{"fileLocation": {"s3Location": {"bucket": "no", "key": "no"}}}]}, "no/no"),
        ({"targets": [arn("thing", "nobody")]}, "nobody"),
        (signed({"awsSignerJobId": "x"}), "AWS Signer"),
        (signed({"startSigningJobParameter": {"destination": BUCKET}}), "signingProfileName"),
        (signed({"startSigningJobParameter": {"signingProfileName": "p"}}), "destination"),
    ],
)
def test_ota_update_that_cannot_be_made_leaves_nothing(iot, world, given, words):
    world.put(b"x")
    with pytest.raises(ClientError, match=words):
        update(iot, **given)
    assert iot.list_ota_updates()["otaUpdates"] == []
    assert iot.list_streams()["streams"] == []
    assert world.sent == []


def test_times_in_answers_are_seconds_since_1970(iot):
    before = time.time()
    iot.create_keys_and_certificate()
    world_time = iot.describe_job(jobId=create(iot)["jobId"])["job"]["createdAt"].timestamp()
    assert world_time == 1_700_000_000 < before


@pytest.mark.parametrize("service", ["iot", "iot-jobs-data", "s3"])
def test_every_pattern_of_the_models_is_one_of_pythons(service):
    shapes = Loader().load_service_model(service, "service-2")["shapes"].values()
    patterns = {shape["pattern"] for shape in shapes if "pattern" in shape}
    assert patterns
    for text in patterns:
        assert "\\p" not in pattern(text)
        re.compile(pattern(text))


# --- pages ---------------------------------------------------------------------------------------


@pytest.fixture
def several(iot, world):
    """Three of everything; gives {operation: parameters}."""
    for name in ("a", "b"):
        iot.create_thing(thingName=name)
    group = iot.create_thing_group(thingGroupName="north")
    for name in ("south", "west"):
        iot.create_thing_group(thingGroupName=name)
    made = [iot.create_keys_and_certificate(setAsActive=True) for _ in range(3)]
    principals = [one["certificateArn"] for one in made]
    for name in ("pump", "a", "b"):
        iot.attach_thing_principal(thingName=name, principal=principals[0])
        iot.add_thing_to_thing_group(thingGroupName="north", thingName=name)
        policy = {"policyName": name, "policyDocument": POLICY}
        iot.create_policy(**policy)
        iot.attach_policy(policyName=name, target=principals[0])
    for principal in principals[1:]:
        iot.attach_thing_principal(thingName="pump", principal=principal)
        iot.attach_policy(policyName="pump", target=principal)
    for group_name in ("south", "west"):
        iot.add_thing_to_thing_group(thingGroupName=group_name, thingName="pump")
    world.put(b"x" * 300)
    where = {"s3Location": {"bucket": "images", "key": "image.bin"}}
    for name in ("j1", "j2", "j3"):
        file = {"fileName": "f", "fileLocation": where}
        iot.create_job_template(jobTemplateId=name, description=name, document="{}")
        given = {"targets": [group["thingGroupArn"]], "files": [file], "roleArn": ROLE}
        iot.create_ota_update(otaUpdateId=name, **given)
    return {
        "list_things": {},
        "list_certificates": {},
        "list_policies": {},
        "list_thing_groups": {},
        "list_jobs": {},
        "list_streams": {},
        "list_ota_updates": {},
        "list_thing_principals": {"thingName": "pump"},
        "list_thing_principals_v2": {"thingName": "pump"},
        "list_principal_things_v2": {"principal": principals[0]},
        "list_principal_things": {"principal": principals[0]},
        "list_attached_policies": {"target": principals[0]},
        "list_targets_for_policy": {"policyName": "pump"},
        "list_things_in_thing_group": {"thingGroupName": "north"},
        "list_thing_groups_for_thing": {"thingName": "pump"},
        "list_job_executions_for_job": {"jobId": "AFR_OTA-j1"},
        "list_job_executions_for_thing": {"thingName": "pump"},
        "list_job_templates": {},
        "list_managed_job_templates": {},
    }


def test_every_list_comes_in_pages_of_one_and_as_the_same_whole(iot, several, world):
    known = {name.lower() for name in world.implemented["iot"] if name.startswith("List")}
    known -= {"listpolicyversions"}  # AWS gives all at once
    known.remove("listtagsforresource")  # of 50 at most, and nobody says how many to a page
    assert {name.replace("_", "") for name in several} == known
    for operation, given in several.items():
        paginator = iot.get_paginator(operation)
        (key,) = [part.expression for part in paginator.result_keys]
        whole = getattr(iot, operation)(**given)[key]
        pages = list(paginator.paginate(**given, PaginationConfig={"PageSize": 1}))
        wanted = 8 if "managed" in operation else 3
        assert [len(page[key]) for page in pages] == [1] * wanted, operation
        assert [page[key][0] for page in pages] == whole, operation


def test_list_has_250_items_when_nobody_asks_for_fewer(iot, world):
    for number in range(250):
        world.things.create(f"t{number:03}")
    page = iot.list_things()
    assert len(page["things"]) == 250
    rest = iot.list_things(nextToken=page["nextToken"])
    assert [thing["thingName"] for thing in rest["things"]] == ["t249"]
    assert "nextToken" not in rest


def test_list_read_while_its_items_are_deleted_skips_none(iot):
    for name in ("a", "b", "c"):
        iot.create_thing(thingName=name)
    seen = []
    for page in iot.get_paginator("list_things").paginate(PaginationConfig={"PageSize": 1}):
        (thing,) = page["things"]
        seen.append(thing["thingName"])
        iot.delete_thing(thingName=seen[-1])
    assert seen == ["a", "b", "c", "pump"]


@pytest.mark.parametrize("token", ["", "x", "AAAA", "e30=", "WzEsMiwzXQ==", "[" * 5000])
def test_token_that_was_not_given_is_an_invalid_request(iot, token):
    assert code_of(iot.list_things, nextToken=token) == "InvalidRequestException"


def test_token_of_another_list_is_an_invalid_request(iot, world):
    iot.create_thing(thingName="a")
    token = iot.list_things(maxResults=1)["nextToken"]
    assert code_of(iot.list_jobs, nextToken=token) == "InvalidRequestException"
    other = {"attributeName": "a", "attributeValue": "b", "nextToken": token}
    assert code_of(iot.list_things, **other) == "InvalidRequestException"
    assert code_of(iot.list_things, maxResults=0) == "InvalidRequestException"
    assert code_of(iot.list_things, maxResults=251) == "InvalidRequestException"
