"""Document 004: an order by thing/product, from `sluice product order` to what the board says."""

import hashlib
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from patience import FUSE_S
from stage import CHECKPOINT, HEAP, Stage, image, soon
from typed import good

from sluice.cloud.product import orders
from sluice.cloud.store import Store
from sluice.commands.product import file_of
from sluice.image.modules import SELF_TESTS
from sluice.signing import new_key

SMALL = 200_000  # bytes: four requests
VECTORS = Path(__file__).parents[1] / "vectors/004_product.json"
SAID = {
    message["name"]: json.loads(message["payload"])
    for message in json.loads(VECTORS.read_text())["messages"]
}


class Orders:
    """Orders to a board that is a gateway, and what it said to each."""

    def __init__(self, scene: Stage, gateway: str | None = None) -> None:
        self.scene = scene
        self.gateway = gateway or scene.name
        self.where = ("--state", scene.cloud.state.root)

    def place(self, *words: object) -> str:
        """`sluice product order`; the order's bid."""
        line = ("product", "order", *self.where, "--gateway", self.gateway, *words)
        return good(*line).strip()

    def update(self, new: bytes, *words: object, device: str | None = None) -> str:
        file = self.scene.file(new)
        return self.place("--device", f"{device or self.scene.name}={file}", *words)

    def raw(self, *devices: dict[str, Any]) -> str:
        """An order with exactly these devices."""
        store = Store(self.scene.cloud.state.database)
        try:
            return orders.place(store, self.gateway, list(devices), time.time())
        finally:
            store.close()

    def now(self, bid: str) -> dict[str, Any]:
        return json.loads(good("product", "show", bid, *self.where, "--json"))

    def end(self, bid: str) -> dict[str, Any]:
        """The order as it ended, with the board's last words."""

        def ended() -> dict[str, Any] | None:
            about = self.now(bid)
            assert self.scene.board.alive, self.scene.tail
            events = [one for one in about["messages"] if one["kind"] == "events"]
            final = events and events[-1]["body"]["data"]["output"]["status"] in orders.FINAL
            return about if about["status"] in orders.FINAL and final else None

        try:
            return soon(ended, FUSE_S)
        except AssertionError:
            raise AssertionError(self.scene.tail) from None


def told(about: dict[str, Any]) -> list[tuple[str, int, str]]:
    """(status, percent, step_key) of each event."""
    events = [
        one["body"]["data"]["output"] for one in about["messages"] if one["kind"] == "events"
    ]
    return [(o["status"], o["progress"]["percent"], o["progress"]["step_key"]) for o in events]


def reason(about: dict[str, Any]) -> str:
    """The reason in the last event."""
    return about["messages"][-1]["body"]["data"]["output"]["ext"]["reason"]


@pytest.fixture
def gateway(cloud, stage):
    """A function: (**config) → the orders to a new board that is a gateway."""

    def made(heap: str = HEAP, **config: Any) -> Orders:
        scene = stage(cloud, dialect="product", **config)
        scene.board.heap = heap
        scene.power_on()
        return Orders(scene)

    return made


def test_order_is_carried_out_and_told_step_by_step(gateway):
    desk = gateway(report_s=1)
    new = image("1.1.0", SMALL)
    bid = desk.update(new)
    about = desk.end(bid)
    assert (about["status"], about["percent"], about["result"]) == ("ok", 100, 0), desk.scene.tail
    assert desk.scene.running == ("ota_1", "1.1.0") and desk.scene.trials == 1
    assert desk.scene.board.slot_bytes("ota_1", len(new)) == new
    kinds = [one["kind"] for one in about["messages"]]
    assert kinds[:2] == ["services", "services_reply"] and set(kinds[2:]) == {"events"}
    heard = told(about)
    assert heard[0] == ("in_progress", 0, "download_firmware")
    assert heard[-3:] == [
        ("in_progress", 92, "upgrade_firmware"),
        ("in_progress", 96, "upgrade_firmware"),
        ("ok", 100, "upgrade_firmware"),
    ]
    assert [percent for _, percent, _ in heard] == sorted(percent for _, percent, _ in heard)


def test_image_of_full_size_arrives_with_a_heap_of_80_kb(gateway):
    desk = gateway(heap="112k")
    new = image("1.1.0")
    about = desk.end(desk.update(new))
    assert about["status"] == "ok", desk.scene.tail
    assert desk.scene.board.slot_bytes("ota_1", len(new)) == new
    assert desk.scene.trials == 1


