"""Connecting a socket: what is asked of it, and what becomes of ports that cannot do it."""

import select
import socket

from doubles import Clock, raised, run

from sluice.errors import Retry
from sluice.net import connect

HEAP = "1m"


class Network:
    """A port's socket module; what `setsockopt` was told is in `options`."""

    def __init__(self, fault=None):
        self.fault, self.options, self.closed = fault, [], 0

    def getaddrinfo(self, server, port):
        return [(0, 0, 0, "", (server, port))]

    def socket(self):
        return self

    def setblocking(self, flag):
        assert flag is False

    def connect(self, address):
        pass

    def setsockopt(self, *words):
        self.options.append(words)
        if self.fault:
            raise self.fault

    def close(self):
        self.closed += 1


class Poller:
    """Everything can be written to."""

    POLLOUT = 4

    def poll(self, wait=None):
        return [1] if wait == 0 else self

    def register(self, sock, what):
        pass


class TLS:
    """A context whose sockets remember what is below them."""

    def wrap_socket(self, sock, **words):
        self.below = sock
        return self


def on(network, work):
    """What comes of it on that port."""
    connect.socket, connect.select = network, Poller()
    try:
        return work()
    finally:
        connect.socket, connect.select = socket, select


def dialled(network, context=None):
    """What `dial` gives on that port."""
    return on(network, lambda: run(connect.dial("host", 1, context, Clock())))


def test_dial_gives_the_socket_below_tls_too():
    network, context = Network(), TLS()
    assert dialled(network) == (network, network)
    assert dialled(network, context) == (context, network) and context.below is network
    assert not network.options, "not before the server has answered"


def test_small_packets_are_sent_at_once():
    network = Network()
    on(network, lambda: connect.prompt(network))
    assert network.options == [(6, 1, 1)]


def test_port_that_cannot_send_at_once_does_without():
    for fault in (OSError(92), NotImplementedError(), ValueError(), AttributeError()):
        network = Network(fault)
        on(network, lambda: connect.prompt(network))
        assert network.options and not network.closed


class Session:
    """A link to a server that accepts it at once."""

    server, port, connack, linked, sock = "host", 1, None, False, None
    client_id, lw_topic, user, keepalive = b"pump", None, None, 60

    def __init__(self, network, answer):
        self.network, self.answer = network, answer

    def send(self, packet):
        assert self.sock and not self.network.options

    async def wait(self, ready, deadline_ms):
        self.connack = self.answer
        return ready()


def test_session_sends_small_packets_at_once_from_its_connack_on():
    for answer, told in ((0, 1), (5, 0)):
        network = Network()
        link = Session(network, answer)
        begin = connect.open_session(link, TLS(), Clock(), True)
        if answer:
            assert "refused" in str(raised(Retry, lambda: on(network, lambda: run(begin))))
        else:
            on(network, lambda: run(begin))
        assert len(network.options) == told and link.linked is not bool(answer)


def test_dial_of_nobody_says_whom_it_did_not_reach():
    network = Network()

    def refuse(address):
        raise OSError(111)

    network.connect = refuse
    error = raised(Retry, lambda: dialled(network))
    assert str(error).startswith("cannot reach host") and network.closed == 1
