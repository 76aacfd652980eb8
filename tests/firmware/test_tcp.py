"""Connecting a socket: what is asked of it, and what becomes of ports that cannot do it."""

import select
import socket

from doubles import Clock, raised, run

from sluice.errors import Retry
from sluice.net import connect

HEAP = "1m"


class Network:
    """A port's socket module; what `setsockopt` was told is in `options`."""

    def __init__(self, fault=None, **names):
        self.fault, self.options, self.closed = fault, [], 0
        for name, value in names.items():
            setattr(self, name, value)

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


def dialled(network):
    """What `dial` gives on that port."""
    connect.socket, connect.select = network, Poller()
    try:
        return run(connect.dial("host", 1, None, Clock()))
    finally:
        connect.socket, connect.select = socket, select


def test_dial_has_small_packets_sent_at_once():
    network = Network()
    assert dialled(network) is network and network.options == [(6, 1, 1)]
    network = Network(IPPROTO_TCP=60, TCP_NODELAY=64)
    dialled(network)
    assert network.options == [(60, 64, 1)], "the port's own numbers"


def test_dial_does_without_where_the_port_cannot():
    for fault in (OSError(92), NotImplementedError(), ValueError(), AttributeError()):
        network = Network(fault)
        assert dialled(network) is network and not network.closed


def test_dial_of_nobody_says_whom_it_did_not_reach():
    network = Network()

    def refuse(address):
        raise OSError(111)

    network.connect = refuse
    error = raised(Retry, lambda: dialled(network))
    assert str(error).startswith("cannot reach host") and network.closed == 1
