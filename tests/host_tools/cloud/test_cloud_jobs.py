"""AWS IoT Jobs as a device sees it: requests, answers, versions, errors."""

import json

import pytest

from sluice.cloud.jobs.over_mqtt import owner


def test_start_next_empty_payload_starts_the_oldest_job(world):
    world.job("first", {"operation": "one"})
    world.now += 5
    world.job("second")
    world.now += 5
    [(topic, body)] = world.ask("jobs/start-next", b"")
    assert topic == "jobs/start-next/accepted"
    assert body == {
        "timestamp": 1_700_000_010,
        "execution": {
            "jobId": "first",
            "status": "IN_PROGRESS",
            "queuedAt": 1_700_000_000,
            "startedAt": 1_700_000_010,
            "lastUpdatedAt": 1_700_000_010,
            "versionNumber": 2,
            "executionNumber": 1,
            "jobDocument": {"operation": "one"},
        },
    }


def test_answers_are_compact_json_at_qos_0(world):
    world.job("one")
    world.ask("jobs/start-next")
    [answer] = world.jobs.handle("pump", ["one", "update"], b'{"status":"IN_PROGRESS"}')
    assert (answer.payload, answer.qos) == (b'{"timestamp":1700000000}', 0)


def test_start_next_twice_returns_the_same_version_and_details(world):
    world.job("one")
    world.job("two")
    world.ask("jobs/start-next", {"statusDetails": {"step": "a"}})
    [(_, body)] = world.ask("jobs/start-next", {"statusDetails": {"step": "b"}})
    execution = body["execution"]
    assert (execution["jobId"], execution["versionNumber"]) == ("one", 2)
    assert execution["statusDetails"] == {"step": "a"}


@pytest.mark.parametrize("path", ["jobs/start-next", "jobs/$next/get"])
def test_idle_thing_gets_accepted_without_execution(world, path):
    assert world.ask(path, {"clientToken": "t"}) == [
        (f"{path}/accepted", {"clientToken": "t", "timestamp": 1_700_000_000})
    ]


def test_next_get_looks_and_changes_nothing(world):
    world.job("one")
    for _ in range(2):
        [(topic, body)] = world.ask("jobs/$next/get")
        assert topic == "jobs/$next/get/accepted"
        assert (body["execution"]["status"], body["execution"]["versionNumber"]) == ("QUEUED", 1)
        assert "startedAt" not in body["execution"]
        assert "statusDetails" not in body["execution"]


def test_pending_lists_running_before_queued_without_status_or_document(world):
    for name in ("a", "b", "c"):
        world.job(name)
        world.now += 1
    world.ask("jobs/b/update", {"status": "IN_PROGRESS"})
    [(topic, body)] = world.ask("jobs/get")
    assert topic == "jobs/get/accepted"
    assert [row["jobId"] for row in body["inProgressJobs"]] == ["b"]
    assert [row["jobId"] for row in body["queuedJobs"]] == ["a", "c"]
    assert set(body["queuedJobs"][0]) == {
        "jobId", "queuedAt", "lastUpdatedAt", "versionNumber", "executionNumber",
    }  # fmt: skip


def test_pending_of_an_idle_thing_has_both_lists(world):
    [(_, body)] = world.ask("jobs/get")
    assert body == {"timestamp": 1_700_000_000, "inProgressJobs": [], "queuedJobs": []}


def test_pending_lists_ten_executions_at_most(world):
    for number in range(12):
        world.job(f"j{number}")
    [(_, body)] = world.ask("jobs/get")
    assert len(body["queuedJobs"]) == 10


def test_describe_without_document_leaves_it_out(world):
    world.job("one")
    [(_, body)] = world.ask("jobs/one/get", {"includeJobDocument": False})
    assert "jobDocument" not in body["execution"]
    [(_, body)] = world.ask("jobs/one/get")
    assert body["execution"]["jobDocument"] == {"operation": "echo"}


def test_job_called_get_is_told_apart_by_its_level(world):
    world.job("get")
    [(topic, body)] = world.ask("jobs/get/get")
    assert (topic, body["execution"]["jobId"]) == ("jobs/get/get/accepted", "get")


