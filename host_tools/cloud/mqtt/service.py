"""The cloud's own MQTT client: requests in, answers and notices out.

It asks for its topics with MQTT 5's "no local", so that it never hears itself. `HANDLERS` of the
caller is {topic filter: handler(topic, payload) → messages}: a new service is one more row.
"""

import json
import logging
from collections.abc import Callable, Mapping
from threading import Event, RLock

import paho.mqtt.client as mqtt
from paho.mqtt.matcher import MQTTMatcher
from paho.mqtt.subscribeoptions import SubscribeOptions

from sluice.cloud.faults import Faults
from sluice.cloud.jobs.over_mqtt import owner
from sluice.cloud.message import Message
from sluice.cloud.mqtt.broker import Broker
from sluice.cloud.mqtt.client import own, start, unguessable
from sluice.cloud.mqtt.control import COMMANDS
from sluice.cloud.things.things import SERVICE, Things
from sluice.errors import SluiceError

Handler = Callable[[str, bytes], list[Message]]

NO_RETAINED = SubscribeOptions.RETAIN_DO_NOT_SEND  # an old request is no request
READY_S = 10
KICK_S = 5
LOG = logging.getLogger("sluice.cloud")


def of_things(handle: Callable[[str, list[str], bytes], list[Message]]) -> Handler:
    """A handler of `$aws/things/T/<service>/…` from one of (T, further levels, payload)."""

    def run(topic: str, payload: bytes) -> list[Message]:
        found = owner(topic)
        return handle(found[0], found[2], payload) if found else []

    return run


class Service:
    """Connects handlers to the broker, through the faults."""

    def __init__(self, broker: Broker, things: Things, faults: Faults) -> None:
        self._broker = broker
        self._things = things
        self._faults = faults
        self._handlers: Mapping[str, Handler] = {}
        self._matcher = MQTTMatcher()  # of the same: it is made once
        self._lock = RLock()  # one request at a time: its answer and notices stay together
        self._client: mqtt.Client | None = None
        self._awaited: set[int] = set()
        self._ready = Event()

    def start(self, handlers: Mapping[str, Handler]) -> None:
        """Connect and subscribe; SluiceError when that does not happen."""
        self._handlers = handlers
        for wanted, handler in handlers.items():
            self._matcher[wanted] = handler
        client = own(self._broker, unguessable(SERVICE), mqtt.MQTTv5)
        client.max_inflight_messages_set(1000)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        start(client, self._broker)
        self._client = client
        if not self._ready.wait(READY_S):
            self.stop()
            raise SluiceError("the cloud's service cannot reach its own broker")

    def stop(self) -> None:
        """Disconnect."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _on_connect(self, client, userdata, flags, reason, properties) -> None:
        if reason.is_failure:
            LOG.error("the broker refuses the service: %s", reason)
            return
        options = SubscribeOptions(qos=1, noLocal=True, retainHandling=NO_RETAINED)
        wanted = [(topic, options) for topic in self._handlers]
        self._awaited = {client.subscribe(wanted)[1]}

    def _on_subscribe(self, client, userdata, number, reasons, properties) -> None:
        if number in self._awaited and not any(reason.is_failure for reason in reasons):
            self._ready.set()

    def _on_message(self, client, userdata, message) -> None:
        try:
            self.receive(message.topic, message.payload)
        except Exception:  # one bad request must not end the service
            LOG.exception("on %s", message.topic)

    def receive(self, topic: str, payload: bytes) -> None:
        """Handle one publication of a thing."""
        with self._lock:
            instead = self._faults.before(topic, payload)
            if instead is not None:
                self.publish(instead)
                return
            for handler in self._matcher.iter_match(topic):
                self.publish(handler(topic, payload))

    def publish(self, messages: list[Message]) -> None:
        """Send messages, in their order, as far as the faults let them."""
        with self._lock:
            for message in self._faults.after(messages, self.kick):
                if self._client is not None:
                    self._client.publish(message.topic, message.payload, message.qos)

    def forward(self, message: Message) -> None:
        """Publish for someone without a session, and handle it like a thing's publication."""
        with self._lock:
            self.publish([message])
            self.receive(message.topic, message.payload)

    def kick(self, thing: str) -> None:
        """End a thing's sessions. In one connection with what was published: it comes behind."""
        for row in self._things.principals(thing):
            names = {"username": row["common_name"]}
            commands = [{"command": f"{word}Client"} | names for word in ("disable", "enable")]
            if self._client is not None:
                self._client.publish(COMMANDS, json.dumps({"commands": commands}), 1)

    def end(self, client: str) -> None:
        """End the session of a client id, by taking it over."""
        made, there = own(self._broker, client), Event()
        made.on_connect = lambda *_: there.set()
        made.connect("localhost", self._broker.port)
        made.loop_start()
        there.wait(KICK_S)
        made.disconnect()
        made.loop_stop()
