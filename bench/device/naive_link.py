"""The naive client over TLS: `micropython naive_link.py PORT THING STREAM BLOCK SIZE FOLDER`.

Prints the milliseconds from its subscription to the last byte.
"""

import sys
import time

import tls
from gauge import Slot
from naive import Download
from umqtt.simple import MQTTClient

_, port, thing, stream, block, size, folder = sys.argv


class Wrapping:
    """What umqtt.simple imports as ussl."""

    def wrap_socket(sock):  # noqa: N805
        context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(read("certificate.pem.crt"), read("private.pem.key"))
        context.load_verify_locations(read("AmazonRootCA1.pem"))
        return context.wrap_socket(sock, server_hostname="localhost")


def read(name):
    """A file of the thing."""
    with open(folder + "/" + name, "rb") as file:
        return file.read()


sys.modules["ussl"] = Wrapping
client = MQTTClient(thing, "127.0.0.1", int(port), keepalive=1200, ssl=True)
client.connect()
begin = time.ticks_ms()
Download(client, thing, stream, Slot(), int(block)).run(int(size))
print(time.ticks_diff(time.ticks_ms(), begin))
