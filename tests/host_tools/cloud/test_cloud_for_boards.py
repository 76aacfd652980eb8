"""Files for boards on the network: what this cloud presigned for them, and nothing else."""

import http.client
import json
import resource
import subprocess
import sys
import time
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from patience import FUSE_S

from sluice.cloud.http.sigv4 import Key
from sluice.cloud.names import arn
from sluice.cloud.s3.presigned import presign

NAME_ONE = "name an address of this machine on their network"
USUAL = 1024  # files that a process may have open
DIAL = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
where = "127.0.0.2", int(sys.argv[1])
dialled = [socket.create_connection(where) for _ in range(int(sys.argv[2]))]
print("dialled", flush=True)
sys.stdin.read()
"""
IMAGE = bytes(range(256)) * 9
HOLDER = "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/images/app.bin}"
ROLE = "arn:aws:iam::123456789012:role/any"


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """One request, nothing followed: (status, body)."""
    parts = urlsplit(url)
    line = http.client.HTTPConnection(parts.netloc, timeout=FUSE_S)
    line.request(method, f"{parts.path}?{parts.query}", headers=headers)
    answer = line.getresponse()
    body = answer.read()
    line.close()
    return answer.status, body


@pytest.fixture(scope="module")
def handed(listening_cloud) -> str:
    """The URL that a thing of a cloud with --listen is handed with its job."""
    cloud = listening_cloud
    cloud.thing("fetcher")
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="images")
    s3.put_object(Bucket="images", Key="app.bin", Body=IMAGE)
    cloud.client("iot").create_job(
        jobId="fetch",
        targets=[arn("thing", "fetcher")],
        document=json.dumps({"operation": "x", "url": HOLDER}),
        presignedUrlConfig={"roleArn": ROLE, "expiresInSec": 600},
    )
    words = {"thingName": "fetcher", "jobId": "$next", "includeJobDocument": True}
    execution = cloud.client("iot-jobs-data").describe_job_execution(**words)["execution"]
    return json.loads(execution["jobDocument"])["url"]


def test_url_of_a_job_leads_to_the_address_that_boards_reach(handed):
    assert urlsplit(handed).hostname == "127.0.0.2"
    assert ask(handed) == (200, IMAGE)
    assert ask(handed, Range="bytes=256-511") == (206, IMAGE[256:512])


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD", "PATCH"])
def test_nothing_but_get_is_answered_there(handed, method):
    assert ask(handed, method)[0] == 403
    assert ask(handed) == (200, IMAGE)


def test_url_that_was_changed_or_is_not_signed_is_refused_there(handed):
    bare = handed.partition("?")[0]
    signature = "X-Amz-Signature="
    changed = handed[:-1] + ("1" if handed.endswith("0") else "0")
    for url in (
        bare,
        handed.partition("&" + signature)[0],
        changed,
        handed.replace("app.bin", "another"),
        handed.replace("images/app.bin", "images"),
        handed.replace("images/app.bin", ""),
        handed.replace("X-Amz-Expires=600", "X-Amz-Expires=601"),
        handed + "&Expires=9999999999",
        bare + "?Signature=x&Expires=9999999999&AWSAccessKeyId=any",
    ):
        assert ask(url)[0] == 403, url


def test_url_signed_with_another_key_is_refused_there(handed, listening_cloud):
    endpoint = f"http://{urlsplit(handed).netloc}"
    about = listening_cloud.state.running()
    own = Key(about["access_key"], about["secret_key"])
    for key, status in (
        (own, 200),
        (Key(own.name, "another"), 403),
        (Key("AKIAIOSFODNN7EXAMPLE", own.secret), 403),
    ):
        assert ask(presign(endpoint, "/images/app.bin", 60, time.time(), key))[0] == status


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [("s3", "list_buckets", "AccessDenied"), ("iot", "list_things", "501")],
)
def test_calls_of_aws_are_not_answered_there(handed, listening_cloud, service, call, code):
    about = listening_cloud.state.running()
    client = boto3.client(
        service,
        endpoint_url=f"http://{urlsplit(handed).netloc}",
        region_name="us-east-1",
        aws_access_key_id=about["access_key"],
        aws_secret_access_key=about["secret_key"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError) as caught:
        getattr(client, call)()
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("192.0.2.1", "192.0.2.1 is no address of this machine to listen at"),
        ("0.0.0.0", f"boards cannot ask 0.0.0.0: {NAME_ONE}"),
        ("127.0.0.1", f"boards cannot ask 127.0.0.1: {NAME_ONE}"),
    ],
)
def test_address_that_boards_cannot_ask_is_said_in_one_line(command, tmp_path, address, told):
    words = ("--port=0", "--http-port=0", "--listen", address, "--state", tmp_path / "state")
    done = command("cloud", "run", *words)
    assert (done.returncode, done.stderr) == (1, f"sluice: {told}\n")


@pytest.fixture
def usual_files():
    """As many open files as a process usually may have; who starts now inherits it."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(USUAL, most[1]), most[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, most)


def test_connections_from_the_network_leave_room_for_this_machine(usual_files, own_cloud, device):
    own_cloud.start("--port=0", "--http-port=0", "--listen=127.0.0.2")
    port = str(own_cloud.state.running()["mqtt_port"])
    words = [sys.executable, "-c", DIAL, port, str(USUAL + 50)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as dialling:
        assert dialling.stdout.readline() == b"dialled\n"
        board = device(own_cloud, "near")
        assert board.ask("jobs/get")[0] == "jobs/get/accepted"
        dialling.stdin.close()
