"""Every call this cloud knows, through botocore's own models: the request by its validation, the
answer as raw JSON, of which every member must be in the model, of its type, and none required
missing.
"""

import json
import threading
from datetime import datetime

import pytest
import test_cloud_rest
from botocore.model import Shape
from botocore.session import get_session
from patience import FUSE_S

from sluice.cloud.names import arn

served = test_cloud_rest.served
ROLE = "arn:aws:iam::123456789012:role/any"
KINDS = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": int | float,
    "double": int | float,
    "timestamp": int | float,
    "blob": str,
}


def fits(shape: Shape, value, where: str) -> None:
    """AssertionError for what the model does not say."""
    if shape.type_name == "structure":
        assert isinstance(value, dict), where
        names = {
            member.serialization.get("name", key): key for key, member in shape.members.items()
        }
        assert value.keys() <= names.keys(), f"{where}: {value.keys() - names.keys()}"
        required = set(shape.required_members)
        assert required <= {names[key] for key in value}, f"{where}: lacks {required}"
        for key, item in value.items():
            fits(shape.members[names[key]], item, f"{where}.{key}")
    elif shape.type_name == "list":
        assert isinstance(value, list), where
        for item in value:
            fits(shape.member, item, f"{where}[]")
    elif shape.type_name == "map":
        for key, item in value.items():
            fits(shape.key, key, where)
            fits(shape.value, item, f"{where}.{key}")
    else:
        assert isinstance(value, KINDS[shape.type_name]), f"{where}: {value!r}"
        if "enum" in shape.metadata:
            assert value in shape.metadata["enum"], f"{where}: {value!r}"


@pytest.fixture
def judged(served):
    """A function: (service) → a boto3 client each of whose answers is judged; also `called`."""
    called: dict[str, set[str]] = {}

    def make(service: str):
        client, names = served(service), called.setdefault(service, set())

        def judge(http_response, model, **_) -> None:
            names.add(model.name)
            payload = model.output_shape and model.output_shape.serialization.get("payload")
            if http_response.status_code < 300 and model.output_shape and not payload:
                fits(model.output_shape, json.loads(http_response.content or b"{}"), model.name)

        client.meta.events.register("after-call", judge)
        return client

    make.called = called
    return make


def things_and_groups(iot) -> dict:
    """All calls for things, certificates, policies and groups; a certificate that stays."""
    iot.describe_endpoint(endpointType="iot:Data-ATS")
    iot.create_thing(thingName="a", attributePayload={"attributes": {"k": "v"}})
    iot.describe_thing(thingName="a")
    iot.list_things()
    made = iot.create_keys_and_certificate(setAsActive=True)
    key = test_cloud_rest.ec.generate_private_key(test_cloud_rest.ec.SECP256R1())
    request = test_cloud_rest.request_for(key)
    other = iot.create_certificate_from_csr(certificateSigningRequest=request)["certificateId"]
    iot.update_certificate(certificateId=other, newStatus="INACTIVE")
    iot.delete_certificate(certificateId=other)
    cert = made["certificateArn"]
    iot.describe_certificate(certificateId=made["certificateId"])
    iot.list_certificates()
    iot.attach_thing_principal(thingName="a", principal=cert)
    iot.update_thing(thingName="a", attributePayload={"attributes": {"k": "w"}, "merge": True})
    iot.get_thing_connectivity_data(thingName="a")
    iot.list_thing_principals(thingName="a")
    iot.list_thing_principals_v2(thingName="a", thingPrincipalType="NON_EXCLUSIVE_THING")
    iot.list_principal_things(principal=cert)
    iot.list_principal_things_v2(principal=cert)
    iot.create_policy(policyName="p", policyDocument='{"Version":"2012-10-17","Statement":[]}')
    iot.get_policy(policyName="p")
    iot.create_policy_version(policyName="p", policyDocument=test_cloud_rest.POLICY)
    iot.list_policy_versions(policyName="p")
    iot.set_default_policy_version(policyName="p", policyVersionId="2")
    iot.get_policy_version(policyName="p", policyVersionId="1")
    iot.delete_policy_version(policyName="p", policyVersionId="1")
    iot.list_policies()
    iot.attach_policy(policyName="p", target=cert)
    iot.list_attached_policies(target=cert)
    iot.list_targets_for_policy(policyName="p")
    iot.detach_policy(policyName="p", target=cert)
    iot.delete_policy(policyName="p")
    iot.detach_thing_principal(thingName="a", principal=cert)
    iot.create_thing_group(thingGroupName="all")
    properties = {"thingGroupDescription": "d", "attributePayload": {"attributes": {"k": "v"}}}
    given = {"thingGroupName": "some", "thingGroupProperties": properties}
    iot.create_thing_group(parentGroupName="all", **given)
    iot.update_thing_group(**given, expectedVersion=1)
    iot.describe_thing_group(thingGroupName="some")
    iot.list_thing_groups(parentGroup="all", recursive=True)
    iot.add_thing_to_thing_group(thingGroupName="some", thingName="a")
    iot.list_things_in_thing_group(thingGroupName="all", recursive=True)
    iot.list_thing_groups_for_thing(thingName="a")
    return {"thingGroupName": "some", "thingName": "a"}


