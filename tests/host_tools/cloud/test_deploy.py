"""`sluice deploy` to many devices: rollouts, aborts, summaries, rehearsals, and what it may do."""

import argparse
import ast
import base64
import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.session import get_session
from cloud_process import Device
from merged import merged
from patience import FUSE_S
from test_provision import calls, good, refused
from typed import sluice

from sluice import signing
from sluice.cli import main
from sluice.commands import job as job_command
from sluice.compile import ROOT
from sluice.errors import SluiceError
from sluice.flash.boards import named as board_named
from sluice.fleet import clients, settings, watch
from sluice.image import make_image
from sluice.image.seal import sealed

ROLE = "arn:aws:iam::123456789012:role/any"
NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)


@pytest.fixture
def image(tmp_path):
    file = tmp_path / "app.bin"
    file.write_bytes(make_image("1.0.0", 9000, modules={}))
    return file


@pytest.fixture
def group(cloud, request):
    """A function: (number of things) → the name of a group of so many new things."""
    iot, word = cloud.client("iot"), request.node.name.split("[")[0].rsplit("_", 1)[-1]

    def make(number: int) -> tuple[str, list[str]]:
        names = [cloud.thing(f"{word}-{n}") for n in range(number)]
        iot.create_thing_group(thingGroupName=word)
        for name in names:
            iot.add_thing_to_thing_group(thingGroupName=word, thingName=name)
        return word, names

    return make


Verdict = tuple[str, str]


def behave(board: Device, *verdicts: Verdict) -> None:
    """Have a board take the next jobs it is told of, and report these: (status, reason)."""
    board.patience_s = FUSE_S  # the command has to start first, on a machine that is busy

    def run() -> None:
        for status, reason in verdicts:
            path = f"jobs/{heard(board)}/update"
            if status != "REJECTED":  # which is said without beginning
                details = {"receive": "1/3", "step": "downloading"}
                board.ask(path, {"status": "IN_PROGRESS", "statusDetails": details})
            board.publish(path, {"status": status, "statusDetails": {"reason": reason}})

    threading.Thread(target=run, daemon=True).start()


def heard(board: Device) -> str:
    """The job that a board is next told of."""
    while True:
        path, body = board.next()
        if path == "jobs/notify-next" and "execution" in body:
            return body["execution"]["jobId"]


def deploy(cloud, image, *more: object) -> subprocess.CompletedProcess:
    return sluice("deploy", image, "--state", cloud.state.root, *more)


def test_deploy_to_a_group_ends_well_when_all_have_succeeded(cloud, device, image, group):
    name, things = group(3)
    for thing in things:
        behave(device(cloud, thing), ("SUCCEEDED", "accepted v2"))
    done = deploy(cloud, image, "--group", name, "--wait", "--rate", 1000, "--timeout", FUSE_S)
    job, *summary = good(done).splitlines()
    assert (job[:8], summary) == ("AFR_OTA-", ["3 SUCCEEDED"])


def test_deploy_says_how_many_failed_and_why(cloud, device, image):
    verdicts = {
        "sorted-0": ("SUCCEEDED", "accepted v2"),
        "sorted-1": ("FAILED", "signature does not fit"),
        "sorted-2": ("FAILED", "signature does not fit"),
        "sorted-3": ("REJECTED", "image too large"),
    }
    words = []
    for thing, verdict in verdicts.items():
        behave(device(cloud, thing), verdict)
        words += ["--thing", thing]
    done = deploy(cloud, image, *words, "--wait", "--timeout", FUSE_S)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == [
        "1 SUCCEEDED",
        "2 FAILED",
        "  signature does not fit: sorted-1, sorted-2",
        "1 REJECTED",
        "  image too large: sorted-3",
    ]
    assert "3 of 4 did not succeed, job COMPLETED" in done.stderr


def test_wait_tells_how_the_job_ended_that_ends_right_after_its_devices(cloud, device, image):
    """It is asked for before them: the last device may end between the two questions."""
    board = device(cloud, "last")
    job = good(deploy(cloud, image, "--thing", "last")).strip()
    found = clients.clients(cloud.state)
    over, list_them = time.monotonic() + FUSE_S, found.iot.get_paginator

    def once_ended(name: str):
        behave(board, ("FAILED", "no room"))
        while found.iot.describe_job(jobId=job)["job"]["status"] != "COMPLETED":
            assert time.monotonic() < over
            time.sleep(0.02)
        return list_them(name)

    found.iot.get_paginator = once_ended
    seen = watch.Watch(found, job, ("last",))
    assert seen.look() and seen.status == "COMPLETED"


