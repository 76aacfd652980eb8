"""Job templates, one's own and AWS's, and the jobs that are made of them."""

import json

import pytest

from sluice.cloud.jobs.managed import TEMPLATES
from sluice.cloud.names import arn
from sluice.cloud.refusal import Refusal

PUMP = arn("thing", "pump")
ABORT = {
    "criteriaList": [
        {
            "failureType": "FAILED",
            "action": "CANCEL",
            "thresholdPercentage": 50,
            "minNumberOfExecutedThings": 1,
        }
    ]
}
CONFIG = {
    "abortConfig": ABORT,
    "jobExecutionsRolloutConfig": {"maximumPerMinute": 7},
    "timeoutConfig": {"inProgressTimeoutInMinutes": 5},
    "jobExecutionsRetryConfig": {
        "criteriaList": [{"failureType": "FAILED", "numberOfRetries": 2}]
    },
    "presignedUrlConfig": {"roleArn": "r" * 20, "expiresInSec": 60},
}


def template(world, name: str = "t", **more) -> dict:
    given = {"jobTemplateId": name, "description": "mine"}
    if "jobArn" not in more and "documentSource" not in more:
        given["document"] = '{"operation":"reboot"}'
    return world.template_calls.create(given | more)


def create(world, template_arn: str, name: str = "one", **more) -> dict:
    given = {"jobId": name, "targets": [PUMP], "jobTemplateArn": template_arn}
    return world.job_calls.create(given | more)


def managed(name: str) -> str:
    return f"arn:aws:iot:us-east-1::jobtemplate/{name}:1.0"


def delivered(world) -> dict:
    return world.ask("jobs/$next/get")[0][1]["execution"]["jobDocument"]


def refused(call, *given, **more) -> tuple[str, str]:
    with pytest.raises(Refusal) as caught:
        call(*given, **more)
    return caught.value.code, str(caught.value)


def test_template_is_made_described_listed_and_deleted(world):
    made = template(world, **CONFIG)
    assert made == {"jobTemplateArn": arn("jobtemplate", "t"), "jobTemplateId": "t"}
    found = world.template_calls.describe({"jobTemplateId": "t"})
    assert found == CONFIG | made | {
        "description": "mine",
        "document": '{"operation":"reboot"}',
        "createdAt": world.now,
    }
    world.now += 1
    template(world, "later")
    rows = list(world.template_calls.list({})["jobTemplates"])
    assert [row["jobTemplateId"] for row in rows] == ["later", "t"]
    assert rows[1] == made | {"description": "mine", "createdAt": world.now - 1}
    world.template_calls.delete({"jobTemplateId": "t"})
    for call in (world.template_calls.describe, world.template_calls.delete):
        assert refused(call, {"jobTemplateId": "t"})[0] == "ResourceNotFoundException"


def test_template_of_a_name_that_is_taken_is_a_conflict(world):
    template(world)
    assert refused(template, world)[0] == "ConflictException"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"documentSource": "https://s3.amazonaws.com/images/none"}, "no object"),
        ({"document": "[]"}, "not a JSON object"),
        ({"jobArn": arn("job", "none")}, "unknown job"),
        ({"jobArn": "none"}, "unknown job"),
        ({"jobArn": arn("job", "one"), "document": "{}"}, "not both"),
        ({"jobExecutionsRolloutConfig": {"maximumPerMinute": 1001}}, "maximumPerMinute"),
        ({"maintenanceWindows": [{}]}, "maintenanceWindows"),
        ({"destinationPackageVersions": ["x"]}, "destinationPackageVersions"),
    ],
)
def test_template_of_no_sense_is_refused_and_nothing_is_made(world, given, words):
    assert words in refused(template, world, **given)[1]
    assert list(world.template_calls.list({})["jobTemplates"]) == []


def test_template_of_a_job_has_its_document_and_its_configuration(world):
    world.job("one", {"operation": "update"}, description="of the job", **CONFIG)
    template(world, jobArn=arn("job", "one"), timeoutConfig={"inProgressTimeoutInMinutes": 9})
    found = world.template_calls.describe({"jobTemplateId": "t"})
    assert json.loads(found["document"]) == {"operation": "update"}
    assert found["timeoutConfig"] == {"inProgressTimeoutInMinutes": 9}
    assert found["abortConfig"] == ABORT
    assert found["description"] == "mine"


def test_job_of_a_template_takes_what_it_does_not_say_itself(world):
    made = template(world, **CONFIG)["jobTemplateArn"]
    other = {"inProgressTimeoutInMinutes": 8}
    answer = create(world, made, timeoutConfig=other)
    assert answer["description"] == "mine"
    about = world.job_calls.describe({"jobId": "one"})["job"]
    assert {key: about[key] for key in CONFIG} == CONFIG | {"timeoutConfig": other}
    assert (about["jobTemplateArn"], about["description"]) == (made, "mine")
    assert delivered(world) == {"operation": "reboot"}


