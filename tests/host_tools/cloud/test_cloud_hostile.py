"""Whatever a device publishes, the cloud answers in its own words and nothing breaks."""

import json

import pytest
from cloud_world import KEY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from sluice.cloud.http.rest import REST
from sluice.cloud.http.server import HTTPRequest
from sluice.cloud.http.signed import Signed
from sluice.cloud.product import orders
from sluice.cloud.product.platform import BAD_PARAMETERS, Products
from sluice.cloud.s3.chunks import unwrapped
from sluice.cloud.s3.face import S3
from sluice.cloud.s3.wording import S3Error
from sluice.cloud.streams import cbor

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
WORDS = some.sampled_from(["a", "b", "timestamp", "version"])  # few, so that updates meet
STATES = some.recursive(
    some.none() | some.booleans() | some.integers(0, 2) | some.lists(some.integers(), max_size=2),
    lambda inner: some.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
SECTIONS = some.sampled_from(["desired", "reported"])
UPDATES = some.lists(some.dictionaries(SECTIONS, STATES, max_size=2), min_size=1, max_size=4)
PRODUCT_KEYS = some.sampled_from(
    ["status", "result", "output", "progress", "percent", "step_key", "current_step"]
)
PRODUCT_VALUES = VALUES | some.sampled_from([*orders.STATUSES, 0, 1, 50])
PRODUCT_DATA = some.recursive(
    PRODUCT_VALUES,
    lambda inner: some.dictionaries(PRODUCT_KEYS, inner, max_size=4),
    max_leaves=8,
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
    judge_shadow(world.shadows.handle("pump", levels, b"{}"))


def judge_shadow(messages: list) -> list[dict]:
    """The bodies; a refusal has a number for its code."""
    bodies = [json.loads(message.payload) for message in messages]
    for message, body in zip(messages, bodies, strict=True):
        if message.topic.endswith("/rejected"):
            assert body["code"] in (400, 404, 409, 413, 415)
    return bodies


@FIXTURE
@given(
    operation=some.sampled_from(["get", "update", "delete"]),
    payload=some.binary(max_size=60)
    | some.dictionaries(
        some.sampled_from(["state", "version", "clientToken"]), VALUES, max_size=3
    ).map(lambda request: json.dumps(request).encode()),
)
def test_any_shadow_request_is_answered(world, operation, payload):
    assert judge_shadow(world.shadows.handle("pump", [operation], payload))


@FIXTURE
@given(updates=UPDATES)
def test_any_updates_leave_a_shadow_whose_parts_agree(world, updates):
    world.store.run("DELETE FROM shadows")
    version = 0
    for state in updates:
        payload = json.dumps({"state": state}).encode()
        accepted, *others = judge_shadow(world.shadows.handle("pump", ["update"], payload))
        version += "code" not in accepted
        if "code" in accepted:
            continue
        current = others[-1]["current"]
        assert (accepted["version"], current["version"]) == (version, version)
        assert mirrored(current["state"], current["metadata"])
        assert "null" not in json.dumps(current["state"])
        wanted, told = (current["state"].get(key, {}) for key in ("desired", "reported"))
        assert (len(others) == 2) == lacks(told, wanted)


def mirrored(state, metadata) -> bool:
    """Whether metadata has the shape of its state, with a time for each value."""
    if isinstance(state, dict):
        return state.keys() == metadata.keys() and all(
            mirrored(state[key], metadata[key]) for key in state
        )
    if isinstance(state, list):
        return len(state) == len(metadata) and all(map(mirrored, state, metadata))
    return list(metadata) == ["timestamp"]


def lacks(told, wanted) -> bool:
    """Whether anything wanted is not told alike."""
    if isinstance(told, dict) and isinstance(wanted, dict):
        return any(key not in told or lacks(told[key], wanted[key]) for key in wanted)
    return json.dumps(told) != json.dumps(wanted)


@FIXTURE
@given(kind=some.sampled_from(["events", "services_reply"]), data=PRODUCT_DATA, wish=VALUES)
def test_any_message_of_a_gateway_leaves_an_order_that_makes_sense(world, kind, data, wish):
    world.store.run("DELETE FROM orders")
    products = Products(world.store, lambda: world.now, lambda text, expires_s: text)
    bid = orders.place(world.store, "pump", [], world.now)
    [order] = products.due()
    body = json.loads(order.payload) | {"data": data, "need_reply": wish}
    body["method"] = "ota_progress" if kind == "events" else "ota_create"
    topic = f"thing/product/pump/{kind}"
    for message in products.handle(topic, json.dumps(body).encode()):
        assert json.loads(message.payload)["data"]["result"] in (0, BAD_PARAMETERS)
    row = orders.shown(world.store, bid)
    assert row["status"] in orders.STATUSES
    assert row["percent"] is None or 0 <= row["percent"] <= 100


IOT = REST("iot", {})
SCOPE = "SLUICETESTS/20260101/us-east-1/s3/aws4_request"
STAMPS = some.sampled_from(["20260101T000000Z", "20260101", "", "99990101T000000Z"])
SIGNED = some.builds(
    "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}".format,
    some.sampled_from([SCOPE, SCOPE[:-1], "", "////"]) | some.text(max_size=20),
    some.sampled_from(["host", "host;x-amz-date", "host;;", ""]) | some.text(max_size=20),
    some.sampled_from(["0" * 64, "", "xyz"]),
)
ARGUMENTS = some.dictionaries(
    some.sampled_from(["X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"]
                      + ["X-Amz-Signature", "Signature", "Expires", "AWSAccessKeyId", "a"]),
    some.sampled_from([SCOPE, "host", "60", "-1", "9" * 40, "SLUICETESTS", "²", "", "0" * 64])
    | STAMPS | some.text(max_size=9),
)  # fmt: skip
HEADERS = some.dictionaries(
    some.sampled_from(["x-amz-content-sha256", "x-amz-else", "content-encoding", "range"]),
    some.sampled_from(["UNSIGNED-PAYLOAD", "aws-chunked", "bytes=0-1", ""])
    | some.text(max_size=9),
)


METHODS = some.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"])
PATHS = some.sampled_from(["/", "/images", "/images/a", "//", "/images//a%2F", "/%FF/%"])
CHUNKS = some.sampled_from(
    [b"0\r\n", b"\r\n", b"3\r\nabc\r\n", b"3;chunk-signature=", b"0" * 64, b"a:b"]
)


@FIXTURE
@given(
    signed=some.none() | SIGNED | some.text(max_size=60),
    stamp=STAMPS,
    arguments=ARGUMENTS,
    more=HEADERS,
    method=METHODS,
    path=PATHS,
)
def test_whatever_claims_a_signature_is_refused_in_the_words_of_the_service(
    world, signed, stamp, arguments, more, method, path
):
    headers = {"host": "localhost", "x-amz-date": stamp} | more
    headers |= {"authorization": signed} if signed is not None else {}
    request = HTTPRequest(method, path, list(arguments.items()), headers, iter((b"{}",)))
    now = 1_767_225_600.0  # 2026-01-01
    answer = S3(world.bucket, KEY, lambda: now)(request)
    assert 400 <= answer.status < 500 and b"<Code>" in answer.body
    request = HTTPRequest(method, path, list(arguments.items()), headers, iter((b"{}",)))
    answer = Signed(IOT, KEY, lambda: now)(request)
    assert (answer.status, "x-amzn-ErrorType" in answer.headers) == (403, True)


@FIXTURE
@given(pieces=some.lists(CHUNKS | some.binary(max_size=9)))
def test_whatever_claims_to_be_chunks_is_read_or_refused(pieces):
    try:
        data = b"".join(unwrapped(iter(pieces), None))
    except (ConnectionError, S3Error):
        return
    assert len(data) <= sum(map(len, pieces))


def asked(world, method: str, path: str, body: bytes):
    """The answer of service "iot" to a request that is proved."""
    body = body.replace(b"H", b'"\\ud800"')  # half a character, as JSON can spell it
    calls = world.job_calls.operations() | world.tag_calls.operations()
    calls |= world.stream_calls.operations()
    names, _, query = path.partition("?")
    pairs = [tuple(pair.split("=")) for pair in query.split("&") if pair]
    return REST("iot", calls)(HTTPRequest(method, names, pairs, {}, iter((body,) if body else ())))


STREAM = (
    '{"roleArn": "arn:aws:iam::1:role/any", '
    '"files": [{"fileId": 1, "s3Location": {"bucket": H, "key": "a"}}]}'
)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/jobs/one", '{"targets": ["x"], "document": "{}", "description": H}'),
        ("PUT", "/jobs/there/cancel", '{"comment": H}'),
        ("POST", "/tags", '{"resourceArn": H, "tags": []}'),
        ("POST", "/streams/s", STREAM),
        ("PUT", "/jobs/there/cancel", '{"reasonCode": NaN}'),
        ("PATCH", "/jobs/there", '{"timeoutConfig": {"inProgressTimeoutInMinutes": true}}'),
        ("GET", "/jobs?maxResults=1_0", ""),
        ("GET", "/jobs?maxResults=\u0661", ""),
        ("GET", "/jobs?maxResults=" + "1" * 5000, ""),
    ],
)
def test_what_no_service_can_store_is_refused_by_each_call(world, method, path, body):
    world.job("there")
    answer = asked(world, method, path, body.encode())
    code = answer.headers["x-amzn-ErrorType"]
    assert (answer.status, code) == (400, "InvalidRequestException")