def test_deploy_that_is_aborted_says_so_and_counts_whom_it_never_reached(
    cloud, device, image, group
):
    name, things = group(3)
    behave(device(cloud, things[0]), ("FAILED", "no room"))
    words = [word for thing in things for word in ("--thing", thing)]
    abort = ("--abort-percent", 50, "--abort-on", "FAILED", "--rate", 1)
    done = deploy(cloud, image, *words, *abort, "--wait", "--timeout", FUSE_S)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == [
        "1 FAILED",
        f"  no room: {things[0]}",
        "2 not notified",
    ]
    assert "3 of 3 did not succeed, job CANCELED (aborted: 1 of 1 things FAILED)" in done.stderr


def test_deploy_to_a_group_that_is_aborted_says_so(cloud, device, image, group):
    name, things = group(3)
    behave(device(cloud, things[0]), ("FAILED", "no room"))
    abort = ("--abort-percent", 50, "--abort-on", "FAILED", "--rate", 1)
    done = deploy(cloud, image, "--group", name, *abort, "--wait", "--timeout", FUSE_S)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1:] == [
        "1 FAILED",
        f"  no room: {things[0]}",
        "the job is CANCELED; whom it never notified in its groups is not counted",
    ]
    assert "1 of 1 did not succeed, job CANCELED (aborted: 1 of 1 things FAILED)" in done.stderr


def test_deploy_to_an_empty_group_says_that_nobody_is_in_it(cloud, image, group):
    name, _ = group(0)
    done = deploy(cloud, image, "--group", name, "--wait", "--timeout", FUSE_S)
    assert (done.returncode, "no thing is in its groups" in done.stderr) == (1, True), done


def told(text: str) -> list[str]:
    """What --wait says without a terminal: the lines about the job."""
    return [line.partition(": ")[2] for line in text.splitlines()]


@pytest.fixture
def waiting(cloud, device, image):
    """A function: (thing, verdict) → its clients, and its job whose verdict is in the cloud."""

    def begin(name: str, *verdict: Verdict) -> tuple[clients.Clients, str]:
        behave(device(cloud, name), *verdict)
        job = good(deploy(cloud, image, "--thing", name, "--thing", cloud.thing("idler"))).strip()
        found, over = clients.clients(cloud.state), time.monotonic() + FUSE_S
        while time.monotonic() < over:
            about = found.iot.describe_job(jobId=job)["job"]["jobProcessDetails"]
            if about.get("numberOfFailedThings") or about.get("numberOfSucceededThings"):
                return found, job
            time.sleep(0.05)
        raise AssertionError(f"{job} has no verdict")

    return begin


def fail(found: clients.Clients, *errors: BaseException | None) -> None:
    """Have the next polls raise these."""
    left = list(errors)

    def hook(**_) -> None:
        if left and (error := left.pop(0)):
            raise error

    found.iot.meta.events.register("before-call.iot.DescribeJob", hook)


