"""MQTT packets in random pieces, and mutated ones, on MicroPython."""

import random

import pytest

DEVICE = """
import sys, random
from net.packets import PUBLISH, Reader, Whole, packet, text
from ota import log
from ota.errors import Retry

random.seed(int(sys.argv[2]))
log.level("E")

class Side:
    def __init__(self):
        self.seen = []
        self.reader = Reader(self.on_packet, self.route)
        self.sink = Whole(lambda topic, payload: self.seen.append((topic, payload)), 4_000)
    def on_packet(self, kind, head, number):
        self.seen.append((kind, number if kind != 0xD0 else 0))
    def route(self, topic):
        return None if topic == b"nobody" else self.sink
    def take(self, stream, sizes):
        at = 0
        while at < len(stream):
            part = stream[at : at + min(sizes(), 1024)]
            self.reader.buffer[: len(part)] = part
            self.reader.take(len(part))
            at += len(part)

def one(expected):
    number = random.randint(1, 65_535)
    id = number.to_bytes(2, "big")
    what = random.randrange(7)
    if what == 0:
        expected.append((0xD0, 0))
        return packet(0xD0)
    if what < 3:
        kind = (0x40, 0xB0)[what - 1]
        expected.append((kind, number))
        return packet(kind, id)
    if what == 3:
        expected.append((0x90, number))
        return packet(0x90, id, bytes((random.choice((0, 1, 0x80)),)))
    topic = random.choice((b"t", b"nobody", b"a/b" * 60, b"x" * 256))
    payload = bytes(random.getrandbits(8) for _ in range(random.choice((0, 1, 40, 127, 130, 300))))
    qos = random.getrandbits(1)
    if random.randrange(20) == 0:
        payload = bytes(random.randint(3_990, 17_000))
    if topic != b"nobody":
        expected.append((topic, payload if len(payload) <= 4_000 else None))
    if qos:
        expected.append((PUBLISH, number))
    return packet(PUBLISH | qos << 1, text(topic), id if qos else b"", payload)

def right():
    expected = []
    stream = b"".join(one(expected) for _ in range(random.randint(1, 8)))
    several = (lambda: random.randint(1, 40), lambda: random.randint(1, 1024))
    for sizes in several + (lambda: 1024, lambda: 1):
        side = Side()
        side.take(stream, sizes)
        assert side.seen == expected, (stream, side.seen, expected)

def wrong():
    stream = bytearray(b"".join(one([]) for _ in range(random.randint(1, 3))))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(min(len(stream), 40))
        what = random.randrange(3)
        if what == 0:
            stream[at] = random.getrandbits(8)
        elif what == 1:
            stream = stream[:at] + stream[at + random.randint(1, 5) :] + b"\\0"
        else:
            stream = stream[:at] + bytes((random.choice((0, 0x7f, 0x80, 0xff)),)) + stream[at:]
    results = []
    for sizes in (lambda: 1024, lambda: 1, lambda: random.randint(1, 40)):
        side = Side()
        try:
            side.take(stream, sizes)
            end = "open"
        except Retry:
            end = "refused"
        results.append((end, side.seen))
    assert results[0] == results[1] == results[2], (stream, results)
    return results[0][0] == "refused"

refused = 0
for _ in range(int(sys.argv[1])):
    right()
    refused += wrong() + wrong()
print(refused)
"""


@pytest.mark.parametrize("arch", ["i386", "amd64"])
def test_packets_in_any_pieces_are_read_alike_and_wrong_ones_refused(micropython, arch):
    rounds, seed = 120, random.randrange(1 << 30)
    done = micropython(DEVICE, str(rounds), str(seed), arch=arch, heap="1m")
    refused = int(done.stdout.split()[-1])
    assert rounds // 2 < refused < 2 * rounds, (seed, refused)
