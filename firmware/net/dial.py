"""Opening a session: the packet that begins it, and the answer. Needed only while connecting."""

from micropython import const

from net.packets import packet, text
from net.tcp import dial
from ota.errors import Retry

_CONNECT_MS = const(15_000)

# fmt: off
_REFUSALS = {  # CONNACK return code → what it means; 7 is AWS's own, for a policy that forbids it
    1: "protocol version", 2: "client id", 3: "server unavailable",
    4: "user name", 5: "not authorised", 7: "not authorised",
}
# fmt: on


async def open_session(link, context, clock, clean_session):
    """Connect the link's socket and wait for CONNACK; `link.linked` afterwards.

    raises   Retry with the reason
    """
    link.sock = await dial(link.server, link.port, context, clock)
    link.send(connect_packet(link, clean_session))
    if not await link.wait(lambda: link.connack is not None, _CONNECT_MS):
        raise Retry("no CONNACK")
    if link.connack:
        raise Retry("refused: %s" % _REFUSALS.get(link.connack, link.connack))
    link.linked = True


def connect_packet(client, clean_session):
    """CONNECT from the fields that umqtt.simple's client keeps."""
    flags = clean_session << 1
    parts = [text(client.client_id)]
    if client.lw_topic:
        flags |= 0x04 | client.lw_qos << 3 | bool(client.lw_retain) << 5
        parts += [text(client.lw_topic), text(client.lw_msg)]
    if client.user is not None:
        flags |= 0xC0
        parts += [text(client.user), text(client.pswd)]
    head = b"\x00\x04MQTT\x04" + bytes((flags,)) + client.keepalive.to_bytes(2, "big")
    return packet(0x10, head, *parts)