def answer(code: str, status: int) -> ClientError:
    about = {
        "Error": {"Code": code, "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(about, "DescribeJob")


def test_waiting_outlives_polls_that_fail_and_a_summary_is_told_when_time_is_up(waiting, capsys):
    found, job = waiting("outlived", ("FAILED", "no room"))
    troubles = (
        EndpointConnectionError(endpoint_url="http://there"),
        answer("ThrottlingException", 400),
        answer("InternalFailure", 500),
    )
    fail(found, *troubles)
    with pytest.raises(SluiceError, match="IN_PROGRESS, 1 of 2 devices still not done after 2 s"):
        watch.wait(found, job, ("outlived", "idler"), 2)
    printed = capsys.readouterr()
    *again, last = told(printed.err)
    assert [line.partition(": ")[0] for line in again] == 3 * ["will ask again"]
    assert last == "1 FAILED, 1 QUEUED"  # once, however often it was asked
    summary = ["1 FAILED", "  no room: outlived", "1 QUEUED"]
    assert printed.out.splitlines() == summary
    fail(found, None, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        watch.wait(found, job, ("outlived", "idler"), 20)
    assert capsys.readouterr().out.splitlines() == summary
    fail(found, answer("AccessDeniedException", 403))
    with pytest.raises(SluiceError, match="^no$"):
        watch.wait(found, job, ("outlived", "idler"), 20)


def test_waiting_at_a_terminal_says_what_changes_in_whole_lines(cloud, device, image):
    board = device(cloud, "shown")
    ours, its = pty.openpty()
    words = [sys.executable, "-m", "sluice.cli", "deploy", image, "--thing", "shown"]
    words += ["--state", cloud.state.root, "--wait", "--timeout", str(FUSE_S)]
    looks = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=its, env=looks, text=True)
    os.close(its)
    board.patience_s = FUSE_S
    path = f"jobs/{heard(board)}/update"
    details = {"receive": "1/3", "step": "downloading", "form": "1200/5000"}
    board.publish(path, {"status": "IN_PROGRESS", "statusDetails": details})
    seen = ""
    while "1/3 blocks, 1,200 of 5,000 bytes" not in seen:
        assert select.select([ours], [], [], FUSE_S)[0], seen
        seen += os.read(ours, 4096).decode(errors="replace")
    board.publish(path, {"status": "SUCCEEDED", "statusDetails": {"reason": "accepted v2"}})
    assert process.communicate(timeout=FUSE_S)[0].splitlines()[1:] == ["SUCCEEDED accepted v2"]
    os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert "\x1b" not in plain and "\r" not in plain.replace("\r\n", ""), "no line is drawn over"
    assert "shown: IN_PROGRESS, downloading, 1/3 blocks, 1,200 of 5,000 bytes\r\n" in plain


def test_deploy_with_retries_ends_well_when_the_last_one_succeeds(cloud, device, image):
    lost = ("FAILED", "link lost")
    behave(device(cloud, "stubborn"), lost, lost, ("SUCCEEDED", "accepted v2"))
    done = deploy(
        cloud, image, "--thing", "stubborn", "--retries", 2, "--wait", "--timeout", FUSE_S
    )
    assert good(done).splitlines()[1] == "SUCCEEDED accepted v2"


def test_job_of_a_deploy_with_retries_is_that_of_an_update(cloud, device, image):
    """Beyond what CreateOTAUpdate knows, the document is as that would have made it."""
    cloud.thing("like")
    iot = cloud.client("iot")
    documents = []
    for more in ((), ("--retries", 1)):
        line = ("--thing", "like", "--protocol", "http", *more)
        job = good(deploy(cloud, image, *line)).strip()
        ota = json.loads(iot.get_job_document(jobId=job)["document"])["afr_ota"]
        [file] = ota["files"]
        assert base64.b64decode(file.pop("sig-sha256-ecdsa"))
        assert file.pop("update_data_url").startswith("${aws:iot:s3-presigned-url:https://s3.")
        assert iot.describe_stream(streamId=ota.pop("streamname"))["streamInfo"]["files"]
        documents.append(ota)
    assert documents[0] == documents[1]
    retries = iot.describe_job(jobId=job)["job"]["jobExecutionsRetryConfig"]
    assert retries == {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}


def test_deploy_on_a_schedule_waits_in_the_cloud(cloud, image):
    cloud.thing("later")
    line = ("--thing", "later", "--schedule", "+02:00/+05:00", "--at-end", "CANCEL")
    job = good(deploy(cloud, image, *line)).strip()
    about = cloud.client("iot").describe_job(jobId=job)["job"]
    assert (about["status"], about["schedulingConfig"]["endBehavior"]) == ("SCHEDULED", "CANCEL")


def test_deploy_may_be_continuous_and_follows_the_group(cloud, device, image, group):
    name, [first] = group(1)
    good(deploy(cloud, image, "--group", name, "--continuous"))
    board = device(cloud, "newcomer")
    iot = cloud.client("iot")
    iot.add_thing_to_thing_group(thingGroupName=name, thingName="newcomer")
    assert board.next()[0] == "jobs/notify"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "whom for?"),
        (("--group", "nobody"), "unknown thing group"),
        (("--thing", "some", "--rate-after", 3), "--rate-base"),
        (("--thing", "some", "--rate-base", 3), "--rate-after"),
        (("--thing", "some", "--abort-on", "ALL"), "--abort-percent"),
        (("--thing", "some", "--at-end", "CANCEL"), "--schedule"),
        (("--thing", "some", "--schedule", "soon"), "is no time"),
        (("--thing", "some", "--schedule", "2020-01-01T00:00"), "30 minutes"),
        (("--thing", "some", "--rate", 5000), "1000"),
        (("--thing", "some", "--continuous", "--wait"), "no end"),
        (("--thing", "some", "--timeout", 5), "--timeout is for --wait"),
        (("--thing", "some", "--wait", "--timeout", -4), "0 or more"),
        (("--thing", "some", "--endpoint-url", "http://x"), "for --aws"),
        (("--thing", "nobody", "--signer-profile", "p", "--retries", 1), "signs updates only"),
        (("--thing", "nobody", "--signer-profile", "p", "--signer", "p.crt"), "for --key"),
    ],
)
def test_deploy_of_no_sense_is_refused_in_one_line(cloud, image, words, said):
    cloud.thing("some")
    assert said in refused(deploy(cloud, image, *words))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no!", "only 3 bytes"),
        (b'{"operation": "reboot"}' * 9, "the first byte is 0x7b"),
        (merged(board_named("ESP32_GENERIC_OTA")), "it is a whole firmware.bin"),
        (merged(board_named("ESP32_GENERIC_S3")), "it is a whole firmware.bin"),
        (
            b"\xff" * 0x1000 + merged(board_named("ESP32_GENERIC_OTA")),
            "it is a whole firmware.bin",
        ),
        (make_image("1.0.0", modules={})[:-1], "the image is bad: truncated"),
        (make_image("1.0.0", modules={})[:-1] + b"!", "the image is bad: SHA-256 is wrong"),
        (make_image("1.0.0", chip="w800", modules={})[:40], "truncated"),
        (make_image("1.0.0", chip="w800", modules={}, size=4096)[:2000], "truncated"),
    ],
)
def test_deploy_of_what_no_board_takes_is_refused(cloud, tmp_path, capsys, content, said):
    file = tmp_path / "app.bin"
    file.write_bytes(content)
    cloud.thing("picky")
    line = ["deploy", str(file), "--thing", "picky", "--state", str(cloud.state.root)]
    assert main(line) == 1
    printed = capsys.readouterr()
    assert said in printed.err and "app.bin: " in printed.err and not printed.out
    assert main([*line, "--any"]) == 0


