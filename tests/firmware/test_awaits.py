"""How much is done between two awaits, so that the application beside the agent gets its turn.

Counted are operations of flash and bytes of the link, not time. What the processor adds, in
instructions, bench/blocking.py measures; firmware/DESIGN.md states both.
"""

from doubles import SECTOR, Flash, pattern, run
from test_link import THING, linked, publish, quiet
from test_mqtt_stream import STREAM, Server

from ota.digest import sha256
from ota.image import Image
from ota.job import File
from ota.sources.mqtt_stream import MQTTStream

HEAP = "8m"
SIZE = 40 * SECTOR + 100
TURN = 8 * 512  # bytes taken from the link
SMALL_BLOCKS = 11  # messages of blocks of 256 in that, with the shortest names: 4096 // 370


class Counted:
    """What was done since the coroutine was resumed, and the most of each kind so far."""

    def __init__(self, **counters):
        self.counters = counters
        self.most = {}
        self.stretches = 0

    def drive(self, coroutine):
        """Run it to its end; every await that gives up the processor ends a stretch."""
        while True:
            before = {name: count() for name, count in self.counters.items()}
            try:
                coroutine.send(None)
            except StopIteration:
                return self
            finally:
                self.stretches += 1
                for name, count in self.counters.items():
                    self.most[name] = max(self.most.get(name, 0), count() - before[name])


def downloaded(block, window, size=SIZE):
    """A download over a real link whose broker has all that was asked for there at once."""
    data = pattern(size)
    server, slot = Server(data), Flash(size // SECTOR + 1)
    link, socket, broker = linked()
    link._clock.stops = True
    taken = [0]

    def answer(body):
        end = 2 + (body[0] << 8 | body[1])
        found = server(body[2:end].decode(), body[end:])
        return b"".join([publish(topic, payload) for topic, payload in found])

    broker.answers[0x30] = answer
    read = socket.readinto

    def readinto(buf):
        found = read(buf)
        taken[0] += found or 0
        return found

    socket.readinto = readinto
    file = File(size, "mqtt_stream")
    file.stream, file.id = STREAM, 0
    image = Image(slot, size, block)
    settings = {"thing": THING, "window": window, "stream_format": "json"}
    tools = link, link._clock, settings, ["", 0], None
    counted = Counted(
        erases=lambda: sum(slot.erases), programs=lambda: slot.programs, bytes=lambda: taken[0]
    )

    async def watch():
        pass

    quiet(lambda: counted.drive(MQTTStream(tools, file, block).fetch(image, watch)))
    assert image.missing() < 0 and bytes(slot.data[:size]) == bytes(data)
    return counted


def test_download_writes_one_sector_at_most_between_awaits():
    for block, window in ((SECTOR, 8), (8 * SECTOR, 3), (98_304, 1)):
        most = downloaded(block, window, 48 * SECTOR).most
        assert most["erases"] == 1 and most["programs"] == 1, (block, most)


def test_download_writes_two_at_most_where_the_image_ends_within_a_sector():
    for block, window in ((SECTOR, 8), (8 * SECTOR, 3), (98_304, 1)):
        most = downloaded(block, window).most
        assert most["erases"] <= 2 and most["programs"] <= 2, (block, most)


def test_download_of_small_blocks_erases_one_sector_at_most_between_awaits():
    for block in (256, 512, 1024, 2048):
        most = downloaded(block, 512).most
        assert most["erases"] == 1, (block, most)
        assert 1 < most["programs"] <= SMALL_BLOCKS, (block, most)


def test_download_takes_4_kib_at_most_from_the_link_between_awaits():
    for block, window in ((256, 512), (SECTOR, 8), (98_304, 1)):
        counted = downloaded(block, window)
        assert counted.most["bytes"] == TURN, (block, counted.most)
        assert counted.stretches > SIZE * 4 // 3 // TURN


def test_link_that_never_falls_silent_still_lets_others_run():
    link, socket, _ = linked()
    link._clock.stops = True
    taken = [0]

    def readinto(buf):
        taken[0] += len(buf)
        for at in range(0, len(buf), 2):
            buf[at : at + 2] = b"\xd0\x00"  # PINGRESP, for ever
        return len(buf)

    socket.readinto = readinto
    counted = Counted(bytes=lambda: taken[0]).drive(link.wait(lambda: False, 50))
    assert counted.most["bytes"] == TURN and counted.stretches > 10


def test_digest_reads_64_kib_at_most_between_awaits():
    slot, reads = Flash(40), [0]
    read = slot.readblocks

    def readblocks(number, buf):
        reads[0] += 1
        read(number, buf)

    slot.readblocks = readblocks

    async def pause():
        await link._clock.sleep_ms(0)

    link = linked()[0]
    link._clock.stops = True
    counted = Counted(sectors=lambda: reads[0])
    counted.drive(sha256(slot, 40 * SECTOR, bytearray(SECTOR), pause))
    assert counted.most["sectors"] == 16 and reads[0] == 40


def test_counting_is_able_to_fail():
    work = [0]

    async def greedy():
        work[0] += 3

    assert Counted(work=lambda: work[0]).drive(greedy()).most == {"work": 3}
    assert run(greedy()) is None
