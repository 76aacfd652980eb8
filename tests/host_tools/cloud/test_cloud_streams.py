"""MQTT-based file delivery as a device sees it, in JSON and in CBOR."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sluice.cloud.names import arn
from sluice.cloud.store import Store
from sluice.cloud.streams import cbor
from sluice.cloud.things.ca import Authority
from sluice.cloud.things.things import Things

DATA = bytes(n % 251 for n in range(10_000))


def get(world, **request: Any) -> list[tuple[str, Any]]:
    return world.ask("streams/flow/get/json", request)


def code_of(answers: list) -> str:
    [(topic, body)] = answers
    assert topic == "streams/flow/rejected/json", answers
    assert body["o"] == body["code"]
    assert body["m"] == body["message"]
    return body["o"]


@pytest.fixture
def flow(world):
    world.stream(DATA)
    return world


def test_describe_names_version_and_sizes(flow):
    assert flow.ask("streams/flow/describe/json", {"c": "t"}) == [
        (
            "streams/flow/description/json",
            {"c": "t", "s": 1, "d": "", "r": [{"f": 0, "z": 10_000}]},
        )
    ]


@pytest.mark.parametrize("size", [256, 1000, 4096, 9999, 10_000, 131_072])
def test_blocks_of_any_size_make_up_the_file(flow, size):
    count = -(-len(DATA) // size)
    answers = get(flow, f=0, l=size, o=0, n=count, s=1)
    assert [topic for topic, _ in answers] == ["streams/flow/data/json"] * count
    pieces = [base64.b64decode(body["p"]) for _, body in answers]
    assert b"".join(pieces) == DATA
    assert [(body["i"], body["l"]) for _, body in answers] == [
        (index, len(piece)) for index, piece in enumerate(pieces)
    ]
    assert all(set(body) == {"f", "i", "l", "p"} for _, body in answers)


def test_offset_counts_blocks_and_indexes_are_absolute(flow):
    [(_, body)] = get(flow, f=0, l=4096, o=2, n=1, c="token")
    assert (body["i"], body["l"], body["c"]) == (2, 10_000 - 8192, "token")
    assert base64.b64decode(body["p"]) == DATA[8192:]


def test_each_answer_is_capped_at_128_kib(world):
    world.stream(bytes(1_400_000))
    assert len(get(world, f=0, l=4096, o=0, n=100)) == 32
    assert len(get(world, f=0, l=4096)) == 32
    assert len(get(world, f=0, l=256, o=0, n=5000)) == 512
    assert len(get(world, f=0, l=98_304, o=0, n=3)) == 1


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"f": 0, "l": 255, "n": 1}, "BlockSizeOutOfBounds"),
        ({"f": 0, "l": 131_073, "n": 1}, "BlockSizeOutOfBounds"),
        ({"f": 0, "l": 256, "o": -1, "n": 1}, "OffsetOutOfBounds"),
        ({"f": 0, "l": 256, "o": 98_305, "n": 1}, "OffsetOutOfBounds"),
        ({"f": 0, "l": 256, "n": 98_305}, "BlockCountLimitExceeded"),
        ({"f": 0, "l": 256, "n": -1}, "BlockCountLimitExceeded"),
        ({"f": 0, "l": 256, "b": "00" * 12_288}, "BlockBitmapLimitExceeded"),
        ({"f": 0, "l": 256, "b": "xyz"}, "InvalidRequest"),
        ({"f": 0, "l": 256, "o": 40, "n": 1}, "InvalidRequest"),
        ({"f": 0, "l": 4096, "o": 0, "n": 4}, "InvalidRequest"),
        ({"f": 0, "l": 4096}, "InvalidRequest"),
        ({"f": 0, "l": 4096, "b": "08"}, "InvalidRequest"),
        ({"f": 1, "l": 256, "n": 1}, "ResourceNotFound"),
        ({"f": 0, "l": 256, "n": 1, "s": 2}, "VersionMismatch"),
        ({"f": 0, "n": 1}, "InvalidRequest"),
        ({"l": 256, "n": 1}, "InvalidRequest"),
        ({"f": "0", "l": 256, "n": 1}, "InvalidRequest"),
        ({"f": 0, "l": 256.5, "n": 1}, "InvalidRequest"),
        ({"f": 0, "l": 256, "n": 1, "c": "x" * 65}, "InvalidRequest"),
        ({"f": 0, "l": 256, "n": 1, "c": "\ud800"}, "InvalidJson"),
        ({"f": 0, "l": 256, "n": 1, "c": 7}, "InvalidRequest"),
    ],
)
def test_request_out_of_bounds_is_refused_by_name(flow, request_, code):
    assert code_of(get(flow, **request_)) == code


def test_refusal_repeats_a_good_token_in_both_spellings(flow):
    [(_, body)] = get(flow, f=9, l=256, n=1, c="t")
    assert (body["c"], body["clientToken"]) == ("t", "t")
    [(_, body)] = get(flow, f=9, l=256, n=1, c="x" * 65)
    assert "c" not in body
    assert "clientToken" not in body


@pytest.mark.parametrize("payload", [b"[1]", b"{", b"\xff", b"[" * 100_000])
def test_payload_that_cannot_be_read_is_invalid_json(flow, payload):
    assert code_of(flow.ask("streams/flow/get/json", payload)) == "InvalidJson"


def test_stream_answers_a_thing_only_while_an_open_execution_names_it(flow):
    request = {"f": 0, "l": 256, "n": 1}
    flow.things.create("other")
    for path in ("describe", "get"):
        [(topic, body)] = flow.ask(f"streams/flow/{path}/json", request, thing="other")
        assert (topic, body["o"]) == ("streams/flow/rejected/json", "Unauthorized")
    flow.job("for-other", {"steps": [{"inputs": ["flow"]}]}, thing="other")
    flow.job("near-miss", {"stream": "flow-2", "about": "flow of it"}, thing="other")
    [(topic, _)] = flow.ask("streams/flow/get/json", request, thing="other")
    assert topic == "streams/flow/data/json"
    flow.ask("jobs/for-other/update", {"status": "IN_PROGRESS"}, thing="other")
    assert flow.ask("streams/flow/get/json", request, thing="other")[0][0] == topic
    flow.ask("jobs/for-other/update", {"status": "SUCCEEDED"}, thing="other")
    [(_, body)] = flow.ask("streams/flow/get/json", request, thing="other")
    assert body["o"] == "Unauthorized"


def test_policy_that_names_a_stream_opens_it_and_one_with_a_wildcard_does_not(flow):
    flow.things = Things(flow.store, Authority(flow.state))
    flow.things.create("other")
    identity = flow.things.issue("other").id
    flow.things.attach("other", identity)
    for number, (name, code) in enumerate([("*", "Unauthorized"), ("flow", None)]):
        topic = f"$aws/things/${{iot:Connection.Thing.ThingName}}/streams/{name}/*"
        row = {"Effect": "Allow", "Action": "iot:Publish", "Resource": arn("topic", topic)}
        policy = {"Version": "2012-10-17", "Statement": row}
        flow.things.add_policy(f"p{number}", json.dumps(policy), 0)
        target = arn("cert", identity)
        flow.store.run("INSERT INTO policy_targets VALUES (?, ?)", f"p{number}", target)
        [(_, body)] = flow.ask("streams/flow/describe/json", {}, thing="other")
        assert body.get("o") == code


def test_unknown_stream_is_not_found(world):
    [(topic, body)] = world.ask("streams/none/describe/json")
    assert (topic, body["o"]) == ("streams/none/rejected/json", "ResourceNotFound")


def test_topic_of_no_operation_is_invalid_topic(flow):
    assert code_of(flow.ask("streams/flow/fetch/json")) == "InvalidTopic"


@pytest.mark.parametrize("path", ["data/json", "description/json", "rejected/json", "get/xml"])
def test_topic_of_an_answer_or_no_form_is_not_answered(flow, path):
    assert flow.ask(f"streams/flow/{path}") == []


def test_bitmap_least_significant_bit_is_the_lowest_block(world):
    world.stream(bytes(256 * 60))
    answers = get(world, f=0, l=256, o=20, b="0x130080", n=32)
    assert [body["i"] for _, body in answers] == [20, 21, 24, 43]
    answers = get(world, f=0, l=256, o=20, b="130080", n=2)
    assert [body["i"] for _, body in answers] == [20, 21]


def test_new_version_after_update_stream(flow):
    version = flow.put(b"new", "other.bin")
    where = {"bucket": "images", "key": "other.bin", "version": version}
    flow.stream_calls.update({"streamId": "flow", "files": [{"fileId": 3, "s3Location": where}]})
    [(_, body)] = flow.ask("streams/flow/describe/json")
    assert (body["s"], body["r"]) == (2, [{"f": 3, "z": 3}])
    assert code_of(get(flow, s=1, f=3, l=256, n=1)) == "VersionMismatch"


def test_object_replaced_in_a_plain_bucket_is_an_etag_mismatch(world):
    world.bucket.create("plain")
    world.bucket.publish("plain", "a", world.bucket.write([b"old"]), {})
    files = [{"fileId": 0, "s3Location": {"bucket": "plain", "key": "a"}}]
    world.stream_calls.create({"streamId": "flow", "files": files, "roleArn": "r" * 20})
    world.job("with-flow", {"stream": "flow"})
    world.bucket.publish("plain", "a", world.bucket.write([b"new"]), {})
    assert code_of(get(world, f=0, l=256, n=1)) == "ETagMismatch"
    world.bucket.delete("plain", "a")
    assert code_of(get(world, f=0, l=256, n=1)) == "ResourceNotFound"


def ask_cbor(world, operation: str, request: Any) -> list[tuple[str, Any, bytes]]:
    payload = request if isinstance(request, bytes) else cbor.dumps(request)
    messages = world.streams.handle("pump", ["flow", operation, "cbor"], payload)
    return [(m.topic.rsplit("/", 2)[1], cbor.loads(m.payload), m.payload) for m in messages]


def test_cbor_blocks_are_byte_strings_in_an_indefinite_map(flow):
    bits = b"\x05"
    request = {"c": "rdy", "f": 0, "l": 4096, "o": 0, "b": bits, "n": 3}
    answers = ask_cbor(flow, "get", request)
    assert [(kind, body["i"], body["p"]) for kind, body, _ in answers] == [
        ("data", 0, DATA[:4096]),
        ("data", 2, DATA[8192:]),
    ]
    assert answers[0][2][:1] == b"\xbf"
    assert answers[0][2][-1:] == b"\xff"


@pytest.mark.parametrize(("block", "length"), [(0, 4120), (23, 4120), (256, 4122)])
def test_cbor_message_of_4096_bytes_is_as_long_as_captured_from_aws(world, block, length):
    world.stream(bytes(4096 * 257))
    [(_, _, raw)] = ask_cbor(world, "get", {"c": "rdy", "f": 0, "l": 4096, "o": block, "n": 1})
    assert len(raw) == length


def test_cbor_request_of_the_file_streams_library_gets_its_block(flow):
    request = {"s": 1, "f": 0, "l": 4096, "o": 2, "n": 1, "b": b"MQ=="}
    [(kind, body, _)] = ask_cbor(flow, "get", request)
    assert (kind, body["i"]) == ("data", 2)


def test_cbor_describe_and_refusal_answer_in_cbor(flow):
    [(kind, body, _)] = ask_cbor(flow, "describe", {"c": "t"})
    assert (kind, body["r"]) == ("description", [{"f": 0, "z": 10_000}])
    for payload in (b"\xbf", b"\xff", b"\x01", b"{}", b"\x81" * 5000):
        [(kind, body, _)] = ask_cbor(flow, "get", payload)
        assert (kind, body["o"]) == ("rejected", "InvalidCbor")


@pytest.mark.parametrize(
    "value",
    [0, 23, 24, 255, 256, 65_536, 2**32, -1, -500, "", "é" * 30, b"", b"x" * 300, [], [1, [2]],
     {}, {"a": {"b": b"c"}}, True, False, None],
)  # fmt: skip
def test_cbor_value_survives_the_way_there_and_back(value):
    assert cbor.loads(cbor.dumps(value)) == value


@pytest.mark.parametrize(
    ("data", "value"),
    [  # examples of RFC 8949, appendix A
        ("1bffffffffffffffff", 2**64 - 1),
        ("3903e7", -1000),
        ("5f42010243030405ff", bytes((1, 2, 3, 4, 5))),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
    ],
)
def test_cbor_reads_the_examples_of_its_standard(data, value):
    assert cbor.loads(bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    "data", ["", "18", "1c", "41", "61ff", "8101ff", "ff", "0000", "bf61", "bf6161ff", "c000",
             "82ff00", "5f6161ff", "a1f600", "fb3ff199999999999a"],
)  # fmt: skip
def test_cbor_refuses_what_is_broken_or_of_no_use(data):
    with pytest.raises(ValueError):
        cbor.loads(bytes.fromhex(data))


def test_json_keys_come_in_the_documents_order(flow):
    [message] = flow.streams.handle(
        "pump",
        ["flow", "get", "json"],
        json.dumps({"c": "t", "f": 0, "l": 10_000, "n": 1}).encode(),
    )
    assert message.payload.startswith(b'{"c":"t","f":0,"i":0,"l":10000,"p":"')
    assert message.qos == 0


def test_second_request_asks_the_store_only_whether_anything_has_changed(flow):
    said: list[str] = []
    get(flow, f=0, l=4096, o=0, n=1)
    flow.store._db.set_trace_callback(said.append)
    get(flow, f=0, l=4096, o=1, n=2)
    flow.store._db.set_trace_callback(None)
    assert said == ["PRAGMA data_version"]


@pytest.mark.parametrize("other", [False, True])
def test_what_was_looked_up_is_forgotten_when_anybody_changes_the_store(flow, other):
    assert len(get(flow, f=0, l=4096, n=3)) == 3
    store = Store(flow.state.database) if other else flow.store
    store.run("UPDATE executions SET status = 'CANCELED'")
    assert code_of(get(flow, f=0, l=4096, n=3)) == "Unauthorized"
    store.run("UPDATE executions SET status = 'QUEUED'")
    assert len(get(flow, f=0, l=4096, n=3)) == 3
    store.run("DELETE FROM objects")
    assert code_of(get(flow, f=0, l=4096, n=3)) == "ResourceNotFound"
    if other:
        store.close()


def test_file_of_a_stream_is_opened_once(flow, monkeypatch):
    opened = []
    real = Path.open

    def count(self, *words, **more):
        opened.append(self)
        return real(self, *words, **more)

    monkeypatch.setattr(Path, "open", count)
    for _ in range(3):
        assert len(get(flow, f=0, l=1000, n=10)) == 10
    assert len(opened) == 1