@pytest.mark.parametrize("chip", ["esp32s3", "w800"])
def test_deploy_takes_images_of_any_chip_sealed_too_and_files_where_boards_do(
    cloud, image, capsys, chip
):
    key = signing.load_key(cloud.state.signer_key)
    image.write_bytes(sealed(make_image("1.0.0", chip=chip, modules={}), key))
    cloud.thing("picky")
    line = ["deploy", str(image), "--thing", "picky", "--state", str(cloud.state.root)]
    assert main([*line, "--file", f"{image}=/data/x"]) == 0
    assert main([*line, "--file", f"{image}=/main.py"]) == 1
    assert main([*line, "--file", f"{image}=../x"]) == 1
    assert main([*line, "--file", f"{image.parent}/none=/data/x"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "sluice: --file: /main.py is the agent's own (--any sends it all the same)"
    assert said[1].startswith('sluice: --file: "../x" is not the path of a file')
    assert said[2].startswith(f"sluice: cannot read {image.parent}/none: ")
    assert main([*line, "--file", f"{image}=/main.py", "--any"]) == 0


# --- options -------------------------------------------------------------------------------------


def asked(*words: str) -> dict:
    parser = argparse.ArgumentParser()
    settings.arguments(parser)
    return settings.settings(parser.parse_args(words), NOW)


def test_options_become_members_of_createjob():
    assert asked() == {}
    assert asked("--rate", "9") == {"jobExecutionsRolloutConfig": {"maximumPerMinute": 9}}
    growth = asked("--rate-base", "5", "--rate-factor", "1.5", "--rate-succeeded", "10")
    assert growth["jobExecutionsRolloutConfig"]["exponentialRate"] == {
        "baseRatePerMinute": 5,
        "incrementFactor": 1.5,
        "rateIncreaseCriteria": {"numberOfSucceededThings": 10},
    }
    [rule] = asked("--abort-percent", "12.5")["abortConfig"]["criteriaList"]
    assert rule == {
        "failureType": "ALL",
        "action": "CANCEL",
        "thresholdPercentage": 12.5,
        "minNumberOfExecutedThings": 1,
    }
    rules = asked("--abort", "FAILED:12.5:3", "--abort", "TIMED_OUT:50:1", "--abort-percent", "90")
    assert [list(rule.values()) for rule in rules["abortConfig"]["criteriaList"]] == [
        ["FAILED", "CANCEL", 12.5, 3],
        ["TIMED_OUT", "CANCEL", 50, 1],
        ["ALL", "CANCEL", 90, 1],
    ]
    assert asked("--minutes", "30") == {"timeoutConfig": {"inProgressTimeoutInMinutes": 30}}
    [rule] = asked("--minutes", "3", "--retries", "2")["jobExecutionsRetryConfig"]["criteriaList"]
    assert rule == {"failureType": "ALL", "numberOfRetries": 2}


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-02-01T04:05", "2026-02-01 04:05", None),
        ("2026-02-01 04:05", "2026-02-01 04:05", None),
        ("+01:30", "2026-02-01 01:00", None),
        ("+00:31/+24:00", "2026-02-01 00:01", "2026-02-01 23:30"),
        ("/2026-03-01T00:00", None, "2026-03-01 00:00"),
    ],
)
def test_schedule_is_a_time_or_hours_from_now(text, start, end):
    config = asked("--schedule", text)["schedulingConfig"]
    assert (config.get("startTime"), config.get("endTime")) == (start, end)


