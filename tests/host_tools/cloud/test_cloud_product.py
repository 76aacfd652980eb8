"""The thing/product platform: orders, attempts, replies, progress; as document 004 shows them."""

import hashlib
import json
import urllib.request
from pathlib import Path

import pytest
from patience import FUSE_S

from sluice.cloud.product import orders
from sluice.cloud.product.platform import ATTEMPTS, BAD_PARAMETERS, REPLY_S, Products
from sluice.commands import product
from sluice.errors import SluiceError
from sluice.image.seal import unsealed

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/004_product.json").read_text())
SAID = {message["name"]: json.loads(message["payload"]) for message in VECTORS["messages"]}
GATEWAY = "pump"  # the thing that a world has


class Platform:
    """The platform over a world's store, its clock and one order."""

    def __init__(self, world) -> None:
        self.world = world
        self.products = Products(world.store, lambda: world.now, lambda text, s: f"{text} ")
        devices = SAID["order"]["data"]["devices"]
        self.bid = orders.place(world.store, GATEWAY, devices, world.now)
        self.tid = ""

    def send(self) -> dict:
        """The order's next attempt."""
        [message] = self.products.due()
        assert message.topic == f"thing/product/{GATEWAY}/services"
        body = json.loads(message.payload)
        self.tid = body["tid"]
        return body

    def tell(self, kind: str, body: dict | bytes, gateway: str = GATEWAY) -> list[dict]:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        messages = self.products.handle(f"thing/product/{gateway}/{kind}", payload)
        assert all(one.topic == f"thing/product/{gateway}/{kind}_reply" for one in messages)
        return [json.loads(message.payload) for message in messages]

    def reply(self, **data) -> None:
        said = SAID["reply"] | {"tid": self.tid, "bid": self.bid}
        assert self.tell("services_reply", said | {"data": data or said["data"]}) == []

    def progress(self, status: str = "in_progress", percent=10, step=None, **more) -> list[dict]:
        progress = {"percent": percent, "step_key": step or "download_firmware"}
        output = {"status": status, "progress": progress}
        said = SAID["progress"] | {"bid": self.bid, "data": {"result": 0, "output": output}}
        return self.tell("events", said | more)

    @property
    def row(self) -> dict:
        return orders.shown(self.world.store, self.bid)

    @property
    def status(self) -> str:
        return self.row["status"]


@pytest.fixture
def platform(world):
    return Platform(world)


def test_document_004_order_goes_out_with_the_recorded_members(platform):
    body, said = platform.send(), SAID["order"]
    assert body["data"] == said["data"]
    assert {"timestamp:" if key == "timestamp" else key for key in body} == set(said)
    assert (body["method"], body["bid"]) == ("ota_create", platform.bid)
    assert platform.products.due() == []


def test_document_004_reply_and_progress_move_the_order_on(platform):
    platform.send()
    platform.reply()
    assert platform.status == "in_progress"
    said = SAID["progress"] | {"bid": platform.bid}
    assert platform.tell("events", said) == []
    row = platform.row
    assert (row["status"], row["percent"], row["step"]) == ("in_progress", 10, "download_firmware")
    platform.progress("ok", 100, "upgrade_firmware")
    row = platform.row
    assert (row["status"], row["percent"], row["step"]) == ("ok", 100, "upgrade_firmware")
    kinds = ["services", "services_reply", "events", "events"]
    assert [message["kind"] for message in row["messages"]] == kinds


def test_order_without_a_reply_is_sent_three_times_with_new_tids_and_times_out(platform):
    tids = []
    for _ in range(ATTEMPTS):
        body = platform.send()
        assert body["bid"] == platform.bid
        tids.append(body["tid"])
        platform.world.now += REPLY_S - 0.1
        assert platform.products.due() == []
        platform.world.now += 0.1
    assert len(set(tids)) == ATTEMPTS == 3
    assert platform.products.due() == []
    assert (platform.status, platform.row["attempts"]) == ("timeout", 3)


