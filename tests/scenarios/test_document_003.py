"""Document 003: AWS IoT Jobs as it describes them, with the real broker.

The board uses start-next, DescribeJobExecution of `$next` and UpdateJobExecution; the rest of the
API, with every field, is spoken by a client of another kind, on a thing of its own. The job that
the document shows, `customJob`, is done by an operation of the user's own.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from spy import Spy
from stage import soon

from sluice.commands import deploy
from sluice.device import provision

VECTORS = Path(__file__).parents[1] / "vectors/003_jobs.json"
SAID = {message["name"]: message for message in json.loads(VECTORS.read_text())["messages"]}
CUSTOM = json.loads(SAID["custom"]["payload"])
OWN = """
from sluice.errors import Refuse
from sluice.log import Log

log = Log("custom")

def check(job):
    if "otherInfo" not in job.order:
        raise Refuse("otherInfo is missing")

async def run(job, device):
    log.i("does", job.order["otherInfo"])
    device.link.publish("shop/done", job.id)
    return "did " + job.order["otherInfo"]
"""


APPLICATION = """
import sys

sys.path.append("/home/ec2-user/JobSampleTesting")
try:
    import install
except ImportError:
    print("nothing to start")
"""


class Client(Spy):
    """Asks, and hears the answer with its own token."""

    def _subscribe(self, client, userdata, flags, reason, properties) -> None:
        client.subscribe(self._prefix + "jobs/#", 1)

    def ask(self, path: str, **request: Any) -> tuple[str, dict[str, Any]]:
        """(accepted or rejected, the answer) to a request below the thing's `jobs`."""
        token = f"token-{len(self.heard)}"
        self.say(f"jobs/{path}", request | {"clientToken": token})
        answers = ("/accepted", "/rejected")
        topic, body = soon(
            lambda: [
                (topic, body)
                for topic, body in list(self.heard)
                if topic.endswith(answers) and body.get("clientToken") == token
            ]
        )[0]
        assert topic.rsplit("/", 1)[0] == f"jobs/{path}"
        return topic.rsplit("/", 1)[1], body


@pytest.fixture
def client(cloud, stage):
    """(scene, client) of a thing whose board stays off."""
    scene = stage(cloud)
    made = Client(scene)
    yield scene, made
    made.close()


# --- the API ------------------------------------------------------------------------------------


def test_pending_executions_are_listed_running_and_queued(client):
    scene, ears = client
    first, second = scene.job(CUSTOM), scene.job(CUSTOM)
    answer, body = ears.ask("get")
    assert answer == "accepted" and body["inProgressJobs"] == []
    assert [row["jobId"] for row in body["queuedJobs"]] == [first, second]
    assert (
        body["queuedJobs"][0].keys()
        == json.loads(SAID["pending"]["payload"])["queuedJobs"][0].keys()
    )
    ears.ask("start-next")
    answer, body = ears.ask("get")
    assert [row["jobId"] for row in body["inProgressJobs"]] == [first]
    assert [row["jobId"] for row in body["queuedJobs"]] == [second]


def test_execution_is_described_with_and_without_its_document_and_by_number(client):
    scene, ears = client
    job = scene.job(CUSTOM)
    for where in ("$next", job):
        answer, body = ears.ask(f"{where}/get")
        assert (answer, body["execution"]["jobDocument"]) == ("accepted", CUSTOM)
        answer, body = ears.ask(f"{where}/get", includeJobDocument=False)
        assert answer == "accepted" and "jobDocument" not in body["execution"]
    answer, body = ears.ask(f"{job}/get", executionNumber=1)
    assert body["execution"]["executionNumber"] == 1
    answer, body = ears.ask(f"{job}/get", executionNumber=2)
    assert (answer, body["code"]) == ("rejected", "ResourceNotFound")


def test_start_next_takes_details_and_a_limit_for_the_step(client):
    scene, ears = client
    job = scene.job(CUSTOM)
    details = {"string": "job-execution-state"}
    answer, body = ears.ask("start-next", statusDetails=details, stepTimeoutInMinutes=10)
    execution = body["execution"]
    assert (answer, execution["jobId"], execution["status"]) == ("accepted", job, "IN_PROGRESS")
    assert execution["statusDetails"] == details
    assert 590 <= execution["approximateSecondsBeforeTimedOut"] <= 599
    assert execution["jobDocument"] == CUSTOM


def test_update_takes_every_field(client):
    scene, ears = client
    job = scene.job(CUSTOM)
    ears.ask("start-next")
    given = {
        "status": "IN_PROGRESS",
        "statusDetails": {"string": "string"},
        "executionNumber": 1,
        "includeJobExecutionState": True,
        "includeJobDocument": True,
        "stepTimeoutInMinutes": 5,
    }
    answer, body = ears.ask(f"{job}/update", **given, expectedVersion="2")
    assert answer == "accepted"
    assert body["executionState"] == {
        "status": "IN_PROGRESS",
        "statusDetails": {"string": "string"},
        "versionNumber": 3,
    }
    assert body["jobDocument"] == CUSTOM
    answer, body = ears.ask(f"{job}/update", **given, expectedVersion=2)
    assert (answer, body["code"]) == ("rejected", "VersionMismatch")
    answer, body = ears.ask(f"{job}/update", status="SUCCEEDED")
    assert answer == "accepted"
    answer, body = ears.ask("$next/get")
    assert answer == "accepted" and "execution" not in body


