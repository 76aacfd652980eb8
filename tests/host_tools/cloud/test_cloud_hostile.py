"""Whatever a device publishes, the cloud answers in its own words and nothing breaks."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from host_tools.cloud import cbor

FIXTURE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=70),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3)
    ),
    max_leaves=6,
)
JOB_KEYS = some.sampled_from(
    ["status", "statusDetails", "expectedVersion", "executionNumber", "includeJobDocument"]
    + ["includeJobExecutionState", "stepTimeoutInMinutes", "clientToken"]
)
STATUSES = some.sampled_from(
    ["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "QUEUED", "CANCELED"]
)
JOB_REQUESTS = some.dictionaries(JOB_KEYS, VALUES | STATUSES, max_size=5)
STREAM_REQUESTS = some.dictionaries(
    some.sampled_from("csflonb"), VALUES | some.integers(-1, 300), max_size=7
)
CODES = {
    "InvalidTopic", "InvalidJson", "InvalidCbor", "InvalidRequest", "InvalidStateTransition",
    "ResourceNotFound", "VersionMismatch", "TerminalStateReached", "BlockSizeOutOfBounds",
    "OffsetOutOfBounds", "BlockCountLimitExceeded", "BlockBitmapLimitExceeded",
}  # fmt: skip


def judge(world, messages: list, read=json.loads) -> None:
    """Every message can be read; a refusal has a documented code; the store is consistent."""
    for message in messages:
        body = read(message.payload)
        if "/rejected" in message.topic:
            assert body["code"] in CODES
    for row in world.executions.queue("pump"):
        assert row["version"] >= 1


def revive(world) -> None:
    """Have a job to update, whatever became of the last one."""
    world.store.run("DELETE FROM jobs")
    world.job("one")


@FIXTURE
@given(operation=some.sampled_from(["update", "get"]), payload=some.binary(max_size=60))
def test_any_bytes_to_jobs_are_answered(world, operation, payload):
    revive(world)
    judge(world, world.jobs.handle("pump", ["one", operation], payload))
    judge(world, world.jobs.handle("pump", ["start-next"], payload))


@FIXTURE
@given(request=JOB_REQUESTS, started=some.booleans())
def test_any_update_is_answered_once_and_the_version_tells(world, request, started):
    revive(world)
    if started:
        world.ask("jobs/start-next")
    before = world.executions.find("pump", "one")
    messages = world.jobs.handle("pump", ["one", "update"], json.dumps(request).encode())
    judge(world, messages)
    after = world.executions.find("pump", "one")
    accepted = messages[0].topic.endswith("/accepted")
    assert after["version"] == before["version"] + accepted
    assert (len(messages) > 1) == (after["status"] not in ("QUEUED", "IN_PROGRESS"))


@FIXTURE
@given(request=STREAM_REQUESTS)
def test_any_stream_request_is_answered_or_asks_for_nothing(world, request):
    if not world.store.row("SELECT 1 FROM streams"):
        world.stream(bytes(5000))
    payload = json.dumps(request).encode()
    messages = world.streams.handle("pump", ["flow", "get", "json"], payload)
    judge(world, messages)
    assert sum(len(message.payload) for message in messages) < 200_000


@FIXTURE
@given(payload=some.binary(max_size=60))
def test_any_bytes_to_a_stream_are_answered_in_cbor(world, payload):
    if not world.store.row("SELECT 1 FROM streams"):
        world.stream(bytes(5000))
    judge(world, world.streams.handle("pump", ["flow", "get", "cbor"], payload), cbor.loads)


@FIXTURE
@given(levels=some.lists(some.text(max_size=8), min_size=1, max_size=5))
def test_any_topic_is_answered_or_ignored(world, levels):
    judge(world, world.jobs.handle("pump", levels, b"{}"))
    judge(world, world.streams.handle("pump", levels, b"{}"))
