"""AWS's own device SDK lives on the local cloud: connects, gets, starts, updates, describes."""

import json
import time
from concurrent.futures import Future

import awsiot
import pytest
from awscrt import mqtt_request_response
from awscrt.mqtt import QoS
from awsiot import iotjobs
from patience import FUSE_S

from sluice.cloud.names import arn


@pytest.fixture
def client(connection):
    """The SDK's jobs client of requests and responses, and the thing's name."""
    made, name = connection
    options = mqtt_request_response.ClientOptions(
        max_request_response_subscriptions=8,
        max_streaming_subscriptions=2,
        operation_timeout_in_seconds=FUSE_S,
    )
    return iotjobs.IotJobsClientV2(made, options), name


def create(cloud, thing: str, job: str) -> None:
    document = json.dumps({"operation": "echo", "for": thing})
    cloud.client("iot").create_job(jobId=job, targets=[arn("thing", thing)], document=document)


def test_request_response_client_walks_a_job_to_its_end(cloud, client):
    jobs, thing = client
    create(cloud, thing, "sdk-walk")

    request = iotjobs.GetPendingJobExecutionsRequest(thing_name=thing)
    pending = jobs.get_pending_job_executions(request).result(FUSE_S)
    assert [row.job_id for row in pending.queued_jobs] == ["sdk-walk"]
    assert pending.in_progress_jobs == []

    request = iotjobs.StartNextPendingJobExecutionRequest(
        thing_name=thing, step_timeout_in_minutes=10, status_details={"step": "started"}
    )
    started = jobs.start_next_pending_job_execution(request).result(FUSE_S).execution
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
    updated = jobs.update_job_execution(request).result(FUSE_S)
    assert updated.execution_state.version_number == 3
    assert updated.execution_state.status_details == {"receive": "1/2"}

    request = iotjobs.DescribeJobExecutionRequest(
        thing_name=thing, job_id="sdk-walk", include_job_document=False
    )
    described = jobs.describe_job_execution(request).result(FUSE_S).execution
    assert (described.version_number, described.job_document) == (3, None)
    assert 0 < described.queued_at.timestamp() <= described.started_at.timestamp()

    request = iotjobs.UpdateJobExecutionRequest(
        thing_name=thing, job_id="sdk-walk", status="SUCCEEDED"
    )
    jobs.update_job_execution(request).result(FUSE_S)
    request = iotjobs.DescribeJobExecutionRequest(thing_name=thing, job_id="$next")
    assert jobs.describe_job_execution(request).result(FUSE_S).execution is None


def test_request_response_client_understands_a_rejection(cloud, client):
    jobs, thing = client
    create(cloud, thing, "sdk-mismatch")
    request = iotjobs.UpdateJobExecutionRequest(
        thing_name=thing, job_id="sdk-mismatch", status="IN_PROGRESS", expected_version=7
    )
    with pytest.raises(awsiot.V2ServiceException) as caught:
        jobs.update_job_execution(request).result(FUSE_S)
    rejected = caught.value.modeled_error
    assert rejected.code == iotjobs.RejectedErrorCode.VERSION_MISMATCH
    assert rejected.execution_state.version_number == 1


REFUSED = {  # code → the job, and the status that is asked for once that has SUCCEEDED
    iotjobs.RejectedErrorCode.RESOURCE_NOT_FOUND: ("sdk-nothing", "IN_PROGRESS"),
    iotjobs.RejectedErrorCode.INVALID_STATE_TRANSITION: ("sdk-refused", "IN_PROGRESS"),
    iotjobs.RejectedErrorCode.INVALID_REQUEST: ("sdk-refused", "DONE"),
}


def test_request_response_client_understands_each_refusal(cloud, client):
    jobs, thing = client
    create(cloud, thing, "sdk-refused")

    def update(job: str, status: str) -> Future:
        request = iotjobs.UpdateJobExecutionRequest(thing_name=thing, job_id=job, status=status)
        return jobs.update_job_execution(request)

    update("sdk-refused", "SUCCEEDED").result(FUSE_S)
    for code, asked in REFUSED.items():
        with pytest.raises(awsiot.V2ServiceException) as caught:
            update(*asked).result(FUSE_S)
        assert caught.value.modeled_error.code == code


def test_request_response_client_streams_what_is_next(cloud, client):
    jobs, thing = client
    heard: list = []
    states: list = []
    request = iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=thing)
    options = awsiot.ServiceStreamOptions(heard.append, states.append)
    stream = jobs.create_next_job_execution_changed_stream(request, options)
    stream.open()
    until(states)
    assert (
        states[0].type
        == mqtt_request_response.SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED
    )
    create(cloud, thing, "sdk-next")
    until(heard)
    assert (heard[0].execution.job_id, heard[0].execution.status) == ("sdk-next", "QUEUED")


def test_classic_client_hears_a_refusal(connection):
    made, thing = connection
    jobs = iotjobs.IotJobsClient(made)
    refusals: list = []
    words = {"thing_name": thing, "job_id": "sdk-nothing"}
    request = iotjobs.DescribeJobExecutionSubscriptionRequest(**words)
    subscribe = jobs.subscribe_to_describe_job_execution_rejected
    subscribe(request, QoS.AT_LEAST_ONCE, refusals.append)[0].result(FUSE_S)
    request = iotjobs.DescribeJobExecutionRequest(**words, client_token="t")
    jobs.publish_describe_job_execution(request, QoS.AT_LEAST_ONCE).result(FUSE_S)
    until(refusals)
    assert refusals[0].code == iotjobs.RejectedErrorCode.RESOURCE_NOT_FOUND
    assert refusals[0].client_token == "t"


def test_classic_client_hears_of_a_job_it_subscribed_to(cloud, connection):
    made, thing = connection
    jobs = iotjobs.IotJobsClient(made)
    heard: list = []
    request = iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=thing)
    future, _ = jobs.subscribe_to_next_job_execution_changed_events(
        request, QoS.AT_LEAST_ONCE, heard.append
    )
    future.result(FUSE_S)
    answers: list = []
    for subscribe in (
        jobs.subscribe_to_start_next_pending_job_execution_accepted,
        jobs.subscribe_to_start_next_pending_job_execution_rejected,
    ):
        request = iotjobs.StartNextPendingJobExecutionSubscriptionRequest(thing_name=thing)
        subscribe(request, QoS.AT_LEAST_ONCE, answers.append)[0].result(FUSE_S)
    create(cloud, thing, "sdk-heard")
    until(heard)
    assert (heard[0].execution.job_id, heard[0].execution.status) == ("sdk-heard", "QUEUED")
    request = iotjobs.StartNextPendingJobExecutionRequest(thing_name=thing, client_token="t")
    jobs.publish_start_next_pending_job_execution(request, QoS.AT_LEAST_ONCE).result(FUSE_S)
    until(answers)
    assert (answers[0].client_token, answers[0].execution.job_id) == ("t", "sdk-heard")


def until(messages: list) -> None:
    """Wait for a first message."""
    deadline = time.monotonic() + FUSE_S
    while not messages and time.monotonic() < deadline:
        time.sleep(0.01)
    assert messages
