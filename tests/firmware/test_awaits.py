"""How much is done between two awaits, so that the application beside the agent gets its turn.

Counted are operations of flash and bytes of the link, not time. What the processor adds, in
instructions, bench/blocking.py measures; firmware/DESIGN.md states both.
"""

from doubles import SECTOR, Flash, Sources, pattern, run
from medium import Board, write
from test_http import URL, Socket, World, answer
from test_link import THING, Waiting, linked, publish, quiet
from test_mqtt_stream import STREAM, CBORServer, Server

from sluice import journal as journals
from sluice.files import place as files
from sluice.job import File, Job
from sluice.net.http import HTTP
from sluice.transfer.http_range import HTTPRange
from sluice.transfer.image import Image
from sluice.transfer.stream import MQTTStream
from sluice.trust.verify import sha256

DIFFERS = True  # asyncio

HEAP = "24m"
SIZE = 40 * SECTOR + 100
TURN = 8 * 2_048  # bytes taken from the link, at most
WIRE = 12_288  # of them, of what brings a sector: 4,096 bytes in blocks of 256, with long names
HTTP_TURN = 8 * 512  # bytes taken from a file server
SPAN = 65_536  # bytes that count at a time by HTTP
WINDOW = 262_144  # bytes asked for at once


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


def delivering(data, fault=None, kind=Server):
    """(link, taken): a real link whose broker has all that was asked for there at once; `taken`
    holds the bytes that were read of it. `fault` is the Server's."""
    server = kind(data, fault=fault)
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
    return link, taken


def sources_of(link, window, form="json"):
    """What a source of streams works with."""
    settings = {"thing": THING, "window": window, "stream_format": form}
    sources = Sources(None, settings)
    sources.link, sources.clock = link, link._clock
    return sources


def streamed(size):
    """The file of a stream."""
    file = File(size, "mqtt_stream")
    file.stream, file.id = STREAM, 0
    return file


