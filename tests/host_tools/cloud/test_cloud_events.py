"""Events over the real broker: who may subscribe to them hears them, and nobody else."""

import json

import pytest
from test_cloud_policies import NAME, row
from test_cloud_rights import OWN, Lab, silent

from sluice.cloud.names import arn

EVENTS = "$aws/events/#"
TOLD = row("iot:Subscribe", "$aws/events/*"), row("iot:Receive", "$aws/events/*")


@pytest.fixture
def lab(own_cloud, device):
    own_cloud.start()
    made = Lab(own_cloud, device)
    kinds = ("JOB", "JOB_EXECUTION")
    enabled = {kind: {"Enabled": True} for kind in kinds}
    made.iot.update_event_configurations(eventConfigurations=enabled)
    return made


def heard(board, count: int) -> dict[str, dict]:
    """The next events, by what follows `$aws/events/`; that it has come itself, it may hear."""
    found: dict[str, dict] = {}
    while len(found) < count:
        message = board.message()
        topic = message.topic.removeprefix("$aws/events/")
        if topic != f"presence/connected/{board.thing}":
            found[topic] = json.loads(message.payload)
    return found


def test_client_whose_policy_allows_it_hears_of_jobs_and_of_who_is_there(lab):
    lab.thing("ear", OWN, *TOLD)
    lab.thing("pump", OWN, row(["iot:Publish"], f"$aws/things/{NAME}/*"))
    ear = lab.board("ear")
    assert not ear.subscribe(EVENTS)[0].is_failure
    lab.iot.create_job(jobId="one", targets=[arn("thing", "pump")], document="{}")
    pump = lab.board("pump")
    assert heard(ear, 1)["presence/connected/pump"]["clientId"] == "pump"
    pump.publish("jobs/one/update", {"status": "SUCCEEDED"})
    told = heard(ear, 2)
    assert told["jobExecution/one/succeeded"]["thingArn"] == arn("thing", "pump")
    assert told["job/one/completed"]["jobProcessDetails"]["numberOfSucceededThings"] == 1
    pump.close()
    reason = heard(ear, 1)["presence/disconnected/pump"]["disconnectReason"]
    assert reason == "CLIENT_INITIATED_DISCONNECT"


def test_client_whose_policy_does_not_allow_it_hears_nothing_and_can_tell_nothing(lab):
    lab.thing("ear", OWN, *TOLD)
    lab.thing("pump", OWN, row(["iot:Publish"], f"$aws/things/{NAME}/*"))
    ear = lab.board("ear")
    ear.subscribe(EVENTS)
    pump = lab.board("pump")
    assert pump.subscribe(EVENTS)[0].is_failure
    pump.client.publish("$aws/events/job/forged/completed", b"{}", 1)
    lab.iot.create_job(jobId="one", targets=[arn("thing", "pump")], document="{}")
    lab.iot.cancel_job(jobId="one")
    assert set(heard(ear, 4)) == {
        "presence/connected/pump",
        "job/one/cancellation_in_progress",
        "jobExecution/one/canceled",
        "job/one/canceled",
    }
    assert silent(pump) and silent(ear)