# -- what an order may name ----------------------------------------------------------------------

PROBE = """
import hashlib
from binascii import hexlify

from sluice.errors import Fail, Gone
from sluice.log import Log
from sluice.jobs.relay import check, relay

log = Log("probe")


async def run(job, device):
    if job.order["product_version"] == "0.0.0":
        raise Gone("someone pressed stop")
    if job.order["product_version"] == "0.0.1":
        raise Fail("it does not answer")
    while job.order["product_version"] == "0.0.2":
        await device.link.wait(bool, 100)
        await device.dialect.still(job)
    if job.order["product_version"] == "9.9.9":
        log.i("waits")
        await device.link.wait(lambda: device.dialect.heard, 30_000)
        await device.dialect.still(job)  # which answers it
    digest = hashlib.sha256()
    size = await relay(job, device, digest.update)
    log.i("probe", size, hexlify(digest.digest()).decode())
    return "updated"
"""


def name(scene: Stage, serial: str) -> None:
    """Have the broker let the board speak under a serial number that is not its thing's name."""
    iot = scene.cloud.calls.iot
    [principal] = iot.list_thing_principals(thingName=scene.name)["principals"]
    iot.create_thing(thingName=serial)
    iot.attach_thing_principal(thingName=serial, principal=principal)


@pytest.fixture
def family(cloud, stage):
    """A function: (**config) → the orders to a gateway that knows the devices s1 and s2."""

    def made(**config: Any) -> Orders:
        devices = {"s1": "probe", "s2": "nowhere"}
        scene = stage(cloud, dialect="product", devices=devices, **config)
        scene.equip("probe", PROBE)
        if "product_id" in config:
            name(scene, config["product_id"])
        scene.power_on()
        return Orders(scene, config.get("product_id"))

    return made


def test_order_for_the_gateway_and_another_device_updates_both(family):
    desk = family()
    new, other = image("1.1.0", SMALL), bytes(range(256)) * 600
    file = desk.scene.folder / "probe.zip"
    file.write_bytes(other)
    mine = f"{desk.scene.name}={desk.scene.file(new)}"
    bid = desk.place("--device", mine, "--device", f"s1={file}", "--version", "1.1", "--type", "2")
    about = desk.end(bid)
    assert (about["status"], about["percent"]) == ("ok", 100), desk.scene.tail
    digest = hashlib.sha256(other).hexdigest()
    assert any(f"probe {len(other)} {digest}" in line for line in desk.scene.board.lines)
    assert desk.scene.running == ("ota_1", "1.1.0")
    heard = told(about)
    assert heard[0] == ("sent", 0, "download_firmware")
    assert ("in_progress", 50, "download_firmware") in heard
    assert [percent for _, percent, _ in heard] == sorted(percent for _, percent, _ in heard)
    ext = about["messages"][-1]["body"]["data"]["output"]["ext"]
    assert ext["devices"] == {desk.scene.name: "ok", "s1": "ok"}


def test_device_that_was_stopped_is_canceled(family):
    desk = family()
    file = desk.scene.folder / "probe.zip"
    file.write_bytes(b"probe")
    about = desk.end(desk.place("--device", f"s1={file}", "--version", "0.0.0"))
    assert about["status"] == "canceled" and reason(about) == "s1: stopped"
    assert desk.scene.running[0] == "ota_0"


def test_order_of_the_document_is_rejected_as_nobody_knows_its_devices(gateway):
    desk = gateway()
    about = desk.end(desk.raw(*SAID["order"]["data"]["devices"]))
    assert (about["status"], about["result"]) == ("rejected", 312022)
    assert reason(about) == "drone_sn: unknown device; dock_sn: unknown device"
    kinds = [one["kind"] for one in about["messages"]]
    assert kinds == ["services", "services_reply", "events"]
    members = {"timestamp:" if key == "timestamp" else key for key in about["messages"][1]["body"]}
    assert members == set(SAID["reply"]) | {"gateway"}


def entry(desk: Orders, new: bytes, sealing: bool = True, **changes: Any) -> dict[str, Any]:
    """An entry for the gateway, with changes; None takes a member away."""
    key = desk.scene.cloud.state.signer_key if sealing else None
    found = {"sn": desk.scene.name, "product_version": "1.1.0", "firmware_upgrade_type": 3}
    found |= file_of(desk.scene.cloud.calls, desk.scene.file(new), key)
    return {name: value for name, value in (found | changes).items() if value is not None}