@pytest.mark.parametrize("words", [("--minutes", "0"), ("--minutes", "10081"), ("--retries", "0")])
def test_number_that_would_be_dropped_is_refused(words):
    with pytest.raises(SluiceError, match=f"^{words[0]} must be 1 to 10"):
        asked(*words)


@pytest.mark.parametrize("text", ["", "FAILED", "FAILED:5", "LOST:5:1", "FAILED:x:1", "ALL:5:1.5"])
def test_criterion_of_no_sense_is_refused(text):
    with pytest.raises(SluiceError, match="WHAT:PERCENT:NUMBER"):
        asked("--abort", text)


def test_number_of_zero_is_for_the_service_to_refuse():
    [rule] = asked("--abort-percent", "5", "--abort-after", "0")["abortConfig"]["criteriaList"]
    assert rule["minNumberOfExecutedThings"] == 0
    growth = asked("--rate-base", "5", "--rate-factor", "0", "--rate-after", "1")
    assert growth["jobExecutionsRolloutConfig"]["exponentialRate"]["incrementFactor"] == 0


@pytest.mark.parametrize("text", ["", "/", "+1", "now", "2026-13-01T00:00", "+01:75"])
def test_schedule_of_no_sense_is_refused(text):
    with pytest.raises(SluiceError):
        asked("--schedule", text)


# --- what is called, and who may -----------------------------------------------------------------


def rehearsal(cloud, image, *more: object) -> list[tuple[str, dict]]:
    aws = ("--aws", "--bucket", "some-bucket", "--role", ROLE)
    key = ("--key", cloud.state.signer_key) if "--signer-profile" not in more else ()
    return calls(good(sluice("deploy", image, "--thing", "some", *aws, *key, *more, "--dry-run")))


def test_rehearsal_is_what_is_called_in_earnest(cloud, image, monkeypatch):
    from sluice.commands import deploy as command

    cloud.thing("some")
    made: list[str] = []

    def listening(*given):
        found = clients.clients(*given)
        for client, name in ((found.iot, "iot"), (found.s3, "s3")):
            client.meta.events.register(
                "before-call", lambda model, name=name, **_: made.append(f"{name}.{model.name}")
            )
        return found

    monkeypatch.setattr(command, "clients", listening)
    parser = argparse.ArgumentParser()
    command.arguments(parser)
    for n, more in enumerate(((), ("--retries", "1"), ("--protocol", "http"))):
        made.clear()
        words = [str(image), "--thing", "some", "--state", str(cloud.state.root), *more]
        words += ["--bucket", f"fresh-{n}"]
        assert command.run(parser.parse_args(words)) == 0
        shown = [name for name, _ in rehearsal(cloud, image, "--new-bucket", *more)]
        assert shown == made