def test_update_adds_one_version_each_time_and_replaces_details(world):
    world.job("one")
    for version, details in ((2, {"a": "1"}), (3, {"b": "2"})):
        request = {"status": "IN_PROGRESS", "statusDetails": details}
        [(_, body)] = world.ask("jobs/one/update", request | {"includeJobExecutionState": True})
        assert body["executionState"] == {
            "status": "IN_PROGRESS",
            "versionNumber": version,
            "statusDetails": details,
        }
    world.ask("jobs/one/update", {"status": "IN_PROGRESS", "statusDetails": None})
    [(_, body)] = world.ask("jobs/one/get")
    assert body["execution"]["statusDetails"] == {"b": "2"}


def test_update_may_include_the_document(world):
    world.job("one")
    request = {"status": "IN_PROGRESS", "includeJobDocument": True}
    [(_, body)] = world.ask("jobs/one/update", request)
    assert body == {"timestamp": 1_700_000_000, "jobDocument": {"operation": "echo"}}


@pytest.mark.parametrize("expected", [1, "1"])
def test_update_expected_version_may_be_a_number_or_its_digits(world, expected):
    world.job("one")
    [(topic, _)] = world.ask(
        "jobs/one/update", {"status": "IN_PROGRESS", "expectedVersion": expected}
    )
    assert topic == "jobs/one/update/accepted"


def test_update_wrong_expected_version_is_a_mismatch_and_changes_nothing(world):
    world.job("one")
    request = {"status": "IN_PROGRESS", "expectedVersion": "99", "clientToken": "t"}
    assert world.ask("jobs/one/update", request) == [
        (
            "jobs/one/update/rejected",
            {
                "clientToken": "t",
                "timestamp": 1_700_000_000,
                "code": "VersionMismatch",
                "message": "Expected version 99 but found version 1",
                "executionState": {"status": "QUEUED", "versionNumber": 1},
            },
        )
    ]
    [(_, body)] = world.ask("jobs/one/get")
    assert body["execution"]["versionNumber"] == 1


def code_of(answers: list) -> str:
    topic, body = answers[0]
    assert topic.endswith("/rejected"), answers
    return body["code"]


@pytest.mark.parametrize(
    "payload", [b"[1,2]", b"{", b"\xff\xfe", b'"text"', b"NaN", b'{"a":NaN}', b'{"a":"\\ud800"}']
)
def test_payload_that_is_no_json_object_is_invalid_json(world, payload):
    assert code_of(world.ask("jobs/get", payload)) == "InvalidJson"


def test_topic_longer_than_aws_takes_is_passed_over():
    assert owner("$aws/things/pump/jobs/" + "j" * 251) == ("pump", "jobs", ["j" * 251])
    for topic in ("$aws/things/pump/jobs/" + "j" * 252, "$aws/things/pump/jobs" + "/j" * 32_000):
        assert owner(topic) is None


def test_payload_nested_without_end_is_invalid_json(world):
    assert code_of(world.ask("jobs/get", b"[" * 100_000)) == "InvalidJson"


@pytest.mark.parametrize(
    "request_", [
        {},
        {"status": None},
        {"status": "DONE"},
        {"status": 7},
        {"status": "CANCELED"},
        {"status": "TIMED_OUT"},
        {"status": "REMOVED"},
        {"status": "IN_PROGRESS", "statusDetails": "text"},
        {"status": "IN_PROGRESS", "statusDetails": {"a": 1}},
        {"status": "IN_PROGRESS", "statusDetails": {"a": ""}},
        {"status": "IN_PROGRESS", "statusDetails": {"a": "two\nlines"}},
        {"status": "IN_PROGRESS", "statusDetails": {"a": "x" * 1025}},
        {"status": "IN_PROGRESS", "statusDetails": {"a b": "x"}},
        {"status": "IN_PROGRESS", "statusDetails": {"a.b": "x"}},
        {"status": "IN_PROGRESS", "statusDetails": {"": "x"}},
        {"status": "IN_PROGRESS", "statusDetails": {f"k{n}": "x" for n in range(11)}},
        {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 0},
        {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 10_081},
        {"status": "IN_PROGRESS", "stepTimeoutInMinutes": "5"},
        {"status": "IN_PROGRESS", "expectedVersion": "one"},
        {"status": "IN_PROGRESS", "expectedVersion": 1.5},
        {"status": "IN_PROGRESS", "expectedVersion": 10**30},
        {"status": "IN_PROGRESS", "expectedVersion": "9" * 5000},
        {"status": "IN_PROGRESS", "executionNumber": True},
        {"status": "IN_PROGRESS", "executionNumber": 10**30},
        {"status": "IN_PROGRESS", "includeJobDocument": "yes"},
        {"status": "IN_PROGRESS", "clientToken": 5},
        {"status": "IN_PROGRESS", "clientToken": "x" * 65},
    ],
)  # fmt: skip
def test_update_against_the_schema_is_invalid_and_changes_nothing(world, request_):
    world.job("one")
    assert code_of(world.ask("jobs/one/update", request_)) == "InvalidRequest"
    [(_, body)] = world.ask("jobs/one/get")
    assert (body["execution"]["status"], body["execution"]["versionNumber"]) == ("QUEUED", 1)


