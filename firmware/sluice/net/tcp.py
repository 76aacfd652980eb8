"""A connected socket that never blocks, with TLS or without. Needed only while connecting."""

import select
import socket
from errno import EINPROGRESS

from micropython import const

from sluice.errors import Retry

_CONNECT_MS = const(15_000)
_LOOK_MS = const(10)
_TCP, _NODELAY = const(6), const(1)  # numbers of Linux and lwIP, for ports that name none


async def dial(server, port, context, clock):
    """A connected socket that never blocks; a TLS handshake goes on with the first write.

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
        if context:
            # With small packets sent at once, CONNECT meets a server that has refused our
            # certificate and closed, and why it did so is lost.
            from sluice.net import tls  # only now: there are plain connections, too

            return tls.wrap(context, sock, server)
        _prompt(sock)
        return sock
    except (OSError, ValueError) as error:
        if sock:
            sock.close()
        raise Retry("cannot reach", server, error)


def _prompt(sock):
    """Send small packets at once, where the port knows how.

    Else a request waits for the answer to the one before: a whole round trip.
    """
    level = getattr(socket, "IPPROTO_TCP", _TCP)
    try:
        sock.setsockopt(level, getattr(socket, "TCP_NODELAY", _NODELAY), 1)
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
