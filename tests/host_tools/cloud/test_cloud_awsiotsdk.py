"""AWS's own device SDK lives on the local cloud: connects, gets, starts, updates, describes."""

import json
import time

import awsiot
import pytest
from awscrt import mqtt_request_response
from awscrt.mqtt import QoS
from awsiot import iotjobs

from host_tools.cloud.names import arn

WAIT_S = 20


@pytest.fixture
def client(connection):
    """The SDK's jobs client of requests and responses, and the thing's name."""
    made, name = connection
    options = mqtt_request_response.ClientOptions(
        max_request_response_subscriptions=8,
        max_streaming_subscriptions=2,
        operation_timeout_in_seconds=WAIT_S,
    )
    return iotjobs.IotJobsClientV2(made, options), name


def create(cloud, thing: str, job: str) -> None:
    document = json.dumps({"operation": "echo", "for": thing})
    cloud.client("iot").create_job(jobId=job, targets=[arn("thing", thing)], document=document)


def test_request_response_client_walks_a_job_to_its_end(cloud, client):
    jobs, thing = client
    create(cloud, thing, "sdk-walk")

    request = iotjobs.GetPendingJobExecutionsRequest(thing_name=thing)
    pending = jobs.get_pending_job_executions(request).result(WAIT_S)
    assert [row.job_id for row in pending.queued_jobs] == ["sdk-walk"]
    assert pending.in_progress_jobs == []

    request = iotjobs.StartNextPendingJobExecutionRequest(
        thing_name=thing, step_timeout_in_minutes=10, status_details={"step": "started"}
    )
    started = jobs.start_next_pending_job_execution(request).result(WAIT_S).execution
    assert (started.job_id, started.status, started.version_number) == (
        "sdk-walk",
        "IN_PROGRESS",
        2,
    )
    assert started.job_document == {"operation": "echo", "for": thing}

    request = iotjobs.UpdateJobExecutionRequest(
        thing_name=thing,
        job_id="sdk-walk",
        status="IN_PROGRESS",
        expected_version=2,
        status_details={"receive": "1/2"},
        include_job_execution_state=True,
    )
    updated = jobs.update_job_execution(request).result(WAIT_S)
    assert updated.execution_state.version_number == 3
    assert updated.execution_state.status_details == {"receive": "1/2"}

    request = iotjobs.DescribeJobExecutionRequest(
        thing_name=thing, job_id="sdk-walk", include_job_document=False
    )
    described = jobs.describe_job_execution(request).result(WAIT_S).execution
    assert (described.version_number, described.job_document) == (3, None)
    assert 0 < described.queued_at.timestamp() <= described.started_at.timestamp()

    request = iotjobs.UpdateJobExecutionRequest(
        thing_name=thing, job_id="sdk-walk", status="SUCCEEDED"
    )
    jobs.update_job_execution(request).result(WAIT_S)
    request = iotjobs.DescribeJobExecutionRequest(thing_name=thing, job_id="$next")
    assert jobs.describe_job_execution(request).result(WAIT_S).execution is None


def test_request_response_client_understands_a_rejection(cloud, client):
    jobs, thing = client
    create(cloud, thing, "sdk-mismatch")
    request = iotjobs.UpdateJobExecutionRequest(
        thing_name=thing, job_id="sdk-mismatch", status="IN_PROGRESS", expected_version=7
    )
    with pytest.raises(awsiot.V2ServiceException) as caught:
        jobs.update_job_execution(request).result(WAIT_S)
    rejected = caught.value.modeled_error
    assert rejected.code == iotjobs.RejectedErrorCode.VERSION_MISMATCH
    assert rejected.execution_state.version_number == 1


def test_classic_client_hears_of_a_job_it_subscribed_to(cloud, connection):
    made, thing = connection
    jobs = iotjobs.IotJobsClient(made)
    heard: list = []
    request = iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=thing)
    future, _ = jobs.subscribe_to_next_job_execution_changed_events(
        request, QoS.AT_LEAST_ONCE, heard.append
    )
    future.result(WAIT_S)
    answers: list = []
    for subscribe in (
        jobs.subscribe_to_start_next_pending_job_execution_accepted,
        jobs.subscribe_to_start_next_pending_job_execution_rejected,
    ):
        request = iotjobs.StartNextPendingJobExecutionSubscriptionRequest(thing_name=thing)
        subscribe(request, QoS.AT_LEAST_ONCE, answers.append)[0].result(WAIT_S)
    create(cloud, thing, "sdk-heard")
    until(heard)
    assert (heard[0].execution.job_id, heard[0].execution.status) == ("sdk-heard", "QUEUED")
    request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=thing, client_token="t")
    jobs.publish_start_next_pending_job_execution(request, QoS.AT_LEAST_ONCE).result(WAIT_S)
    until(answers)
    assert (answers[0].client_token, answers[0].execution.job_id) == ("t", "sdk-heard")


def until(messages: list) -> None:
    """Wait for a first message."""
    deadline = time.monotonic() + WAIT_S
    while not messages and time.monotonic() < deadline:
        time.sleep(0.01)
    assert messages