def test_update_at_the_limits_is_accepted(world):
    world.job("one")
    details = {f"k{n}": "x" * 1024 for n in range(9)} | {"Az:9_-" * 21: "é"}
    request = {"status": "IN_PROGRESS", "statusDetails": details, "stepTimeoutInMinutes": 10_080}
    [(topic, _)] = world.ask("jobs/one/update", request | {"clientToken": "x" * 64})
    assert topic == "jobs/one/update/accepted"


def test_start_next_minus_one_minute_is_only_for_updates(world):
    world.job("one")
    assert code_of(world.ask("jobs/start-next", {"stepTimeoutInMinutes": -1})) == "InvalidRequest"
    [(topic, _)] = world.ask(
        "jobs/one/update", {"status": "IN_PROGRESS", "stepTimeoutInMinutes": -1}
    )
    assert topic.endswith("accepted")


@pytest.mark.parametrize(
    "path", ["jobs/foo", "jobs/one/foo", "jobs/one/get/more", "jobs/$next/update", "jobs/a.b/get"]
)
def test_topic_of_no_operation_is_invalid_topic(world, path):
    world.job("one")
    assert code_of(world.ask(path)) == "InvalidTopic"


@pytest.mark.parametrize(
    "path", ["jobs/notify", "jobs/notify-next", "jobs/one/update/accepted", "jobs/get/rejected"]
)
def test_topic_of_an_answer_is_not_answered(world, path):
    world.job("one")
    assert world.ask(path) == []


@pytest.mark.parametrize("request_", [{}, {"executionNumber": 2}])
def test_describe_what_is_not_there_is_not_found(world, request_):
    world.things.create("other")
    world.job("theirs", thing="other")
    world.job("mine")
    path = "jobs/mine/get" if request_ else "jobs/theirs/get"
    assert code_of(world.ask(path, request_)) == "ResourceNotFound"


def test_describe_finished_execution_is_terminal(world):
    world.job("one")
    world.ask("jobs/one/update", {"status": "SUCCEEDED"})
    assert code_of(world.ask("jobs/one/get")) == "TerminalStateReached"


@pytest.mark.parametrize("final", ["SUCCEEDED", "FAILED", "REJECTED"])
def test_update_finished_execution_is_refused_with_its_state(world, final):
    world.job("one")
    world.ask("jobs/one/update", {"status": final})
    [(topic, body)] = world.ask("jobs/one/update", {"status": "IN_PROGRESS"})
    assert (topic, body["code"]) == ("jobs/one/update/rejected", "InvalidStateTransition")
    assert body["executionState"] == {"status": final, "versionNumber": 2}


def test_update_back_to_queued_is_no_transition(world):
    world.job("one")
    assert code_of(world.ask("jobs/one/update", {"status": "QUEUED"})) == "InvalidStateTransition"


def test_update_rejected_only_while_queued(world):
    world.job("one")
    world.ask("jobs/start-next")
    [(_, body)] = world.ask("jobs/one/update", {"status": "REJECTED"})
    assert body["code"] == "InvalidStateTransition"
    assert body["executionState"]["status"] == "IN_PROGRESS"


def test_token_is_echoed_verbatim_also_when_empty(world):
    payload = json.dumps({"clientToken": ""}).encode()
    [(_, body)] = world.ask("jobs/get", payload)
    assert body["clientToken"] == ""