def jobs_and_updates(iot, world) -> None:
    """All calls for jobs, executions, streams and updates."""
    world.put(b"data")
    where = {"bucket": "images", "key": "image.bin"}
    files = [{"fileId": 0, "s3Location": where}]
    iot.create_stream(streamId="s", files=files, roleArn=ROLE)
    iot.update_stream(streamId="s", description="d")
    iot.describe_stream(streamId="s")
    iot.list_streams()
    iot.delete_stream(streamId="s")
    rule = {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 50.5}
    growth = {"baseRatePerMinute": 5, "incrementFactor": 1.5}
    growth["rateIncreaseCriteria"] = {"numberOfNotifiedThings": 3}
    schedule = {"endTime": "2023-12-01 00:00", "endBehavior": "CANCEL"}
    iot.create_job(
        jobId="j",
        targets=[arn("thinggroup", "all"), arn("thing", "pump")],
        document="{}",
        description="d",
        targetSelection="CONTINUOUS",
        jobExecutionsRolloutConfig={"maximumPerMinute": 9, "exponentialRate": growth},
        abortConfig={"criteriaList": [rule | {"minNumberOfExecutedThings": 3}]},
        timeoutConfig={"inProgressTimeoutInMinutes": 5},
        jobExecutionsRetryConfig={"criteriaList": [{"failureType": "ALL", "numberOfRetries": 1}]},
        schedulingConfig=schedule,
    )
    iot.update_job(jobId="j", timeoutConfig={"inProgressTimeoutInMinutes": 6})
    found = iot.describe_job(jobId="j")["job"]
    assert isinstance(found["createdAt"], datetime)
    assert found["abortConfig"]["criteriaList"][0]["thresholdPercentage"] == 50.5
    iot.get_job_document(jobId="j")
    iot.list_jobs()
    iot.list_job_executions_for_job(jobId="j")
    iot.list_job_executions_for_thing(thingName="pump")
    iot.describe_job_execution(jobId="j", thingName="pump")
    iot.cancel_job_execution(jobId="j", thingName="pump")
    iot.delete_job_execution(jobId="j", thingName="pump", executionNumber=1)
    iot.cancel_job(jobId="j", force=True)
    iot.delete_job(jobId="j")
    targets = [arn("thinggroup", "all")]
    iot.create_job(jobId="k", targets=targets, document="{}", targetSelection="CONTINUOUS")
    iot.associate_targets_with_job(jobId="k", targets=[arn("thinggroup", "some")], comment="c")
    test_cloud_rest.update(iot)
    iot.get_ota_update(otaUpdateId="u1")
    iot.list_ota_updates()
    iot.delete_ota_update(otaUpdateId="u1", deleteStream=True, forceDeleteAWSJob=True)