def test_progress_just_before_the_last_attempt_is_over_is_not_taken_back(platform):
    for _ in range(ATTEMPTS):
        platform.send()
        platform.world.now += REPLY_S
    platform.world.meanwhile(platform.progress)
    assert platform.products.due() == []
    assert platform.status == "in_progress"
    platform.progress("ok", 100)
    assert platform.status == "ok"


def test_reply_to_an_earlier_attempt_is_lost(platform):
    early = platform.send()["tid"]
    platform.world.now += REPLY_S
    late = platform.send()["tid"]
    platform.tid = early
    platform.reply()
    assert platform.status == "sent"
    platform.tid = late
    platform.reply()
    assert platform.status == "in_progress"
    platform.world.now += REPLY_S
    assert platform.products.due() == []


def test_progress_before_the_reply_ends_the_attempts_and_is_not_taken_back(platform):
    platform.send()
    platform.progress(percent=40)
    platform.reply(result=0, output={"status": "sent"})
    platform.world.now += REPLY_S
    assert platform.products.due() == []
    assert (platform.status, platform.row["percent"]) == ("in_progress", 40)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"result": 0, "output": {"status": "in_progress"}}, "in_progress"),
        ({"result": 0}, "sent"),
        ({"result": 312015}, "failed"),
        ({"result": 312015, "output": {"status": "rejected"}}, "rejected"),
        ({"result": 1, "output": {"status": "ok"}}, "failed"),
    ],
)
def test_reply_with_its_result_decides_the_status(platform, data, status):
    platform.send()
    platform.reply(**data)
    assert (platform.status, platform.row["result"]) == (status, data["result"])


@pytest.mark.parametrize("status", orders.FINAL)
def test_final_status_stays_whatever_comes_later(platform, status):
    platform.send()
    platform.reply()
    platform.progress(status, 70)
    [answer] = platform.progress("in_progress", 80, need_reply=1)
    assert (platform.status, platform.row["percent"]) == (status, 70)
    assert answer["data"] == {"result": 0}


@pytest.mark.parametrize("status", [one for one in orders.STATUSES if one not in orders.FINAL])
def test_passing_status_is_shown(platform, status):
    platform.send()
    platform.progress(status)
    assert platform.status == status


@pytest.mark.parametrize("wish", [1, True])
def test_event_that_needs_a_reply_gets_one_with_its_own_ids(platform, wish):
    platform.send()
    [answer] = platform.progress(tid="event-1", need_reply=wish, gateway=GATEWAY)
    assert (answer["tid"], answer["bid"]) == ("event-1", platform.bid)
    assert (answer["method"], answer["data"]) == ("ota_progress", {"result": 0})


@pytest.mark.parametrize("wish", [0, False, None])
def test_event_that_needs_no_reply_gets_none(platform, wish):
    platform.send()
    assert platform.progress(need_reply=wish) == []


def test_step_is_understood_in_its_newer_spelling(platform):
    platform.send()
    output = {"status": "in_progress", "progress": {"percent": 5, "current_step": 2}}
    platform.progress(data={"result": 0, "output": output})
    assert platform.row["step"] == "upgrade_firmware"


@pytest.mark.parametrize(
    "wrong",
    [
        {"bid": "another"},
        {"method": "ota_dance"},
        {"gateway": "someone-else"},
        {"data": []},
        {"data": {"result": "0", "output": {"status": "ok"}}},
        {"data": {"result": 1 << 70, "output": {"status": "ok"}}},
        {"data": {"result": 0}},
        {"data": {"result": 0, "output": {"status": "done"}}},
        {"data": {"result": 0, "output": {"status": "ok", "progress": [1]}}},
        {"data": {"result": 0, "output": {"status": "ok", "progress": {"percent": 101}}}},
        {"data": {"result": 0, "output": {"status": "ok", "progress": {"percent": "9"}}}},
        {"data": {"result": 0, "output": {"status": "ok", "progress": {"step_key": "x"}}}},
        {"data": {"result": 0, "output": {"status": "ok", "progress": {"current_step": 3}}}},
    ],
)
def test_event_that_makes_no_sense_is_told_so_and_changes_nothing(platform, wrong):
    platform.send()
    [answer] = platform.progress(**({"need_reply": 1} | wrong))
    assert answer["data"] == {"result": BAD_PARAMETERS}
    assert platform.status == "sent"