def test_job_keeps_what_its_template_was(world):
    world.put(b'{"operation":"first"}', "job.json")
    source = "https://s3.us-east-1.amazonaws.com/images/job.json"
    made = template(world, documentSource=source)["jobTemplateArn"]
    world.put(b'{"operation":"second"}', "job.json")
    create(world, made)
    world.template_calls.delete({"jobTemplateId": "t"})
    assert delivered(world) == {"operation": "first"}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"jobTemplateArn": arn("jobtemplate", "none")}, "ResourceNotFoundException"),
        ({"jobTemplateArn": managed("AWS-Nothing")}, "ResourceNotFoundException"),
        ({"jobTemplateArn": managed("AWS-Reboot")[:-1] + "1"}, "ResourceNotFoundException"),
        ({"jobTemplateArn": "t"}, "InvalidRequestException"),
        ({"document": "{}"}, "InvalidRequestException"),
        ({"documentParameters": {"a": "b"}}, "InvalidRequestException"),
    ],
)
def test_job_that_its_template_does_not_fit_is_refused(world, given, code):
    made = template(world)["jobTemplateArn"]
    wanted = {"jobId": "one", "targets": [PUMP], "jobTemplateArn": made} | given
    assert refused(world.job_calls.create, wanted)[0] == code
    assert world.executions.job("one") is None


def test_parameters_without_a_template_are_refused(world):
    given = {"jobId": "one", "targets": [PUMP], "document": "{}", "documentParameters": {"a": "b"}}
    assert "managed template" in refused(world.job_calls.create, given)[1]


# --- AWS's own -----------------------------------------------------------------------------------


def test_managed_templates_are_listed_and_described(world):
    rows = world.template_calls.list_managed({})["managedJobTemplates"]
    assert [row["templateName"] for row in rows] == [
        "AWS-Download-File",
        "AWS-Install-Application",
        "AWS-Reboot",
        "AWS-Remove-Application",
        "AWS-Restart-Application",
        "AWS-Run-Command",
        "AWS-Start-Application",
        "AWS-Stop-Application",
    ]
    for row in rows:
        assert row["templateArn"] == managed(row["templateName"])
        found = world.template_calls.describe_managed({"templateName": row["templateName"]})
        assert row.items() <= found.items()
        optional = [one["key"] for one in found["documentParameters"] if one["optional"]]
        assert optional[0] == "runAsUser"
        for one in found["documentParameters"]:
            assert f"${{aws:iot:parameter:{one['key']}}}" in found["document"]
    [row] = world.template_calls.list_managed({"templateName": "AWS-Reboot"})[
        "managedJobTemplates"
    ]
    assert row["templateVersion"] == "1.0"
    call = world.template_calls.describe_managed
    assert refused(call, {"templateName": "AWS-Reboot", "templateVersion": "2.0"})[0] == (
        "ResourceNotFoundException"
    )


def test_job_of_a_managed_template_has_its_parameters_in_the_document(world):
    given = {"downloadUrl": 'https://example.com/"a"', "filePath": "/tmp/a\\b"}
    create(world, managed("AWS-Download-File"), documentParameters=given)
    assert delivered(world) == {
        "version": "1.0",
        "steps": [
            {
                "action": {
                    "name": "Download-File",
                    "type": "runHandler",
                    "input": {
                        "handler": "download-file.sh",
                        "args": ['https://example.com/"a"', "/tmp/a\\b"],
                        "path": "",
                    },
                    "runAsUser": "",
                }
            }
        ],
    }
    about = world.job_calls.describe({"jobId": "one"})["job"]
    assert about["documentParameters"] == given
    assert about["description"] == TEMPLATES["AWS-Download-File"].description


def test_document_is_shown_before_and_after_its_parameters_are_put_in(world):
    create(world, managed("AWS-Run-Command"), documentParameters={"command": "echo,ok"})
    world.job("plain")
    call = world.job_calls.document
    assert '"echo,ok"' in call({"jobId": "one"})["document"]
    before = {"beforeSubstitution": True}
    assert call({"jobId": "one"} | before)["document"] == TEMPLATES["AWS-Run-Command"].document
    assert call({"jobId": "plain"} | before) == call({"jobId": "plain"})


def test_job_that_reboots_or_runs_a_command_has_no_other_arguments(world):
    create(world, managed("AWS-Reboot"), documentParameters={"pathToHandler": "/opt"})
    action = delivered(world)["steps"][0]["action"]
    assert action["input"] == {"handler": "reboot.sh", "path": "/opt"}
    world.ask("jobs/one/update", {"status": "SUCCEEDED"})
    given = {"command": "echo,ok", "runAsUser": "nobody"}
    create(world, managed("AWS-Run-Command"), "two", documentParameters=given)
    action = delivered(world)["steps"][0]["action"]
    assert (action["type"], action["input"]) == ("runCommand", {"command": "echo,ok"})
    assert action["runAsUser"] == "nobody"


def test_parameter_that_looks_like_a_placeholder_stays_as_it_is(world):
    text = "${aws:iot:parameter:filePath}"
    given = {"downloadUrl": text, "filePath": "/a"}
    create(world, managed("AWS-Download-File"), documentParameters=given)
    assert delivered(world)["steps"][0]["action"]["input"]["args"] == [text, "/a"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "needs documentParameters downloadUrl, filePath"),
        ({"downloadUrl": "x"}, "needs documentParameters filePath"),
        ({"downloadUrl": "x", "filePath": "y", "other": "z"}, "no documentParameters other"),
        ({"downloadUrl": "x", "filePath": "y", "runAsUser": "u" * 257}, "runAsUser must match"),
    ],
)
def test_parameters_of_no_sense_are_refused(world, given, words):
    name = managed("AWS-Download-File")
    assert words in refused(create, world, name, documentParameters=given)[1]
    assert world.executions.job("one") is None