def test_rehearsal_shows_no_image_and_checks_by_the_model(cloud, image):
    words = ("--signer-profile", "mine", "--thing", "other", "--group", "all")
    found = dict(rehearsal(cloud, image, *words))
    assert found["s3.PutObject"]["Body"] == "<9000 bytes>"
    [file] = found["iot.CreateOTAUpdate"]["files"]
    ours = [arn.partition(":YOUR-ACCOUNT:")[2] for arn in found["iot.CreateOTAUpdate"]["targets"]]
    assert ours == ["thing/some", "thing/other", "thinggroup/all"]
    assert file["codeSigning"] == {
        "startSigningJobParameter": {
            "signingProfileName": "mine",
            "destination": {"s3Destination": {"bucket": "some-bucket", "prefix": "signed/"}},
        }
    }
    line = ("deploy", image, "--thing", "some", "--aws", "--bucket", "", "--role", "short")
    key = ("--key", cloud.state.signer_key)
    assert "needs --bucket" in refused(sluice(*line, *key, "--dry-run"))
    line = ("deploy", image, "--thing", "some", "--aws", "--bucket", "some", "--role", "short")
    assert "roleArn" in refused(sluice(*line, *key, "--dry-run"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--retries", 1, "--abort-percent", 101), "at most 100"),
        (("--role", "r" * 2049), "length"),
        (("--new-bucket", "--thing", "x" * 128), None),  # without a region none is told
    ],
)
def test_rehearsal_checks_what_botocore_leaves_to_the_service(
    cloud, image, monkeypatch, tmp_path, capsys, words, said
):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    line = ["deploy", image, "--thing", "some", "--aws", "--bucket", "some", "--role", ROLE]
    line += ["--key", cloud.state.signer_key, *words, "--dry-run"]
    assert main([str(word) for word in line]) == (1 if said else 0)
    printed = capsys.readouterr()
    assert (said or "") in printed.err and (said or "YOUR-REGION") in printed.err + printed.out


def actions(names: set[str]) -> set[str]:
    """IAM's words for calls; those of S3 that IAM calls otherwise are none of ours."""
    return {name.replace(".", ":") for name in names}


def statement(sid: str) -> set[str]:
    policy = json.loads((ROOT / "docs/iam-policy.json").read_text())
    [found] = [one for one in policy["Statement"] if one["Sid"] == sid]
    return {found["Action"]} if isinstance(found["Action"], str) else set(found["Action"])


def test_policy_for_the_user_has_exactly_what_is_called(cloud, image):
    called: set[str] = set()
    for more in (("--new-bucket",), ("--retries", "1"), ("--group", "all")):
        called |= {name for name, _ in rehearsal(cloud, image, *more)}
    waiting = {"iot.DescribeJob", "iot.ListJobExecutionsForJob", "iot.DescribeJobExecution"}
    wanted = actions(called | waiting | {"iot.DeleteStream"})  # when the job is refused
    assert statement("Deploy") == {name for name in wanted if name.startswith("iot:")}
    assert statement("UploadImages") == {name for name in wanted if name.startswith("s3:")}
    provisioned: set[str] = set()
    for action, more in (
        ("create", ("--group", "all")),
        ("create", ("--aws-keys",)),
        ("delete", ()),
    ):
        line = ("thing", action, "ghost", "--aws", *more, "--dry-run")
        provisioned |= {name for name, _ in calls(good(sluice(*line)))}
    provisioned.add("iot.DeleteThingGroup")  # when a later call fails
    assert statement("Provision") | statement("ProvisionWithoutResource") == actions(provisioned)


SOURCES = [*(ROOT / "host_tools").glob("fleet/*.py"), *(ROOT / "host_tools").glob("commands/*.py")]


def named(service: str, model: str = "") -> set[str]:
    """IAM's words for the calls of a service whose names stand in the source, wherever."""
    names = get_session().get_service_model(model or service).operation_names
    operations = {xform_name(name): f"{service}:{name}" for name in names}
    nodes = [node for file in SOURCES for node in ast.walk(ast.parse(file.read_text()))]
    texts = {node.value for node in nodes if isinstance(node, ast.Constant)}
    attributes = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and ast.unparse(node.value).endswith((model or service).rpartition("-")[2])
    }
    return {operations[name] for name in (texts | attributes) & operations.keys()}


def test_policy_for_the_user_has_every_call_that_the_source_names():
    policy = json.loads((ROOT / "docs/iam-policy.json").read_text())
    allowed = set().union(*(statement(one["Sid"]) for one in policy["Statement"]))
    called = named("iot") | named("iot", "iot-data")
    assert called == {name for name in allowed if name.startswith("iot:")}
    assert named("s3") == {name for name in allowed if name.startswith("s3:")}


