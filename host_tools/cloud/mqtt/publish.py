"""The call that publishes over HTTPS: boto3's "iot-data". What it publishes on a reserved topic is
heard by the service of that topic, as if it had come over MQTT. Devices here speak MQTT 3.1.1, so
what MQTT 5 has beside the payload is refused, and so is a message to be retained.
"""

from collections.abc import Callable
from typing import Any

from sluice.cloud.http.reads import reads
from sluice.cloud.message import Message
from sluice.cloud.refusal import invalid

Parameters = dict[str, Any]

TOPIC_BYTES = 256  # AWS's limits
PAYLOAD_BYTES = 128 << 10


class PublishCalls:
    """The call. `forward` publishes one message and has the service hear it, too."""

    def __init__(self, forward: Callable[[Message], None]) -> None:
        self._forward = forward

    def operations(self) -> dict[str, Callable]:
        """{operation of the model: handler}."""
        return {"Publish": self.publish}

    @reads("topic", "payload", "qos", "retain")
    def publish(self, given: Parameters) -> None:
        topic, payload = given["topic"], given.get("payload", b"")
        if given.get("retain"):
            raise invalid("the local cloud publishes nothing retained over HTTPS")
        if topic.startswith("$") and not topic.startswith("$aws/"):
            raise invalid(f"{topic} is a topic of the broker's own")
        if not 0 < len(topic.encode()) <= TOPIC_BYTES or set(topic) & set("+#\0"):
            raise invalid(f"a topic has 1 to {TOPIC_BYTES} bytes, and none of + and #")
        if len(payload) > PAYLOAD_BYTES:
            raise invalid(f"a message has {PAYLOAD_BYTES} bytes at most")
        self._forward(Message(topic, payload, given.get("qos", 0)))
