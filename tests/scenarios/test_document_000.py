"""Document 000: a job by `$next/get`, its stream described, its blocks got; with the real broker.

The document's messages are spoken twice: once word for word, by a client as the document's author
used, so that the cloud is proven; once by our board, in the document's order and with its block of
256 bytes. Its file is no firmware, which the board says; the same conversation with an image ends
in SUCCEEDED.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spy import Spy
from stage import Stage, image, soon

VECTORS = Path(__file__).parents[1] / "vectors/000_jobs_and_streams.json"
SAID = {message["name"]: message for message in json.loads(VECTORS.read_text())["messages"]}
THING = "mqttfx"
EXECUTION = json.loads(SAID["execution"]["payload"])["execution"]
STREAM = EXECUTION["jobDocument"]["afr_ota"]["streamname"]
CONTENT = base64.b64decode(json.loads(SAID["data"]["payload"])["p"])
SMALL = 180_225  # bytes: 704 blocks of 256, and one byte
PREFIX = f"$aws/things/{THING}/"


class Author(Spy):
    """The document's client: subscribes to its topics, and hears what the board asks as well."""

    def _subscribe(self, client, userdata, flags, reason, properties) -> None:
        topics = ["jobs/#", "streams/#"]
        client.subscribe([(self._prefix + topic, 1) for topic in topics])

    def ask(self, name: str, answer: str) -> dict[str, Any]:
        """Publish a recorded message; what comes on the recorded topic of its answer."""
        seen = len(self.heard)
        topic = SAID[answer].get("topic") or SAID[answer]["subscription"]
        self.say(SAID[name]["topic"].removeprefix(PREFIX), SAID[name]["payload"].encode())
        return self.wait(topic.removeprefix(PREFIX), seen)

    def wait(self, topic: str, after: int = 0) -> dict[str, Any]:
        """The next message on that topic."""
        return soon(lambda: [body for t, body in self.heard[after:] if t == topic])[0]


@pytest.fixture
def document(cloud, tmp_path) -> Iterator[tuple[Stage, Author]]:
    """(scene, client) of the document's thing, with its stream; its board is off."""
    scene = Stage(cloud, THING, tmp_path, block=256, window=4_096)
    scene.stream(CONTENT, STREAM)
    client = Author(scene)
    yield scene, client
    client.close()
    scene.board.stop()
    scene.board.flash.release()
    cloud.calls.iot.delete_stream(streamId=STREAM)
    cloud.calls.iot.delete_job(jobId=EXECUTION["jobId"], force=True)
    cloud.forget(THING)


def members(body: dict[str, Any]) -> dict[str, Any]:
    """A message without what is another each time: times."""
    return {key: value for key, value in body.items() if not key.endswith(("At", "timestamp"))}


# --- word for word ------------------------------------------------------------------------------


def test_author_speaks_word_for_word_with_the_cloud(document):
    scene, client = document
    scene.job(EXECUTION["jobDocument"], EXECUTION["jobId"])
    client.say("jobs/start-next", b"")  # the document's job is in progress already
    client.wait("jobs/start-next/accepted")
    answer = client.ask("next", "execution")
    assert list(answer) == list(json.loads(SAID["execution"]["payload"]))
    assert list(answer["execution"]) == list(EXECUTION)
    assert members(answer["execution"]) == members(EXECUTION)

    described = client.ask("describe", "description")
    wanted = json.loads(SAID["description"]["payload"])
    assert list(described) == list(wanted)
    assert described | {"d": wanted["d"]} == wanted

    block = client.ask("get", "data")
    wanted = json.loads(SAID["data"]["payload"])
    wanted.pop("p")  # the spy leaves it out
    assert block == wanted


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"f": 1}, "ResourceNotFound"),
        ({"s": 2}, "VersionMismatch"),
        ({"l": 255}, "BlockSizeOutOfBounds"),
        ({"l": 131_073}, "BlockSizeOutOfBounds"),
        ({"o": 1}, "InvalidRequest"),
        ({"n": -1}, "BlockCountLimitExceeded"),
        ({"o": -1}, "OffsetOutOfBounds"),
    ],
)
def test_author_hears_on_the_rejected_topic_why_a_request_is_refused(document, changes, code):
    scene, client = document
    scene.job(EXECUTION["jobDocument"], EXECUTION["jobId"])
    request = json.loads(SAID["get"]["payload"]) | changes
    client.say(SAID["get"]["topic"].removeprefix(PREFIX), request)
    refusal = client.wait(SAID["hear_rejected"]["subscription"].removeprefix(PREFIX))
    assert (refusal["o"], refusal["c"]) == (code, request["c"])
    assert refusal["m"]


# --- the board ----------------------------------------------------------------------------------


def conversation(client: Author) -> list[str]:
    """The topics of the document's messages in the order that they came, each once."""
    topics = [message["topic"] for message in SAID.values() if "topic" in message]
    wanted = [topic.removeprefix(PREFIX) for topic in topics]
    return list(dict.fromkeys(topic for topic, _ in client.heard if topic in wanted))


def test_board_takes_the_documents_messages_and_says_that_it_is_no_firmware(document, release):
    scene, client = document
    scene.job(EXECUTION["jobDocument"], EXECUTION["jobId"])
    scene.power_on()
    verdict = scene.verdict(EXECUTION["jobId"])
    assert verdict.status == "FAILED" and verdict.reason.startswith("not an"), scene.tail
    names = ("next", "execution", "describe", "description", "get", "data")
    said, topics = (
        conversation(client),
        [SAID[name]["topic"].removeprefix(PREFIX) for name in names],
    )
    assert said[:3] == topics[:3] and set(said) == set(topics)
    for request, answer in zip(topics[::2], topics[1::2], strict=True):
        assert said.index(request) < said.index(answer)  # `get` does not wait for `description`
    for name in ("next", "describe", "get"):
        topic = SAID[name]["topic"].removeprefix(PREFIX)
        wanted = json.loads(SAID[name]["payload"])
        token = "clientToken" if "clientToken" in wanted else "c"
        sent = next(body for t, body in client.heard if t == topic)
        wanted.pop("s", None)  # of `get`: the version is not known yet
        assert sent.pop(token).startswith("sluice-") and wanted.pop(token)
        assert sent == wanted, name