INFINITE = b'{"bid":"b","tid":"t","need_reply":1,"method":1e400}'


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b"\xff", b'{"bid":1,"tid":2}', INFINITE])
@pytest.mark.parametrize("kind", ["events", "services_reply"])
def test_garbage_is_not_answered(platform, kind, payload):
    assert platform.tell(kind, payload) == []


def test_order_of_another_gateway_cannot_be_moved(platform):
    platform.world.things.create("thief")
    tid = platform.send()["tid"]
    said = SAID["reply"] | {"tid": tid, "bid": platform.bid}
    platform.tell("services_reply", said, gateway="thief")
    said = SAID["progress"] | {"bid": platform.bid, "need_reply": 1}
    [answer] = platform.tell("events", said, gateway="thief")
    assert (answer["data"], platform.status) == ({"result": BAD_PARAMETERS}, "sent")


def test_order_survives_a_new_process(platform, world):
    platform.send()
    world.now += REPLY_S
    again = Products(world.store, lambda: world.now, lambda text, s: text)
    assert len(again.due()) == 1


@pytest.fixture
def gateway(cloud, device, tmp_path):
    """A gateway on the real broker that hears its orders, and an image to order."""
    thing = device(cloud, "gateway1", listen=False)
    topics = [f"thing/product/gateway1/{kind}" for kind in ("services", "events_reply")]
    assert not any(code.is_failure for code in thing.subscribe(*topics))
    (tmp_path / "gate.bin").write_bytes(bytes(range(256)) * 20)
    return thing, tmp_path / "gate.bin"


