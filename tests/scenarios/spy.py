"""Who listens in on a thing: every block sent to it, and every word it says, with the payload
of blocks left out.

A second certificate of the thing's makes that possible without being in its way. A spy that loses
the broker comes back by itself, within half a second.
"""

import json
import threading
import time
from collections import Counter
from typing import Any

import paho.mqtt.client as mqtt
from patience import FUSE_S
from stage import Stage

from sluice.cloud.streams import cbor

TOPICS = (
    "streams/+/data/+",
    "streams/+/get/+",
    "streams/+/describe/+",
    "jobs/+/update",
    "jobs/+/update/accepted",
    "jobs/notify-next",
    "shadow/update",
)


class Spy:
    """`heard` is [(topic below the thing's, message)], in the order they came."""

    def __init__(self, stage: Stage) -> None:
        self._prefix = f"$aws/things/{stage.name}/"
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self._granted = threading.Event()
        files = stage.cloud.credentials(stage.name, stage.folder)
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.tls_set(str(stage.cloud.state.root_ca), str(files[0]), str(files[1]))
        self._client.reconnect_delay_set(0.1, 0.5)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._granted.set()
        self._client.on_message = self._hear
        self._client.connect("localhost", stage.cloud.state.running()["mqtt_port"])
        self._client.loop_start()
        assert self._granted.wait(FUSE_S)

    def _subscribe(self, client, userdata, flags, reason, properties) -> None:
        client.subscribe([(self._prefix + topic, 1) for topic in TOPICS])

    def _hear(self, client, userdata, message) -> None:
        read = cbor.loads if message.topic.endswith("/cbor") else json.loads
        try:
            body = read(message.payload)
        except ValueError:
            return  # what a test says that is no message
        if isinstance(body, dict):
            body.pop("p", None)
            self.hear(message.topic.removeprefix(self._prefix), body)

    def hear(self, topic: str, body: dict[str, Any]) -> None:
        """Note a message."""
        self.heard.append((topic, body))

    def say(self, topic: str, body: dict[str, Any] | bytes) -> None:
        """Publish below the thing's topic, as if the cloud did."""
        payload = body if isinstance(body, bytes) else json.dumps(body)
        self._client.publish(self._prefix + topic, payload, 1).wait_for_publish(FUSE_S)

    def listen(self, topics: str) -> None:
        """Hear these too, by their whole names."""
        self._granted.clear()
        self._client.subscribe(topics, 1)
        assert self._granted.wait(FUSE_S)

    def tell(self, topic: str, body: dict[str, Any]) -> None:
        """Publish to a topic by its whole name."""
        self._client.publish(topic, json.dumps(body), 1).wait_for_publish(FUSE_S)

    def close(self) -> None:
        """Stop listening."""
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def blocks(self) -> Counter[int]:
        """How often each block was sent, by its index."""
        return Counter(body["i"] for topic, body in self.heard if "/data/" in topic)

    @property
    def notices(self) -> list[dict[str, Any]]:
        """The notices of a next job that was there."""
        return [body for topic, body in self.heard if "notify-next" in topic and len(body) > 1]

    @property
    def again(self) -> int:
        """Blocks sent more often than once."""
        return sum(count - 1 for count in self.blocks.values())

    def told(self, status: str) -> int:
        """How often the board told that status."""
        return sum(
            topic.endswith("/update") and body.get("status") == status
            for topic, body in self.heard
        )

    def accepted(self, status: str, least: int = 1) -> int:
        """How often the cloud accepted that status; waits a little until it did so often."""
        limit = time.monotonic() + FUSE_S
        while self._accepted(status) < least and time.monotonic() < limit:
            time.sleep(0.02)
        return self._accepted(status)

    def _accepted(self, status: str) -> int:
        heard = list(self.heard)
        told = {
            body["clientToken"]
            for topic, body in heard
            if topic.endswith("/update") and body.get("status") == status
        }
        return sum(
            topic.endswith("/accepted") and body.get("clientToken") in told
            for topic, body in heard
        )
