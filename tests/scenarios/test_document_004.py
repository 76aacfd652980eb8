"""Document 004: an order by thing/product, from `sluice product order` to what the board says."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from stage import HEAP, Stage, good, image, soon

from host_tools.cloud import orders
from host_tools.cloud.store import Store

SMALL = 200_000  # bytes: four requests
ORDER_S = 80  # for an order to end, on a machine that is busy
VECTORS = Path(__file__).parents[1] / "vectors/004_product.json"
SAID = {
    message["name"]: json.loads(message["payload"])
    for message in json.loads(VECTORS.read_text())["messages"]
}


class Orders:
    """Orders to a board that is a gateway, and what it said to each."""

    def __init__(self, scene: Stage) -> None:
        self.scene = scene
        self.where = ("--state", scene.cloud.state.root)

    def place(self, *words: object) -> str:
        """`sluice product order`; the order's bid."""
        line = ("product", "order", *self.where, "--gateway", self.scene.name, *words)
        return good(*line).strip()

    def update(self, new: bytes, *words: object, device: str | None = None) -> str:
        file = self.scene.file(new)
        return self.place("--device", f"{device or self.scene.name}={file}", *words)

    def raw(self, *devices: dict[str, Any]) -> str:
        """An order with exactly these devices."""
        store = Store(self.scene.cloud.state.database)
        try:
            return orders.place(store, self.scene.name, list(devices), time.time())
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

        return soon(ended, ORDER_S)


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
    desk = gateway(heap="80k")
    new = image("1.1.0")
    about = desk.end(desk.update(new))
    assert about["status"] == "ok", desk.scene.tail
    assert desk.scene.board.slot_bytes("ota_1", len(new)) == new
    assert not any("MemoryError" in line for line in desk.scene.board.lines)
