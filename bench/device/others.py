"""The naive client and the floor, fed from a file; see bench/way.py."""

from floor import decoded, plain
from gauge import Slot, measured
from naive import Download
from umqtt.simple import MQTTClient


class Sock:
    """A connection whose broker has granted all, and sends a file."""

    def __init__(self, read):
        self.read = read

    def write(self, data, size=None):
        return len(data)

    def setblocking(self, blocking):
        pass


def naive(what, packets, size, block, thing, stream):
    """A download by the naive client."""
    with open(packets, "rb") as file:

        def download(through):
            client = MQTTClient("thing", "")
            client.sock = Sock(through(file.read))
            Download(client, thing, stream, Slot(), block).run(size)

        measured(download, what, ())


def floor(what, content, size, form):
    """A download by the loop that does nothing else."""
    with open(content, "rb") as file:
        loop = decoded if form == "json" else plain
        measured(lambda through: loop(file, Slot(), size), what, ())