def templates_tags_and_events(iot) -> None:
    """All calls for job templates, tags and event configurations."""
    rule = {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 50.5}
    made = iot.create_job_template(
        jobTemplateId="t",
        description="d",
        document="{}",
        abortConfig={"criteriaList": [rule | {"minNumberOfExecutedThings": 3}]},
        jobExecutionsRolloutConfig={"maximumPerMinute": 9},
        timeoutConfig={"inProgressTimeoutInMinutes": 5},
        tags=[{"Key": "a", "Value": "b"}],
    )
    found = iot.describe_job_template(jobTemplateId="t")
    assert isinstance(found["createdAt"], datetime)
    iot.list_job_templates()
    target = {"resourceArn": made["jobTemplateArn"]}
    iot.tag_resource(**target, tags=[{"Key": "c", "Value": ""}])
    iot.list_tags_for_resource(**target)
    iot.untag_resource(**target, tagKeys=["a"])
    iot.delete_job_template(jobTemplateId="t")
    [managed] = iot.list_managed_job_templates(templateName="AWS-Reboot")["managedJobTemplates"]
    iot.describe_managed_job_template(templateName="AWS-Reboot", templateVersion="1.0")
    iot.create_job(
        jobId="boot", targets=[arn("thing", "pump")], jobTemplateArn=managed["templateArn"]
    )
    assert iot.describe_job(jobId="boot")["job"]["jobTemplateArn"] == managed["templateArn"]
    iot.update_event_configurations(eventConfigurations={"JOB": {"Enabled": True}})
    iot.describe_event_configurations()


def test_every_call_of_the_control_plane_is_as_botocore_models_it(judged, world):
    iot = judged("iot")
    member = things_and_groups(iot)
    jobs_and_updates(iot, world)
    templates_tags_and_events(iot)
    iot.remove_thing_from_thing_group(**member)
    iot.delete_thing_group(thingGroupName="some")
    iot.delete_thing(thingName="a")
    assert judged.called["iot"] == world.implemented["iot"]


def test_every_call_of_the_device_plane_is_as_botocore_models_it(judged, world):
    world.job("one", timeoutConfig={"inProgressTimeoutInMinutes": 5})
    data = judged("iot-jobs-data")
    data.get_pending_job_executions(thingName="pump")
    data.start_next_pending_job_execution(thingName="pump", statusDetails={"a": "b"})
    data.describe_job_execution(thingName="pump", jobId="one", includeJobDocument=True)
    given = {"status": "SUCCEEDED", "includeJobExecutionState": True, "includeJobDocument": True}
    data.update_job_execution(thingName="pump", jobId="one", **given)
    assert judged.called["iot-jobs-data"] == world.implemented["iot-jobs-data"]


def test_judge_refuses_what_is_not_in_the_model():
    model = get_session().get_service_model("iot").operation_model("DescribeJob").output_shape
    fits(model, {"job": {"jobId": "j", "createdAt": 1.5}}, "good")
    for wrong in ({"jab": {}}, {"job": {"jobId": 1}}, {"job": {"status": "DONE"}}):
        with pytest.raises(AssertionError):
            fits(model, wrong, "wrong")


def test_notices_are_published_when_the_store_is_free(world):
    """Else a request that is being served, which wants the store, and this wait for each other."""
    free = []

    def publish(messages) -> None:
        reader = threading.Thread(target=lambda: free.append(world.store.rows("SELECT 1")))
        reader.daemon = True
        reader.start()
        reader.join(FUSE_S)
        assert not reader.is_alive(), "the store is taken"

    world.job_calls.publish = publish
    world.put(b"x" * 300)
    where = {"bucket": "images", "key": "image.bin"}
    files = [{"fileName": "f", "fileLocation": {"s3Location": where}}]
    given = {"targets": [arn("thing", "pump")], "files": files, "roleArn": ROLE}
    world.updates.create({"otaUpdateId": "u", **given})
    world.updates.delete({"otaUpdateId": "u", "forceDeleteAWSJob": True})
    world.job("one")
    world.job_calls.cancel({"jobId": "one"})
    world.job_calls.delete({"jobId": "one"})
    assert len(free) == 5