# --- the board ----------------------------------------------------------------------------------


def test_custom_job_is_done_by_an_operation_of_the_users_own(cloud, stage):
    scene = stage(cloud)
    ears = Client(scene)
    scene.equip("customJob", OWN)
    board = scene.power_on()
    job = scene.job(CUSTOM)
    verdict = scene.verdict(job)
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "did someValue"), scene.tail
    board.wait_for("custom does someValue")

    rest = [body for topic, body in ears.heard if topic == f"jobs/{job}/update/accepted"]
    assert len(rest) == 1
    bad = scene.verdict(scene.job({"operation": "customJob"}))
    assert (bad.status, bad.reason) == ("REJECTED", "otherInfo is missing")
    ears.close()


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        ({"operation": "echo", "text": "hello"}, "SUCCEEDED", "hello"),
        ({"operation": "echo", "text": 5}, "REJECTED", "job document lacks or misstates text"),
        (CUSTOM, "REJECTED", "unknown operation customJob"),
        ({"operation": "../main"}, "REJECTED", "not the name of an operation"),
        ({"operation": ["echo"]}, "REJECTED", "job document lacks or misstates operation"),
    ],
)
def test_job_of_an_operation_ends_in_its_verdict(board, document, status, reason):
    verdict = board.verdict(board.job(document))
    assert (verdict.status, verdict.reason) == (status, reason)


def test_install_job_of_the_document_puts_its_file_in_place_and_restarts(cloud, stage):
    """What starts then is app.py, which has the file to import."""
    scene = stage(cloud, allow_unsigned=True)  # the document has no room for a signature
    scene.board.make()
    scene.board.write_file("/app.py", APPLICATION.encode())
    board = scene.power_on()
    board.wait_for("^nothing to start$")
    content = b"print('install.py starts')\n"
    filled = SAID["install"]["payload"]
    place = deploy.upload(cloud.calls, scene.file(content), deploy.BUCKET)
    words = {"<bucket-Name>/<folder-name>": place["bucket"], "<key-name>": place["key"]}
    for blank, word in ({"<region>": cloud.state.running()["region"]} | words).items():
        filled = filled.replace(blank, word)
    verdict = scene.verdict(scene.job(filled))
    assert (verdict.status, "restarted" in verdict.reason) == ("SUCCEEDED", True), scene.tail
    board.wait_for("^install.py starts$")
    place = "/home/ec2-user/JobSampleTesting/install.py"
    with provision.mounted(board.chip, board.table) as files, files.open(place, "rb") as file:
        assert file.read() == content


def template(name: str, handler: str, *args: str) -> dict[str, Any]:
    """A job document as AWS's managed templates make them."""
    given: dict[str, Any] = {"handler": handler, "path": ""}
    if args:
        given["args"] = list(args)
    action = {"name": name, "type": "runHandler", "input": given, "runAsUser": ""}
    return {"version": "1.0", "steps": [{"action": action}]}


@pytest.mark.parametrize(
    ("name", "handler"),
    [
        ("Install-Application", "install-packages.sh"),
        ("Remove-Application", "remove-packages.sh"),
        ("Start-Application", "start-services.sh"),
        ("Stop-Application", "stop-services.sh"),
        ("Restart-Application", "restart-services.sh"),
    ],
)
def test_managed_template_that_makes_no_sense_on_a_board_is_refused_by_name(board, name, handler):
    verdict = board.verdict(board.job(template(name, handler, "x")))
    assert (verdict.status, verdict.reason) == ("REJECTED", f"action not supported {name}")


def test_managed_template_of_two_steps_is_refused(board):
    two = template("Reboot", "reboot.sh")
    two["steps"] *= 2
    verdict = board.verdict(board.job(two))
    assert (verdict.status, verdict.reason) == ("REJECTED", "more than one step")


def test_managed_template_reboot_reboots_once(board):
    resets = board.board.lines.count("reset: machine.reset")
    verdict = board.verdict(board.job(template("Reboot", "reboot.sh")))
    assert (verdict.status, verdict.reason) == ("SUCCEEDED", "rebooted")
    assert board.board.lines.count("reset: machine.reset") == resets + 1


@pytest.fixture(scope="module")
def board(cloud, tmp_path_factory, release):
    """A board that is on, for jobs that leave it as it was."""
    scene = cloud.stage(tmp_path_factory.mktemp("board"))
    scene.power_on()
    yield scene
    scene.board.stop()
    scene.board.flash.release()