def test_policy_for_the_user_is_wide_only_where_aws_knows_no_resource():
    policy = json.loads((ROOT / "docs/iam-policy.json").read_text())
    wide = {one["Sid"] for one in policy["Statement"] if one["Resource"] == "*"}
    assert wide == {
        "ProvisionWithoutResource",
        "FleetWithoutResource",
        "ListJobs",
        "SignByAWSSigner",
    }


def test_jobs_of_aws_are_listed_shown_and_canceled_with_the_rights_of_the_policy(
    cloud, device, image, monkeypatch, capsys
):
    """By endpoint_url; on AWS these would be the calls."""
    board = device(cloud, "called-back")
    job = good(deploy(cloud, image, "--thing", "called-back")).strip()
    about = cloud.state.running()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", about["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", about["secret_key"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    made: set[str] = set()

    def listening(*given):
        found = clients.clients(*given)
        found.iot.meta.events.register("before-call", lambda model, **_: made.add(model.name))
        return found

    monkeypatch.setattr(job_command, "clients", listening)
    there = ["--aws", "--endpoint-url", cloud.client("iot").meta.endpoint_url]
    heard(board)
    board.ask("jobs/start-next")
    for words in (["list"], ["cancel", job], ["cancel", job, "--force"], ["show", job]):
        assert main(["job", *words, *there]) == 0
    printed = capsys.readouterr().out
    assert (
        f"{job} " in printed
        and f"job          {job}\noutcome      CANCELED: 1 CANCELED\n" in printed
    )
    assert {f"iot:{name}" for name in made} == statement("Jobs") | statement("ListJobs")
    assert main(["job", "list", "--state", str(cloud.state.root), *there[1:]]) == 1


def test_calls_of_waiting_are_those_that_the_policy_allows(cloud, device, image, monkeypatch):
    behave(device(cloud, "watched"), ("SUCCEEDED", "accepted v2"))
    job = good(deploy(cloud, image, "--thing", "watched")).strip()
    found, made = clients.clients(cloud.state), set()
    found.iot.meta.events.register("before-call", lambda model, **_: made.add(model.name))
    assert watch.wait(found, job, ("watched",), 40) == 0
    allowed = {name.partition(":")[2] for name in statement("Deploy")}
    assert made and made <= allowed


def test_job_for_a_group_takes_the_options_of_a_rollout(cloud, tmp_path, group):
    name, _ = group(1)
    document = tmp_path / "job.json"
    document.write_text('{"operation": "echo", "text": "hello"}')
    line = ("job", "create", "--group", name, "--document", document, "--state", cloud.state.root)
    job = good(sluice(*line, "--rate", 7, "--abort-percent", 20, "--schedule", "+02:00")).strip()
    about = cloud.client("iot").describe_job(jobId=job)["job"]
    assert about["targets"] == [f"arn:aws:iot:us-east-1:123456789012:thinggroup/{name}"]
    assert about["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 7}
    assert (about["status"], len(about["abortConfig"]["criteriaList"])) == ("SCHEDULED", 1)
    line = ("job", "create", "--document", document, "--state", cloud.state.root)
    assert "whom for?" in refused(sluice(*line))


def test_job_is_created_at_aws_by_the_calls_that_the_policy_allows(
    cloud, tmp_path, monkeypatch, capsys
):
    """By endpoint_url; on AWS these would be the calls."""
    cloud.thing("ordered")
    about = cloud.state.running()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", about["access_key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", about["secret_key"])
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    made: set[str] = set()

    def listening(*given):
        found = clients.clients(*given)
        found.iot.meta.events.register("before-call", lambda model, **_: made.add(model.name))
        return found

    monkeypatch.setattr(job_command, "clients", listening)
    document = tmp_path / "job.json"
    document.write_text('{"operation": "echo", "text": "hello"}')
    line = ["job", "create", "--thing", "ordered", "--document", str(document), "--id", "hello-1"]
    there = ["--aws", "--endpoint-url", cloud.client("iot").meta.endpoint_url]
    assert main([*line, *there]) == 0
    assert capsys.readouterr().out == "hello-1\n"
    about = cloud.client("iot").describe_job(jobId="hello-1")["job"]
    assert about["targets"] == ["arn:aws:iot:us-east-1:123456789012:thing/ordered"]
    assert {f"iot:{name}" for name in made} <= statement("Deploy")
    assert main([*line, "--state", str(cloud.state.root), *there[1:]]) == 1
    assert "--endpoint-url is for --aws" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    assert main(line) == 1  # neither cloud
    assert "say where: --state DIR or --aws" in capsys.readouterr().err