@pytest.mark.parametrize("form", ["json", "cbor"])
def test_board_walks_the_whole_conversation_to_an_update(cloud, stage, form):
    scene = stage(cloud, block=256, window=16_384, stream_format=form)
    client = Author(scene)
    new = image("1.1.0", SMALL)
    stream = scene.stream(new)
    scene.power_on()
    job = scene.job(scene.document(new, {"streamname": stream}, filepath="/"))
    verdict = scene.verdict(job)
    client.close()
    assert verdict.status == "SUCCEEDED", scene.tail
    assert scene.board.slot_bytes("ota_1", len(new)) == new

    said = [topic for topic, _ in client.heard if topic.startswith("streams/")]
    steps = [
        f"streams/{stream}/{word}/{form}" for word in ("describe", "description", "get", "data")
    ]
    assert said[0] == steps[0] and set(said) == set(steps)  # the first block is asked for at once
    [described] = [body for topic, body in client.heard if topic == steps[1]]
    assert (described["s"], described["r"]) == (1, [{"f": 0, "z": SMALL}])
    asked = [body for topic, body in client.heard if topic == steps[2]]
    assert asked[0] == {"c": asked[0]["c"], "f": 0, "l": 256, "o": 0, "n": 1}
    assert {(body["s"], body["f"], body["l"]) for body in asked[1:]} == {(1, 0, 256)}
    blocks = [body for topic, body in client.heard if topic == steps[3]]
    assert {body["i"] for body in blocks} == set(range(705))
    assert {body["i"]: body["l"] for body in blocks}[704] == 1


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "cbor"])
def test_board_says_why_the_stream_cannot_be_had(cloud, stage, form):
    scene = stage(cloud, stream_format=form)
    scene.power_on()
    new = image("1.1.0", SMALL)
    stream = scene.stream(new)
    right = scene.document(new, {"streamname": stream})
    for document, reasons in (
        (scene.document(new, {"streamname": "none"}), ["stream rejected: ResourceNotFound"]),
        # the description and the first block are asked for together: either answer comes first
        (
            scene.document(new, {"streamname": stream}, fileid=7),
            ["stream has no file 7, but 0", "stream rejected: ResourceNotFound no file 7"],
        ),
        (
            scene.document(new, {"streamname": stream}, filesize=SMALL - 1),
            [f"file size is not the stream's {SMALL}"],
        ),
    ):
        verdict = scene.verdict(scene.job(document))
        assert verdict.status == "FAILED", scene.tail
        assert verdict.reason.startswith(tuple(reasons)), scene.tail
        assert scene.board.lines.count("reset: machine.reset") == 0
    assert scene.verdict(scene.job(right)).status == "SUCCEEDED", scene.tail


def test_board_rejects_files_that_cannot_be_taken_together(cloud, stage):
    scene = stage(cloud)
    scene.power_on()
    document = scene.document(image("1.1.0", SMALL))
    [new] = document["afr_ota"]["files"]
    other = new | {"fileType": 1, "filesize": 4}
    for files, reason in (
        ([new, new], "more than one image"),
        ([new, other | {"filepath": "/a/../../b"}], "path leaves its folder"),
        ([new, *[other | {"filepath": "/data/a"}] * 2], "two files at /data/a"),
        ([new, *(other | {"filepath": f"/{n}"} for n in range(10))], "out of bounds at files"),
    ):
        document["afr_ota"]["files"] = files
        verdict = scene.verdict(scene.job(document))
        assert verdict.status == "REJECTED" and reason in verdict.reason, (verdict, scene.tail)


@pytest.mark.parametrize(
    ("rule", "status", "reason"),
    [
        (
            {"topic": "/get/cbor", "code": "ETagMismatch"},
            "FAILED",
            "stream rejected: ETagMismatch",
        ),
        ({"topic": "/get/cbor", "code": "InternalError", "times": 2}, "SUCCEEDED", "accepted v"),
        ({"topic": "/describe/", "code": "Unauthorized"}, "FAILED", "stream rejected: Unauth"),
        (
            {"topic": "/get/cbor", "code": "VersionMismatch"},
            "FAILED",
            "stream rejected: VersionMismatch",
        ),
        (
            {"topic": "/get/cbor", "code": "BlockSizeOutOfBounds"},
            "FAILED",
            "stream rejected: BlockSizeOutOfBounds",
        ),
    ],
)
def test_board_hears_on_the_rejected_topic_and_tells_or_tries_again(
    faulty, stage, rule, status, reason
):
    scene = stage(faulty(reject=rule), stream_format="cbor")
    scene.power_on()
    verdict = scene.verdict(scene.job(scene.document(image("1.1.0", SMALL))))
    assert verdict.status == status and verdict.reason.startswith(reason), scene.tail


def test_stream_that_does_not_describe_itself_is_had_all_the_same(faulty, stage):
    scene = stage(faulty(silence={"topic": "/describe/"}))
    board = scene.power_on()
    job = scene.job(scene.document(image("1.1.0", SMALL)))
    assert scene.verdict(job).status == "SUCCEEDED", scene.tail
    board.wait_for("stream not described")
