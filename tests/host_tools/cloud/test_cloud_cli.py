"""AWS's own command line against the local cloud: the life of what it can make.

Each command costs most of a second, so a test takes few.
"""

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cryptography import x509
from patience import FUSE_S

from sluice.cloud.names import arn

DATA = bytes(n % 251 for n in range(5000))


class CLI:
    """`aws …` with the variables that `sluice cloud env` prints, and no others of AWS's."""

    def __init__(self, variables: dict[str, str], folder: Path) -> None:
        here = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        self._config = folder / "config"
        self._config.write_text("")
        files = {
            "AWS_CONFIG_FILE": str(self._config),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        }
        self.environment = here | variables | files

    def configure(self, text: str) -> None:
        """Settings, as in ~/.aws/config."""
        self._config.write_text(f"[default]\n{text}\n")

    def run(self, *words: object) -> subprocess.CompletedProcess:
        """A command, and what came of it."""
        line = [sys.executable, "-m", "awscli", *map(str, words)]
        return subprocess.run(
            line, env=self.environment, capture_output=True, text=True, timeout=FUSE_S
        )

    def __call__(self, *words: object) -> str:
        """What a command prints that succeeds."""
        done = self.run(*words)
        assert done.returncode == 0, done
        return done.stdout

    def json(self, *words: object) -> dict:
        """The same, where it is JSON."""
        return json.loads(self(*words, "--output", "json"))


@pytest.fixture
def aws(cloud, command, tmp_path):
    printed = command("cloud", "env", "--state", cloud.state.root).stdout
    return CLI(dict(re.findall(r"^export (\w+)=(.*)$", printed, re.MULTILINE)), tmp_path)


def fetched(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=FUSE_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_files_are_brought_copied_moved_listed_and_removed(aws, tmp_path):
    file, back = tmp_path / "app.bin", tmp_path / "back.bin"
    file.write_bytes(DATA)
    aws("s3", "mb", "s3://typed")
    aws("s3", "cp", file, "s3://typed/fw/app.bin")
    aws("s3", "cp", "s3://typed/fw/app.bin", "s3://typed/fw/two.bin")
    aws("s3", "mv", "s3://typed/fw/two.bin", "s3://typed/old/three.bin")
    assert aws("s3", "ls", "s3://typed/").split() == ["PRE", "fw/", "PRE", "old/"]
    assert aws("s3", "ls", "s3://typed/fw/").split()[2:] == ["5000", "app.bin"]
    aws("s3", "cp", "s3://typed/old/three.bin", back)
    assert back.read_bytes() == DATA
    aws("s3", "rb", "s3://typed", "--force")
    assert "NoSuchBucket" in aws.run("s3", "ls", "s3://typed").stderr


def test_versions_are_kept_listed_and_deleted(aws, tmp_path):
    aws("s3", "mb", "s3://kept")
    enabled = ("--versioning-configuration", "Status=Enabled")
    aws("s3api", "put-bucket-versioning", "--bucket", "kept", *enabled)
    where = ("--bucket", "kept", "--key", "app.bin")
    versions = []
    for body in (b"first", b"second"):
        (tmp_path / "body").write_bytes(body)
        put = aws.json("s3api", "put-object", *where, "--body", tmp_path / "body")
        versions.append(put["VersionId"])
    deleted = aws.json("s3api", "delete-objects", "--bucket", "kept",
                       "--delete", "Objects=[{Key=app.bin}]")["Deleted"]  # fmt: skip
    assert deleted[0]["DeleteMarker"] is True
    listed = aws.json("s3api", "list-object-versions", "--bucket", "kept")
    assert [row["VersionId"] for row in listed["Versions"]] == versions[::-1]
    assert [row["IsLatest"] for row in listed["DeleteMarkers"]] == [True]
    part = tmp_path / "part"
    old = ("--version-id", versions[0], "--range", "bytes=0-2")
    assert aws.json("s3api", "get-object", *where, *old, part)["ContentRange"] == "bytes 0-2/5"
    assert part.read_bytes() == b"fir"


@pytest.mark.parametrize("version", [2, 4])  # of the signature; 2 is the default of us-east-1
def test_presigned_address_is_good_until_it_is_changed(aws, cloud, version):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="handed")
    s3.put_object(Bucket="handed", Key="app.bin", Body=DATA)
    if version == 4:
        aws.configure("s3 =\n  signature_version = s3v4")
    url = aws("s3", "presign", "s3://handed/app.bin", "--expires-in", 600).strip()
    assert ("X-Amz-Signature" in url) == (version == 4)
    assert fetched(url) == (200, DATA)
    for other in (url.replace("app.bin", "other"), re.sub("(?<=xpires=)", "9", url)):
        status, body = fetched(other)
        assert status in (400, 403) and DATA not in body