def outcome(about: dict[str, Any]) -> tuple[str, int, dict[str, str], str]:
    """Status and result of an order, what became of each device, and why."""
    ext = about["messages"][-1]["body"]["data"]["output"]["ext"]
    return about["status"], about["result"], ext["devices"], ext["reason"]


def test_order_ends_as_its_devices_do_under_a_serial_number_that_is_not_the_things_name(family):
    serial = f"dock-{uuid.uuid4().hex[:8]}"
    desk = family(product_id=serial, order_s=12)

    def device(sn: str, version: str, kind: int = 3) -> dict[str, Any]:
        words = {"product_version": version, "firmware_upgrade_type": kind}
        return entry(desk, b"probe", sealing=False, sn=sn, **words)

    about = desk.end(desk.raw(device("s1", "1.0"), device("stranger", "1.0")))
    ends = {"s1": "ok", "stranger": "rejected"}
    assert outcome(about) == ("failed", 312022, ends, "stranger: unknown device")

    about = desk.end(desk.raw(device("s2", "1.0")))  # known, but no operation is there for it
    why = "s2: unknown operation nowhere"
    assert outcome(about) == ("rejected", 312002, {"s2": "rejected"}, why)

    mine = entry(desk, image("1.1.0", SMALL), sn=serial, firmware_upgrade_type=2)
    about = desk.end(desk.raw(device("s1", "0.0.1", 2), mine))
    ends = {"s1": "failed", serial: "canceled"}
    assert outcome(about) == ("failed", 312002, ends, "s1: it does not answer")

    about = desk.end(desk.raw(device("s1", "0.0.2")))  # goes on until the order is late
    why = "s1: not finished in time"
    assert outcome(about) == ("timeout", 312002, {"s1": "timeout"}, why)
    assert desk.scene.running[0] == "ota_0" and not desk.scene.had


# fmt: off
REFUSED = {  # what differs in the entry → status, result and reason
    "no_file":       ({"file_url": None}, "rejected", 312012,
                      "no file, and not the version that runs"),
    "no_md5":        ({"md5": None}, "rejected", 312012, "job document lacks or misstates md5"),
    "no_size":       ({"file_size": None}, "rejected", 312012,
                      "job document lacks or misstates file_size"),
    "size_of_slot":  ({"file_size": 1_568_769}, "rejected", 312002,
                      "image larger than the slot 1568769 1568768"),
    "no_address":    ({"file_url": "ftp://a/b"}, "rejected", 312012,
                      "not an address of a file at file_url"),
    "another_md5":   ({"md5": "0" * 32}, "failed", 312002, "md5 is not the one ordered"),
    "another_size":  ({"file_size": 150_000}, "failed", 312002, "file size is not the server's"),
    "other_version": ({"firmware_upgrade_type": 2, "product_version": "1.2.0"}, "failed", 312017,
                      "version is not the one ordered 1.1.0"),
}
# fmt: on


def test_entries_that_will_not_do_are_told_so_one_after_another(gateway):
    desk = gateway()
    new = image("1.1.0", SMALL)
    for name, (changes, status, result, words) in REFUSED.items():
        about = desk.end(desk.raw(entry(desk, new, **changes)))
        assert (about["status"], about["result"]) == (status, result), (name, desk.scene.tail)
        assert reason(about) == f"{desk.scene.name}: {words}", name
    assert desk.scene.running[0] == "ota_0" and not desk.scene.trials
    assert desk.end(desk.raw(entry(desk, new)))["status"] == "ok"


def test_order_whose_image_carries_no_signature_is_not_obeyed_unless_that_is_allowed(gateway):
    desk = gateway()
    about = desk.end(desk.update(image("1.1.0", SMALL), "--unsigned"))
    assert about["status"] == "failed"
    assert reason(about).endswith("no signature, neither in the order nor in the image")
    assert not desk.scene.trials
    desk = gateway(allow_unsigned=True)
    assert desk.end(desk.update(image("1.1.0", SMALL), "--unsigned"))["status"] == "ok"


def test_order_whose_image_another_key_sealed_is_not_obeyed(gateway, tmp_path):
    desk = gateway()
    new_key(tmp_path / "thief.key")
    about = desk.end(desk.update(image("1.1.0", SMALL), "--key", tmp_path / "thief.key"))
    assert (about["status"], reason(about).endswith(": bad signature")) == ("failed", True)
    assert not desk.scene.trials