def test_order_by_the_command_reaches_the_gateway_with_a_file_that_can_be_had(
    cloud, gateway, command
):
    thing, image = gateway
    done = command(
        "product", "order", "--state", cloud.state.root, "--gateway", "gateway1",
        "--device", f"gateway1={image}", "--device", "sensor9", "--version", "2.1", "--type", "2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    body = json.loads(thing.message().payload)
    own, other = body["data"]["devices"]
    assert body["bid"] == done.stdout.strip()
    assert other == {"sn": "sensor9", "product_version": "2.1", "firmware_upgrade_type": 2}
    with urllib.request.urlopen(own["file_url"]) as answer:
        data = answer.read()
    assert (hashlib.md5(data).hexdigest(), len(data)) == (own["md5"], own["file_size"])
    size, algorithm, _ = unsealed(data)
    assert (data[:size], algorithm) == (image.read_bytes(), "ECDSA")
    assert (own["sn"], own["file_name"]) == ("gateway1", "gate.bin")
    assert own["file_url"].startswith("http://127.0.0.1:")

    def publish(kind: str, data: dict, **more) -> None:
        said = {"tid": body["tid"], "bid": body["bid"], "timestamp": 1, "data": data} | more
        thing.client.publish(f"thing/product/gateway1/{kind}", json.dumps(said), 1)

    publish("services_reply", {"result": 0, "output": {"status": "sent"}}, method="ota_create")
    output = {"status": "ok", "progress": {"percent": 100, "step_key": "upgrade_firmware"}}
    told = {"method": "ota_progress", "need_reply": 1}
    publish("events", {"result": 0, "output": output}, **told)
    answer = thing.message()
    assert answer.topic.endswith("/events_reply")
    assert json.loads(answer.payload)["data"] == {"result": 0}
    where = ("--state", cloud.state.root, "--json")
    shown = json.loads(command("product", "show", body["bid"], *where).stdout)
    assert (shown["status"], shown["percent"], shown["attempts"]) == ("ok", 100, 1)
    assert "X-Amz-Signature" not in json.dumps(shown)
    listed = json.loads(command("product", "list", *where).stdout)
    assert (body["bid"], "ok") in [(row["order"], row["status"]) for row in listed]


def test_order_that_no_gateway_answers_ends_and_says_so(cloud, command):
    cloud.thing("asleep")
    state = ("--state", cloud.state.root)
    line = ("--gateway", "asleep", "--device", "asleep", "--version", "1", "--wait")
    done = command("product", "order", *line, "--timeout", str(FUSE_S), *state)
    bid, last = done.stdout.strip(), done.stderr.splitlines()[-1]
    ended = "timeout, the gateway has not answered"
    assert (done.returncode, last) == (1, f"sluice: {bid}: {ended}")
    assert ended in command("product", "show", bid, *state).stdout


def test_order_of_the_document_waited_for_fails_with_the_gateways_result(cloud, gateway, command):
    """Two devices, each of a type of its own, one of them without a file."""
    thing, image = gateway
    heard = []

    def refuse(client, userdata, message) -> None:
        order = json.loads(message.payload)
        heard.append(order["data"]["devices"])
        said = {"tid": order["tid"], "bid": order["bid"], "method": "ota_create"}
        said |= {"timestamp": 1, "data": {"result": 312014}}
        client.publish("thing/product/gateway1/services_reply", json.dumps(said), 1)

    thing.client.on_message = refuse
    done = command(
        "product", "order", "--state", cloud.state.root, "--gateway", "gateway1",
        "--device", f"drone_sn={image}", "--type", "2", "--device", "dock_sn", "--type", "3",
        "--version", "1.00.223", "--wait", "--timeout", str(FUSE_S),
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("failed, result 312014")
    given = {"file_url", "md5", "file_size", "file_name"}  # of the image that is had here
    for device, said in zip(heard[0], SAID["order"]["data"]["devices"], strict=True):
        assert device.keys() == said.keys()
        assert {key: device[key] for key in device.keys() - given} == {
            key: said[key] for key in said.keys() - given
        }


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (("--gateway", "nobody", "--device", "a", "--version", "1"), "unknown thing nobody"),
        (("--gateway", "gateway1", "--device", "a"), "say --version"),
        (("--gateway", "gateway1", "--device", "a=/no/such"), "no such file"),
        (("--gateway", "gateway1", "--device", "a="), "image is missing"),
        (("--gateway", "gateway1", *("--device", "a") * 2, "--version", "1"), "named twice"),
        (("--gateway", "g", *("--device", "a") * 3), "2 devices at most"),
        (("--gateway", "g", "--device", "a", *("--type", "2") * 2), "once for each --device"),
    ],
)
def test_order_that_makes_no_sense_is_refused_in_one_line(cloud, command, more, text):
    done = command("product", "order", "--state", cloud.state.root, *more)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert text in done.stderr


def test_order_unknown_is_refused(cloud, command):
    done = command("product", "show", "nothing", "--state", cloud.state.root)
    assert done.returncode == 1 and "unknown order nothing" in done.stderr


def test_order_deleted_with_its_gateway_is_not_waited_for(platform):
    platform.world.things.delete(GATEWAY)
    with pytest.raises(SluiceError, match=f"^{platform.bid}: the order is gone"):
        product.wait(platform.world.store, platform.bid, 1)


def test_image_that_cannot_be_read_is_said_in_one_line(tmp_path):
    for read in (
        lambda image: product.version_of(None, "a", image),
        lambda image: product.file_of(None, image, None),
    ):
        with pytest.raises(SluiceError, match="^cannot read .*: No such file"):
            read(tmp_path / "gone.bin")


def test_gateway_neither_speaks_nor_hears_on_anothers_topic(cloud, device):
    cloud.thing("gateway1")
    thief = device(cloud, "gateway2", listen=False)
    thief.subscribe(*(f"thing/product/gateway{n}/events_reply" for n in (1, 2)))
    for number in (1, 2):
        said = SAID["progress"] | {"tid": f"tid-{number}", "need_reply": 1}
        thief.client.publish(f"thing/product/gateway{number}/events", json.dumps(said), 1)
    answer = thief.message()  # to the second, and the first would have been before it
    assert answer.topic == "thing/product/gateway2/events_reply"
    assert json.loads(answer.payload)["tid"] == "tid-2"
