"""Opening a connection: a socket, TLS over it, an MQTT session. The board needs it only while it
connects.

The sockets never block. The module of TLS is `tls` on MicroPython 1.23 and later, `ssl` before.
The server's certificate is always required and its name always checked: the defaults of the two
modules differ, so nothing is left to them. A TLS object has no timeouts; the deadline of a silent
peer is the caller's.

With the handshake deferred, `write` returns None until it is done, and its errors come out of
`write` or `read`: hand them to `net.refusals.named`. Under TLS 1.3 a server that refuses our
certificate says so only after our handshake is complete: at the first read.
"""

import select
import socket
from errno import EINPROGRESS

from micropython import const

from sluice.errors import Fail, Retry
from sluice.net.packets import packet, text

try:
    import tls
except ImportError:  # before 1.23
    import ssl as tls

_CONNACK_MS = const(15_000)
_CONNECT_MS = const(15_000)
_LOOK_MS = const(10)
_TCP, _NODELAY = const(6), const(1)  # numbers of Linux and lwIP; not every port names them
_FILE = const(16_384)  # bytes of a credential, at most

# fmt: off
_REFUSALS = {  # CONNACK return code → what it means; 7 is AWS's own, for a policy that forbids it
    1: "protocol version", 2: "client id", 3: "server unavailable",
    4: "user name", 5: "not authorised", 7: "not authorised",
}
# fmt: on


async def open_session(link, tls_context, clock, clean_session):
    """Connect the link's socket and wait for CONNACK; `link.linked` afterwards.

    raises   Retry with the reason
    """
    link.sock, below = await dial(link.server, link.port, tls_context, clock)
    link.send(connect_packet(link, clean_session))
    if not await link.wait(lambda: link.connack is not None, _CONNACK_MS):
        raise Retry("no CONNACK")
    if link.connack:
        raise Retry("refused: %s" % _REFUSALS.get(link.connack, link.connack))
    prompt(below)
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


async def dial(server, port, tls_context, clock):
    """(socket, the one below TLS), connected; neither blocks. Without TLS both are the same. A TLS
    handshake goes on with the first write.

    Whoever asks often gives the second to `prompt`, but with TLS not before the server has
    answered. Else CONNECT meets a server that has refused our certificate and closed, and why it
    did so is lost.

    raises   Retry("cannot reach", server, why) after 15 s at the latest; name resolution
             blocks for as long as the port's resolver takes
    """
    sock = None
    try:
        address = socket.getaddrinfo(server, port)[0][-1]
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.connect(address)
        except OSError as error:
            if error.errno != EINPROGRESS:
                raise
        await _writable(sock, clock)
        return (wrap(tls_context, sock, server) if tls_context else sock), sock
    except (OSError, ValueError) as error:
        if sock:
            sock.close()
        raise Retry("cannot reach", server, error)


def prompt(sock):
    """Have small packets sent at once, where the port knows how.

    Else a request waits for the answer to the one before: a whole round trip.
    """
    try:
        sock.setsockopt(_TCP, _NODELAY, 1)
    except (AttributeError, NotImplementedError, OSError, ValueError):
        pass  # slower, no more


async def _writable(sock, clock):
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    begin = clock.ticks_ms()
    while not poll.poll(0):
        if clock.ticks_diff(clock.ticks_ms(), begin) > _CONNECT_MS:
            raise OSError("timeout")
        await clock.sleep_ms(_LOOK_MS)


class BadCredentials(Fail):
    """One of our own files is unusable; which one is among the values."""


def context(ca, certificate=None, private_key=None):
    """A client's context; it may serve many connections.

    ca, certificate, private_key  bytes, PEM or DER; `ca` may hold several; without a
            certificate, a server that asks for one gets none
    raises  BadCredentials naming the file that mbedTLS cannot read. A key that does not belong
            to its certificate is found by the server only: Refused.
    """
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    made.verify_mode = tls.CERT_REQUIRED
    try:
        _load_ca(made, ca)
    except (ValueError, OSError) as error:
        raise _unusable("ca", ca, error)
    if certificate is None:
        return made
    try:
        made.load_cert_chain(certificate, private_key)
    except (ValueError, OSError) as error:
        if "key" in str(error):
            raise _unusable("private_key", private_key, error)
        raise _unusable("certificate", certificate, error)
    return made


def _unusable(which, data, error):
    """Not every build has a PEM parser, and mbedTLS does not say that it has none."""
    if b"-----END " in data:
        error = "is PEM that is broken, or this MicroPython reads DER only"
    return BadCredentials("bad credentials", which, error)


def of_files(*names):
    """`context` of these files, of 16 KiB at most.

    names    paths; or (path, first, bytes) of what lies within a file
    raises   Fail, naming the one that cannot be read
    """
    files = []
    for name in names:
        path, at, size = (name, 0, _FILE) if isinstance(name, str) else name
        try:
            with open(path, "rb") as file:
                size = min(size, file.seek(0, 2))  # MicroPython takes all of it at once
                file.seek(at)
                files.append(file.read(size))
        except OSError:
            raise Fail("cannot read", path)
    return context(*files)


def _load_ca(made, ca):
    if not ca:
        raise ValueError("empty")
    try:
        made.load_verify_locations(ca)
    except TypeError:  # before 1.23: by keyword
        made.load_verify_locations(cadata=ca)


def wrap(made, sock, server_name):
    """A TLS socket over a connected socket; neither blocks from now on.

    server_name  str, what the certificate must be for; also sent to the server (SNI)
    """
    sock.setblocking(False)
    return made.wrap_socket(sock, server_hostname=server_name, do_handshake_on_connect=False)