def test_order_signed_beside_its_address_needs_no_seal(gateway):
    desk = gateway()
    new = image("1.1.0", SMALL)
    signature = {"sig-sha256-ecdsa": desk.scene.signature(new)}
    assert desk.end(desk.raw(entry(desk, new, sealing=False, **signature)))["status"] == "ok"


def test_consistency_upgrade_to_the_version_that_runs_is_done_at_once(gateway):
    desk = gateway()
    about = desk.end(desk.update(image("1.0.0", SMALL), "--type", "2"))
    assert about["status"] == "ok" and not desk.scene.trials and not desk.scene.had


# -- what may happen on the way ------------------------------------------------------------------


def test_image_that_fails_its_trial_is_told_failed_and_another_order_works(gateway):
    desk = gateway()
    about = desk.end(desk.update(image("1.1.0", SMALL, app=SELF_TESTS["fail"])))
    assert (about["status"], about["step"]) == ("failed", "upgrade_firmware")
    assert reason(about).endswith("rolled back: self-test failed")
    assert told(about)[-1][1] == 96 and desk.scene.running == ("ota_0", "1.0.0")
    assert desk.end(desk.update(image("1.2.0", SMALL)))["status"] == "ok"
    assert desk.scene.running == ("ota_1", "1.2.0")


def test_order_cut_off_by_a_power_cut_goes_on_where_it_was(cloud, stage):
    scene = stage(cloud, dialect="product", report_s=1)
    scene.fuse(230, "nothing")
    scene.power_on()
    desk = Orders(scene)
    new = image("1.1.0")
    about = desk.end(desk.update(new))
    assert about["status"] == "ok", scene.tail
    assert scene.had[0] == 0 and scene.had[1] >= CHECKPOINT
    heard = told(about)
    assert ("paused", "download_firmware") in [(status, step) for status, _, step in heard]
    assert [percent for _, percent, _ in heard] == sorted(percent for _, percent, _ in heard)
    assert [status for status, _, _ in heard].count("ok") == 1


def test_second_order_meanwhile_is_rejected_and_the_first_is_finished(family):
    desk = family()
    file = desk.scene.folder / "probe.zip"
    file.write_bytes(b"probe")
    first = desk.place("--device", f"s1={file}", "--version", "9.9.9")
    desk.scene.board.wait_for("probe waits")
    second = desk.update(image("1.2.0", SMALL))
    about = soon(lambda: (now := desk.now(second))["status"] in orders.FINAL and now, FUSE_S)
    assert (about["status"], about["result"]) == ("rejected", 312014)
    assert desk.end(first)["status"] == "ok"
    assert desk.scene.running == ("ota_0", "1.0.0")


def test_order_sent_again_after_its_end_is_answered_and_runs_once(gateway):
    desk = gateway()
    bid = desk.update(image("1.1.0", SMALL))
    desk.end(bid)
    store = Store(desk.scene.cloud.state.database)
    store.run("UPDATE orders SET status = 'sent', attempts = 0, due_at = 0 WHERE bid = ?", bid)
    store.close()
    about = soon(lambda: (now := desk.now(bid))["status"] == "ok" and now)
    kinds = [one["kind"] for one in about["messages"]]
    assert kinds[-2:] == ["services", "services_reply"] and desk.scene.trials == 1


def test_end_is_told_until_the_platform_answers(own_cloud, stage):
    scene = stage(own_cloud.start({}), dialect="product")
    scene.power_on()
    desk = Orders(scene)
    bid = desk.update(image("1.1.0", SMALL))
    scene.board.wait_for("agent ACTIVATING ready")
    own_cloud.change({"silence": {"topic": "/events"}})
    scene.board.wait_for("no answer")
    assert desk.now(bid)["status"] == "in_progress"
    own_cloud.change({})
    about = desk.end(bid)
    assert about["status"] == "ok" and scene.trials == 1


def test_cloud_that_was_away_hears_the_end_when_it_is_back(own_cloud, stage):
    scene = stage(own_cloud.start(), dialect="product")
    scene.power_on()
    desk = Orders(scene)
    bid = desk.update(image("1.1.0", SMALL))
    scene.board.wait_for("agent ACTIVATING ready")
    own_cloud.kill()
    scene.board.wait_for("attempt failed")
    own_cloud.start()
    assert desk.end(bid)["status"] == "ok"
    assert scene.running == ("ota_1", "1.1.0") and scene.trials == 1