def test_thing_gets_a_certificate_and_a_job(aws, cloud):
    thing = ("--thing-name", "typed-pump")
    assert aws.json("iot", "create-thing", *thing)["thingArn"] == arn("thing", "typed-pump")
    made = aws.json("iot", "create-keys-and-certificate", "--set-as-active")
    assert x509.load_pem_x509_certificate(made["certificatePem"].encode())
    principal = ("--principal", made["certificateArn"])
    aws("iot", "attach-thing-principal", *thing, *principal)
    document = ("--document", json.dumps({"operation": "echo"}))
    job = ("--job-id", "typed")
    target = ("--targets", arn("thing", "typed-pump"))
    aws("iot", "create-job", *job, *target, *document)
    pending = aws.json("iot-jobs-data", "get-pending-job-executions", *thing)
    assert [row["jobId"] for row in pending["queuedJobs"]] == ["typed"]
    aws("iot", "cancel-job", *job)
    execution = aws.json("iot", "describe-job-execution", *job, *thing)["execution"]
    assert execution["status"] == "CANCELED"
    which = ("--certificate-id", made["certificateId"])
    aws("iot", "update-certificate", *which, "--new-status", "INACTIVE")
    refused = aws.run("iot", "delete-certificate", *which).stderr
    assert "(DeleteConflictException)" in refused
    cloud.client("iot").detach_thing_principal(thingName=thing[1], principal=principal[1])
    aws("iot", "delete-certificate", *which)


def test_group_gets_a_rollout_whose_failure_is_retried(aws):
    thing, group, job = (
        ("--thing-name", "typed-tried"),
        ("--thing-group-name", "typed-few"),
        ("--job-id", "typed-r"),
    )
    above = aws.json("iot", "create-thing-group", *group, "--tags", "Key=site,Value=north")
    aws("iot", "create-thing", *thing)
    aws("iot", "add-thing-to-thing-group", *group, *thing)
    retries = "criteriaList=[{failureType=FAILED,numberOfRetries=1}]"
    aws(
        *("iot", "create-job", *job, "--targets", above["thingGroupArn"], "--document", "{}"),
        *("--job-executions-rollout-config", "maximumPerMinute=10"),
        *("--job-executions-retry-config", retries),
        *("--abort-config", "criteriaList=[{failureType=REJECTED,action=CANCEL,"
                            "thresholdPercentage=50,minNumberOfExecutedThings=1}]"),
    )  # fmt: skip
    for attempt, status in ((1, "FAILED"), (2, "SUCCEEDED")):
        begun = aws.json("iot-jobs-data", "start-next-pending-job-execution", *thing)["execution"]
        assert (begun["jobId"], begun["executionNumber"]) == ("typed-r", attempt)
        aws("iot-jobs-data", "update-job-execution", *job, *thing, "--status", status)
    listed = aws.json("iot", "list-job-executions-for-job", *job)["executionSummaries"]
    shown = [row["jobExecutionSummary"] for row in listed]
    assert sorted((row["retryAttempt"], row["status"]) for row in shown) == [
        (0, "FAILED"),
        (1, "SUCCEEDED"),
    ]
    found = aws.json("iot", "describe-job", *job)["job"]
    assert (found["status"], found["jobProcessDetails"]["numberOfSucceededThings"]) == (
        "COMPLETED",
        1,
    )
    aws("iot", "delete-job", *job)
    aws("iot", "delete-thing-group", *group)
    aws("iot", "delete-thing", *thing)


def test_shadow_is_written_and_read(aws, cloud, tmp_path):
    thing, out = ("--thing-name", "typed-shadow"), tmp_path / "shadow.json"
    cloud.client("iot").create_thing(thingName="typed-shadow")
    state = json.dumps({"state": {"desired": {"light": 1}, "reported": {"light": 0}}})
    aws("iot-data", "update-thing-shadow", *thing, "--payload", state, out)
    aws("iot-data", "get-thing-shadow", *thing, out)
    assert json.loads(out.read_text())["state"]["delta"] == {"light": 1}


def test_without_the_key_nothing_is_answered(aws):
    aws.environment["AWS_SECRET_ACCESS_KEY"] = "another"
    assert "(InvalidSignatureException)" in aws.run("iot", "list-things").stderr
    assert "(SignatureDoesNotMatch)" in aws.run("s3", "ls").stderr