def downloaded(block, window, size=SIZE, kind=Server):
    """A download of an image."""
    data, slot = pattern(size), Flash(size // SECTOR + 1)
    link, taken = delivering(data, kind=kind)
    image = Image(slot, size, block)
    sources = sources_of(link, window, kind.form)
    counted = Counted(
        erases=lambda: sum(slot.erases), programs=lambda: slot.programs, bytes=lambda: taken[0]
    )

    async def watch():
        pass

    source = MQTTStream(sources, streamed(size), block)
    quiet(lambda: counted.drive(source.fetch(image, watch)))
    assert image.missing() < 0 and bytes(slot.data[:size]) == bytes(data)
    return counted


def test_download_writes_one_sector_at_most_between_awaits():
    for block, window in ((SECTOR, WINDOW), (8 * SECTOR, 98_304), (98_304, 98_304)):
        most = downloaded(block, window, 48 * SECTOR).most
        assert most["erases"] == 1 and most["programs"] == 1, (block, most)


def test_download_writes_two_at_most_where_the_image_ends_within_a_sector():
    for block, window in ((SECTOR, WINDOW), (8 * SECTOR, 98_304), (98_304, 98_304)):
        most = downloaded(block, window).most
        assert most["erases"] <= 2 and most["programs"] <= 2, (block, most)


def test_download_of_small_blocks_erases_one_sector_at_most_between_awaits():
    for block in (256, 512, 1024, 2048):
        most = downloaded(block, WINDOW, 40 * SECTOR).most
        assert most["erases"] == most["programs"] == 1, (block, most)


def test_download_takes_a_sector_at_most_from_the_link_between_awaits():
    for block in (256, SECTOR, 98_304):
        counted = downloaded(block, WINDOW)
        assert SECTOR < counted.most["bytes"] <= WIRE, (block, counted.most)
        assert counted.stretches > SIZE * 4 // 3 // TURN


def test_download_in_cbor_does_no_more_between_awaits():
    for block in (256, SECTOR, 126_976):
        most = downloaded(block, WINDOW, kind=CBORServer).most
        assert SECTOR <= most["bytes"] <= WIRE and 1 <= most["erases"] <= 2, (block, most)
        assert 1 <= most["programs"] <= 2, (block, most)


class Ready(Socket):
    """A connection that has all of its answer there at once; `taken` counts what was read."""

    taken = [0]

    def readinto(self, buf):
        self.quiet = False  # else every other time it has nothing
        found = Socket.readinto(self, buf)
        self.taken[0] += found or 0
        return found


class Files(World):
    """A file server: one answer with the whole file."""

    def __init__(self, data):
        World.__init__(self, self.span(data, 0), piece=SPAN)
        self.clock = Waiting()
        self.clock.stops = True
        self.http = HTTP(self.link, self.clock, ["http://files:*"], ("",))

    def span(self, data, first):
        body = bytes(data[first:])
        last = first + len(body) - 1
        return answer(206, body, "Content-Range: bytes %d-%d/%d" % (first, last, len(data)))

    async def dial(self, server, port, context, clock):
        sock = Ready(self.answers.pop(0), self.piece, False)
        return sock, sock

    def source(self, file, block):
        return HTTPRange(Sources(connection=self.http), file, block)


def test_download_by_http_writes_one_sector_at_most_between_awaits():
    for size in (48 * SECTOR, SIZE):
        server, slot = Files(pattern(size)), Flash(size // SECTOR + 1)
        file, image = File(size, "http_range"), Image(slot, size, SECTOR)
        file.url = URL
        counted = Counted(
            erases=lambda: sum(slot.erases), programs=lambda: slot.programs,
            bytes=lambda: Ready.taken[0], turns=lambda: server.link.turns,
        )  # fmt: skip

        async def watch():
            pass

        quiet(lambda: counted.drive(server.source(file, SECTOR).fetch(image, watch)))
        assert image.missing() < 0
        at_its_end = 1 if size % SECTOR else 0
        assert counted.most["bytes"] == HTTP_TURN and counted.most["turns"] == 1, counted.most
        assert counted.most["erases"] == counted.most["programs"] <= 1 + at_its_end, counted.most


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
    assert counted.most["bytes"] <= TURN and counted.stretches > 10


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


# -- files of a job ------------------------------------------------------------------------------


class Device:
    """As much of an agent as an operation needs that brings files."""

    def __init__(self, brought, source, clock, block=SECTOR):
        self.job = Job("j", 1, stamp=7)
        self.job.files = brought
        self.source, self.clock, self.dialect, self.work = source, clock, self, self
        self.settings = {"block": block, "report_s": 5, "signers": [], "own": []}
        self.buffer = bytearray(SECTOR)
        cells = journals.File("/journal.0"), journals.File("/journal.1")
        self.journal = journals.Journal(cells)
        self.journal.write(runs=1)  # as an operation has begun

    def info(self):
        return {}

    def progress(self, job, info):
        pass

    async def still(self, job):
        pass

    async def pause(self):
        await self.clock.sleep_ms(0)


def taken_in(brought, source, clock, data, block=SECTOR):
    """What an operation does that brings files of this content, over older ones."""
    with Board(2 * len(brought) * (len(data) // SECTOR + 1) + 48) as board:
        chip = board.chip
        for number, file in enumerate(brought):
            file.path = "/lib/pump/file%d.bin" % number
            write(file.path, b"old" * 2_000)
        counted = Counted(
            erases=lambda: chip.erases, programs=lambda: chip.operations - chip.erases,
            read=lambda: chip.read,
        )  # fmt: skip
        device = Device(brought, source, clock, block)
        quiet(lambda: counted.drive(files.run(device.job, device)))
        for file in brought:
            with open(file.path, "rb") as placed:
                assert placed.read() == bytes(data)
        return counted


def by_stream(size, block=SECTOR, fault=None):
    """A file of so many bytes by a stream."""
    data = pattern(size)
    link, _ = delivering(data, fault)

    def source(file, block):
        return MQTTStream(sources_of(link, WINDOW), file, block)

    return taken_in([streamed(size)], source, link._clock, data, block)


def by_http(size, count=1):
    """So many files by HTTP."""
    server, brought = Files(pattern(size)), []
    for _ in range(count):
        brought.append(File(size, "http_range"))
        brought[-1].url = URL
    server.answers *= count
    return taken_in(brought, server.source, server.clock, pattern(size))


def lost_once(messages, gone):
    """A fault: the third block of the first larger request does not come, and goes to `gone`."""
    if len(messages) < 4 or gone:
        return messages
    gone.append(messages.pop(2))
    return messages


def test_file_of_a_job_takes_one_sector_and_two_records_at_most_between_awaits():
    for counted in (by_stream(SIZE), by_stream(SIZE, 256), by_stream(SIZE, 98_304), by_http(SIZE)):
        most = counted.most
        assert 1 <= most["erases"] <= 3 and 1 < most["programs"] <= 40, most
        assert most["read"] < 128 * 1024, most
        assert counted.stretches > SIZE // TURN


def test_file_of_a_job_costs_no_more_where_a_block_was_lost():
    gone = []
    counted = by_stream(SIZE, fault=lambda messages: lost_once(messages, gone))
    assert gone and counted.most["erases"] <= 3 and counted.most["programs"] <= 40, counted.most


def test_ten_files_are_put_in_place_between_two_awaits_within_what_is_stated():
    most = by_http(5_000, 10).most
    assert most["erases"] <= 4 and 40 < most["programs"] <= 72, most
    assert most["read"] < 1_500_000, most


def test_counting_is_able_to_fail():
    work = [0]

    async def greedy():
        work[0] += 3

    assert Counted(work=lambda: work[0]).drive(greedy()).most == {"work": 3}
    assert run(greedy()) is None
