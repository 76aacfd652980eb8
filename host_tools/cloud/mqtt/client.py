"""An MQTT client with the cloud's own certificate, which may do everything."""

import secrets
import socket
import ssl

import paho.mqtt.client as mqtt

from sluice.cloud.mqtt.broker import Broker

KEEP_ALIVE_S = 30
V3 = mqtt.MQTTProtocolVersion.MQTTv311


def own(
    broker: Broker, name: str, version: mqtt.MQTTProtocolVersion = mqtt.MQTTv311
) -> mqtt.Client:
    """A client of that id, not connected yet."""
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version)
    made.tls_set(
        ca_certs=str(broker.state.root_ca),
        certfile=str(broker.service_certificate),
        keyfile=str(broker.service_key),
        tls_version=ssl.PROTOCOL_TLS_CLIENT,
    )
    made.on_socket_open = at_once
    made.reconnect_delay_set(min_delay=0.2, max_delay=1)
    return made


def at_once(client: mqtt.Client, userdata: object, opened: socket.socket) -> None:
    """Have what is small sent without waiting for more."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def unguessable(name: str) -> str:
    """A client id that nobody else can take over: who does ends the session."""
    return f"{name}-{secrets.token_hex(8)}"


def start(made: mqtt.Client, broker: Broker) -> None:
    """Have it connect, and connect again whenever that is needed."""
    made.connect_async("localhost", broker.port, KEEP_ALIVE_S)
    made.loop_start()
