"""The cloud's own MQTT client: requests in, answers and notices out.

It asks for its topics with MQTT 5's "no local", so that it never hears itself. `HANDLERS` of the
caller is {topic filter: handler(topic, payload) → messages}: a new service is one more row.
"""

import logging
import ssl
from collections.abc import Callable, Mapping
from threading import Event, RLock

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from host_tools.cloud.faults import Faults
from host_tools.cloud.jobs.executions import Message
from host_tools.cloud.jobs.over_mqtt import owner
from host_tools.cloud.mqtt.broker import Broker
from host_tools.cloud.state import State, write_atomically
from host_tools.cloud.things.ca import Authority
from host_tools.cloud.things.things import SERVICE, Things
from host_tools.errors import SluiceError

Handler = Callable[[str, bytes], list[Message]]

NO_RETAINED = SubscribeOptions.RETAIN_DO_NOT_SEND  # an old request is no request
KEEP_ALIVE_S = 30
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

    def __init__(
        self, state: State, broker: Broker, things: Things, authority: Authority, faults: Faults
    ) -> None:
        self._state = state
        self._broker = broker
        self._things = things
        self._authority = authority
        self._faults = faults
        self._handlers: Mapping[str, Handler] = {}
        self._lock = RLock()  # one request at a time: its answer and notices stay together
        self._client: mqtt.Client | None = None
        self._awaited: set[int] = set()
        self._ready = Event()

    def start(self, handlers: Mapping[str, Handler]) -> None:
        """Connect and subscribe; SluiceError when that does not happen."""
        self._handlers = handlers
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=SERVICE, protocol=mqtt.MQTTv5
        )
        self._secure(client, self._broker.service_certificate, self._broker.service_key)
        client.max_inflight_messages_set(1000)
        client.reconnect_delay_set(min_delay=0.2, max_delay=1)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.connect_async("localhost", self._broker.port, KEEP_ALIVE_S)
        client.loop_start()
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

    def _secure(self, client: mqtt.Client, certificate, key) -> None:
        client.tls_set(
            ca_certs=str(self._state.root_ca),
            certfile=str(certificate),
            keyfile=str(key),
            tls_version=ssl.PROTOCOL_TLS_CLIENT,
        )

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
            for wanted, handler in self._handlers.items():
                if mqtt.topic_matches_sub(wanted, topic):
                    self.publish(handler(topic, payload))
                    return

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
        """End a thing's sessions, by taking over each one with a certificate of the same name."""
        for row in self._things.principals(thing):
            key, certificate = self._authority.client(row["common_name"])
            files = self._broker.home / "kick.key", self._broker.home / "kick.crt"
            write_atomically(files[0], key, 0o600)
            write_atomically(files[1], certificate)
            self._take_over(row["common_name"], files[1], files[0])
            for file in files:
                file.unlink()

    def _take_over(self, name: str, certificate, key) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
        self._secure(client, certificate, key)
        there = Event()
        client.on_connect = lambda *_: there.set()
        client.connect("localhost", self._broker.port)
        client.loop_start()
        there.wait(KICK_S)
        client.disconnect()
        client.loop_stop()
